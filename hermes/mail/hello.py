"""What a server offers in its EHLO reply, and how we give our name and credentials."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final, Literal

from hermes.mail.address import BadAddress, parse_domain
from hermes.mail.reply import Reply

MECHANISMS: Final = ("PLAIN", "LOGIN")
"""The SASL mechanisms we speak, the better one first (RFC 4616)."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions of RFC 5321, 2.2 that matter to us; `size` None: no limit is known."""

    pipelining: bool = False
    starttls: bool = False
    dsn: bool = False
    eight_bit: bool = False
    size: int | None = None
    auth: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """How to enter: our name for EHLO, the security of the way, credentials if any.

    `starttls` and `implicit` insist on TLS. Credentials go over `plain` only if
    `clear_credentials` says so. Raises ValueError for a name or credentials that cannot be sent.
    """

    name: str
    security: Literal["starttls", "implicit", "plain"] = "starttls"
    username: str | None = None
    password: str = field(default="", repr=False)
    clear_credentials: bool = False

    def __post_init__(self) -> None:
        literal = self.name.startswith("[") and self.name.endswith("]")
        if not (
            literal and self.name.isascii() and self.name.isprintable() and " " not in self.name
        ):
            try:
                parse_domain(self.name)
            except BadAddress as error:
                raise ValueError(f"the name {self.name!r} for EHLO: {error.why}") from error
        if "\0" in f"{self.username}{self.password}":
            raise ValueError("credentials hold a NUL")


def read_extensions(reply: Reply) -> Extensions:
    """Read a reply to EHLO; words nobody knows are passed over."""
    offered: dict[str, str] = {}
    auth: list[str] = []
    for line in reply.lines[1:]:
        word, _, rest = line.strip().upper().replace("=", " ", 1).partition(" ")
        offered[word] = rest.strip()
        if word == "AUTH":  # some servers write "AUTH=" beside or instead of "AUTH "
            auth += rest.split()
    size = offered.get("SIZE", "")
    return Extensions(
        pipelining="PIPELINING" in offered,
        starttls="STARTTLS" in offered,
        dsn="DSN" in offered,
        eight_bit="8BITMIME" in offered,
        size=int(size)
        if size.isdecimal() and size.isascii() and len(size) < 20 and int(size)
        else None,
        auth=tuple(dict.fromkeys(auth)),
    )


def auth_exchange(account: Account, mechanism: str) -> tuple[bytes, list[bytes]]:
    """Give the AUTH command and what to answer to each 334 (RFC 4954, 4)."""
    user, password = (account.username or "").encode(), account.password.encode()
    if mechanism == "PLAIN":
        response = b64encode(b"\0" + user + b"\0" + password)
        # a server that passes over the initial response asks for it again
        return b"AUTH PLAIN " + response + b"\r\n", [response + b"\r\n"]
    return b"AUTH LOGIN\r\n", [b64encode(user) + b"\r\n", b64encode(password) + b"\r\n"]
