"""Mail addresses as SMTP takes them (RFC 5321, 4.1.2), without the internationalised ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hermes.core.errors import TenantError

MAX_LOCAL: Final = 64
MAX_DOMAIN: Final = 255
MAX_ADDRESS: Final = 254
"""RFC 5321, 4.5.3.1: a path of 256 octets, less its angle brackets."""
MAX_LABEL: Final = 63
MAX_NAME: Final = 200

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_STRING: Final = re.compile(rf"{_ATOM}(\.{_ATOM})*")
# lawful angle brackets are left out: too many systems end the address at one
_QUOTED: Final = re.compile(r'"([ !#-;=?-\[\]-~]|\\[ -;=?-~])*"')
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED: Final = re.compile(r"\\(.)")


class BadAddress(TenantError):
    """The text is no address mail can be sent to; `why` says it without repeating the text."""

    def __init__(self, text: str, why: str) -> None:
        self.text, self.why = text, why
        super().__init__(f"not a mail address: {why}")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: `local` as it goes on the wire, quotes included, `domain` in small letters."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and the name shown beside it, which may be any text of one line."""

    address: Address
    name: str = ""


def parse_address(text: str) -> Address:
    """Read `local@domain`; nothing around it. Raises BadAddress."""
    if _CONTROL.search(text):
        raise BadAddress(text, "it holds a control character")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise BadAddress(text, "it is not of the form local@domain")
    if not domain.isascii():
        raise BadAddress(text, "its domain is not ASCII: write it in its xn-- form")
    if not local.isascii():
        raise BadAddress(text, "its local part is not ASCII, and SMTPUTF8 is not spoken here")
    if len(local) > MAX_LOCAL:
        raise BadAddress(text, f"its local part has {len(local)} octets, the limit is {MAX_LOCAL}")
    if _DOT_STRING.fullmatch(local) is None and _QUOTED.fullmatch(local) is None:
        raise BadAddress(text, "its local part holds what must not stand there")
    address = Address(local, parse_domain(domain))
    if len(text) > MAX_ADDRESS:
        raise BadAddress(text, f"it has {len(text)} octets, the limit is {MAX_ADDRESS}")
    return address


def parse_domain(text: str) -> str:
    """Read a full domain name, in small letters. Raises BadAddress."""
    domain = text.lower()
    labels = domain.split(".")
    if domain.startswith("["):
        raise BadAddress(text, "an address literal stands for its domain")
    if len(domain) > MAX_DOMAIN:
        raise BadAddress(text, f"its domain has {len(domain)} octets, the limit is {MAX_DOMAIN}")
    if len(labels) < 2:
        raise BadAddress(text, "its domain has no dot")
    for label in labels:
        if len(label) > MAX_LABEL:
            why = f"a part of its domain has {len(label)} octets, the limit is {MAX_LABEL}"
            raise BadAddress(text, why)
        if _LABEL.fullmatch(label) is None:
            raise BadAddress(text, "its domain is no domain name")
    if labels[-1].isdigit():
        raise BadAddress(text, "its domain ends in a number")
    return domain


def parse_mailbox(text: str) -> Mailbox:
    """Read `Name <local@domain>`, `"Name" <local@domain>` or the address alone.

    Raises BadAddress, also for a name that would break out of its header line.
    """
    stripped = text.strip(" ")
    if not stripped.endswith(">"):
        return Mailbox(parse_address(stripped))
    name, _, inner = stripped[:-1].rpartition("<")
    name = name.strip(" ")
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = _ESCAPED.sub(r"\1", name[1:-1])
    if _CONTROL.search(name):
        raise BadAddress(text, "its name holds a control character")
    if len(name) > MAX_NAME:
        raise BadAddress(text, f"its name has {len(name)} characters, the limit is {MAX_NAME}")
    return Mailbox(parse_address(inner), name)
