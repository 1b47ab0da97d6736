"""What no single field of a mail relay's account can say to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from hermes.core.carrier import Carrier, RelayAccount
from hermes.mail.address import BadAddress, parse_domain, parse_mailbox
from hermes.mail.verdict import BadStatusMap, overrides_of
from hermes.settings.check import Fault
from hermes.settings.tree import Mail, Settings

SINK = "mail"


def check_mail(mail: Mail, faults: list[Fault]) -> None:
    """Add every fault of the section, under its key."""
    if mail.domain is not None:
        try:
            parse_domain(mail.domain)
        except BadAddress as error:
            faults.append(Fault("mail.domain", error.why))
    if mail.verp_secret is not None and not mail.verp_secret:
        faults.append(Fault("mail.verp_secret", "is empty, anybody could sign with it"))


def check_domain(settings: Settings, faults: list[Fault]) -> None:
    """Add a fault where mail would leave this machine under a domain that nobody has."""
    leaves = (c for c in settings.carrier if c.relay is not None and not is_loopback(c.relay.host))
    if settings.mail.domain is None and (carrier := next(leaves, None)):
        rule = f"is needed for the mail of carrier {carrier.id!r}: message ids and return paths"
        faults.append(Fault("mail.domain", rule))


def check_sink(settings: Settings, faults: list[Fault]) -> None:
    """Add a fault where the sink's id is taken by a configured carrier."""
    if settings.has_mail_sink and any(carrier.id == SINK for carrier in settings.carrier):
        rule = f"the sink is a carrier {SINK!r} itself, and one of that id is configured"
        faults.append(Fault("mail.sink", rule))


def relay_of(carrier: Carrier, key: str) -> Iterator[Fault]:
    """Check that there is a relay where one is needed, and what it says."""
    where = f"{key}.relay"
    relay = carrier.relay
    if carrier.kind != "smtp":
        if relay is not None:
            yield Fault(where, f"a carrier of kind {carrier.kind} has none")
        return
    if carrier.bind:
        yield Fault(f"{key}.bind", "a carrier of kind smtp has none, but a relay")
    yield from sender_of(carrier, f"{key}.default_sender")
    if relay is None:
        yield Fault(where, "a carrier of kind smtp needs one")
        return
    if not 1 <= relay.port <= 65535:
        yield Fault(f"{where}.port", f"{relay.port} is not in 1..65535")
    if relay.connections < 1:
        yield Fault(f"{where}.connections", f"{relay.connections} is too few, at least 1 is needed")
    if relay.max_messages < 0:
        yield Fault(f"{where}.max_messages", f"{relay.max_messages} is below 0, which is any")
    if "\0" in relay.user + relay.password:
        yield Fault(f"{where}.user", "user or password hold a NUL")
    if relay.password and not relay.user:
        yield Fault(f"{where}.user", "is missing, and a password is given")
    yield from security_of(relay, where)


def security_of(relay: RelayAccount, where: str) -> Iterator[Fault]:
    """Check that mail goes in the clear only where that is said, or within this machine."""
    tls = relay.tls
    is_plain = relay.security == "plain"
    if is_plain and not tls.insecure and not is_loopback(relay.host):
        rule = "plain sends in the clear; say so with tls = { insecure = true }"
        yield Fault(f"{where}.security", rule)
    if tls.insecure and not is_plain:
        yield Fault(f"{where}.tls", 'insecure sends in the clear, which needs security = "plain"')
    if is_plain and (tls.ca_file or tls.cert_file):
        yield Fault(f"{where}.tls", "plain sends in the clear, and files of TLS are given")
    if tls.key_file and not tls.cert_file:
        yield Fault(f"{where}.tls.key_file", "needs cert_file, the certificate of that key")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by its name or address as written."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def sender_of(carrier: Carrier, key: str) -> Iterator[Fault]:
    """Check who mail is from that names nobody."""
    if carrier.default_sender is None:
        yield Fault(key, 'a carrier of kind smtp needs one, such as "Acme <hello@acme.example>"')
        return
    try:
        parse_mailbox(carrier.default_sender)
    except BadAddress as error:
        yield Fault(key, f"{carrier.default_sender!r} is no mailbox: {error.why}")


def reply_map(carrier: Carrier) -> Iterator[str]:
    """Give what is wrong with the map of a relay's replies."""
    for written, name in carrier.status_map.items():
        try:
            overrides_of({written: name})
        except BadStatusMap as error:
            yield f"{written!r}: {error.why}"
