"""What no single field of a carrier's profile can say to be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hermes.core.carrier import Bind, Carrier
from hermes.core.ids import is_name
from hermes.settings.check import Fault, dotted
from hermes.settings.check_relay import relay_of, reply_map
from hermes.smpp.status import overrides_of

NAME_RULE = "must match [a-z0-9-]{1,32}"
MAX_TAG = 0xFFFF


def check_carriers(carriers: tuple[Carrier, ...], faults: list[Fault]) -> None:
    """Add every fault of the carriers, each under its key."""
    seen: set[str] = set()
    for index, carrier in enumerate(carriers):
        key = f"carrier[{index}]"
        if not is_name(carrier.id):
            faults.append(Fault(dotted(key, "id"), f"{carrier.id!r} {NAME_RULE}"))
        if carrier.id in seen:
            faults.append(Fault(dotted(key, "id"), f"{carrier.id!r} is used twice"))
        seen.add(carrier.id)
        faults += binds_of(carrier, key)
        faults += relay_of(carrier, key)
        for name, rule in PROFILE.items():
            faults += [Fault(dotted(key, name), words) for words in rule(carrier)]


def binds_of(carrier: Carrier, key: str) -> Iterator[Fault]:
    """Check ids and the way to the carrier."""
    ids = [bind.id for bind in carrier.bind]
    if carrier.kind == "smpp" and not ids:
        yield Fault(f"{key}.bind", "a carrier of kind smpp needs one bind at least")
    for position, bind in enumerate(carrier.bind):
        where = f"{key}.bind[{position}]"
        if not is_name(bind.id):
            yield Fault(f"{where}.id", f"{bind.id!r} {NAME_RULE}")
        if ids.index(bind.id) != position:
            yield Fault(f"{where}.id", f"{bind.id!r} is used twice")
        yield from way_of(bind, where)


def way_of(bind: Bind, where: str) -> Iterator[Fault]:
    """Check what one bind says."""
    if not 1 <= bind.port <= 65535:
        yield Fault(f"{where}.port", f"{bind.port} is not in 1..65535")
    if bind.window < 1:
        yield Fault(f"{where}.window", f"{bind.window} is too small, at least 1 is needed")
    for name, limit in (("system_id", 15), ("system_type", 12)):
        text = getattr(bind, name)
        if len(text) > limit:
            yield Fault(f"{where}.{name}", f"has {len(text)} characters, SMPP allows {limit}")
    for name in ("system_id", "system_type", "password"):
        if not (getattr(bind, name).isascii() and getattr(bind, name).isprintable()):
            yield Fault(f"{where}.{name}", "holds characters other than printable ASCII")
    if bind.tls.insecure and (bind.tls.ca_file or bind.tls.cert_file):
        yield Fault(f"{where}.tls", "insecure sends in the clear, and files of TLS are given")
    if bind.tls.key_file and not bind.tls.cert_file:
        yield Fault(f"{where}.tls.key_file", "needs cert_file, the certificate of that key")


def tz(carrier: Carrier) -> Iterator[str]:
    """A time zone of the IANA data."""
    try:
        ZoneInfo(carrier.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"{carrier.tz!r} is no time zone, such as UTC or Europe/Copenhagen"


def country(carrier: Carrier) -> Iterator[str]:
    """A calling code, where numbers go without one."""
    if carrier.number_format == "national" and not carrier.country:
        yield "number_format national needs the country's calling code, such as 45"
    if carrier.country is not None and re.fullmatch("[1-9][0-9]{0,2}", carrier.country) is None:
        yield f"{carrier.country!r} is no calling code: 1 to 3 digits"


def tlv(carrier: Carrier) -> Iterator[str]:
    """Tags are numbers, values hex octets."""
    for tag, value in carrier.tlv.items():
        try:
            number = int(tag, 0)
        except ValueError:
            yield f"{tag!r} is no tag, such as 0x1403"
            continue
        if not 0 < number <= MAX_TAG:
            yield f"tag {tag} is not in 1..0xffff"
        if re.fullmatch("([0-9a-fA-F]{2})*", value) is None:
            yield f"the value of {tag} must be hex octets"


def sender_rules(carrier: Carrier) -> Iterator[str]:
    """Patterns that compile, and one thing to do."""
    for number, rule in enumerate(carrier.sender_rules):
        try:
            re.compile(rule.match)
        except re.error as error:
            yield f"rule {number}: match is no regular expression: {error}"
        if rule.refuse == (rule.use is not None):
            yield f"rule {number}: give either use or refuse = true"


def status_map(carrier: Carrier) -> Iterator[str]:
    """Statuses that are numbers, ranges or names; of a relay, reply codes."""
    if carrier.kind == "smtp":
        yield from reply_map(carrier)
        return
    for written, name in carrier.status_map.items():
        try:
            overrides_of({written: name})
        except ValueError:
            yield f"{written!r} is no status: a number, a range such as 0x400-0x40f, or a name"


def national_languages(carrier: Carrier) -> Iterator[str]:
    """Tables replace those of the GSM alphabet."""
    if carrier.national_languages and carrier.default_alphabet != "gsm7":
        yield f"national tables need default_alphabet gsm7, not {carrier.default_alphabet}"


def max_rate(carrier: Carrier) -> Iterator[str]:
    """A ceiling above zero."""
    if carrier.max_rate is not None and not carrier.max_rate > 0:
        yield f"{carrier.max_rate} segments/s sends nothing; leave it out for none"


def max_queue(carrier: Carrier) -> Iterator[str]:
    """Room for something."""
    if carrier.max_queue < 1:
        yield f"{carrier.max_queue} leaves no room for a message"


def validity_s(carrier: Carrier) -> Iterator[str]:
    """What fits the relative format of SMPP 3.4, 7.1.1.2."""
    if carrier.validity_s is not None and not 60 <= carrier.validity_s <= 63 * 86_400:
        yield f"{carrier.validity_s} is not in 60..{63 * 86_400} seconds"


def price(carrier: Carrier) -> Iterator[str]:
    """Digits, a decimal number, a currency."""
    for number, one in enumerate(carrier.price):
        try:
            is_amount = Decimal(one.amount) >= 0
        except InvalidOperation:
            is_amount = False
        if not is_amount:
            yield f"row {number}: amount {one.amount!r} is no decimal number"
        if re.fullmatch("[A-Z]{3}", one.currency) is None:
            yield f"row {number}: currency {one.currency!r} is no ISO 4217 code"
        if re.fullmatch("[0-9]*", one.prefix) is None:
            yield f"row {number}: prefix {one.prefix!r} is not digits"


PROFILE: dict[str, Callable[[Carrier], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        tz,
        country,
        tlv,
        sender_rules,
        status_map,
        national_languages,
        max_rate,
        max_queue,
        validity_s,
        price,
    )
}
"""Rules by the key they speak of."""
