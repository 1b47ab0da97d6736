"""What a server's session asks its shell to do and to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """What a server offers and how much it bears: octets, seconds, and counts in one session.

    `name` is told in the greeting. With `credentials` (username, password) nothing goes in before
    AUTH; `any_credentials` takes whatever is given.
    """

    name: str
    max_size: int = 10_000_000
    max_line: int = 8192
    max_command: int = 2048
    max_recipients: int = 100
    max_messages: int = 1000
    max_errors: int = 10
    command_timeout: float = 60.0
    session_timeout: float = 600.0
    starttls: bool = False
    pipelining: bool = True
    dsn: bool = True
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    any_credentials: bool = False

    @property
    def has_auth(self) -> bool:
        """Whether AUTH is offered."""
        return self.any_credentials or self.credentials is not None


@dataclass(frozen=True, slots=True)
class Recipient:
    """An accepted RCPT and its parameters, names in large letters."""

    address: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A mail as far as its envelope is known; `username` is whom AUTH let in."""

    sender: str
    parameters: Mapping[str, str]
    recipients: tuple[Recipient, ...] = ()
    username: str | None = None
    is_secure: bool = False


@dataclass(frozen=True, slots=True)
class AskSender:
    """May this sender begin a mail? `transaction` has no recipients yet."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class AskRecipient:
    """May the mail go to this recipient too?"""

    transaction: Transaction
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class AskContent:
    """The whole mail: `content` as it was before its dots were doubled."""

    transaction: Transaction
    content: bytes


Question: TypeAlias = AskSender | AskRecipient | AskContent


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Make TLS of the connection once what was written is out, then call `secured`."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Judge, and call `answer` with the reply; until then nothing more is taken."""

    question: Question


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection once what was written is out."""

    reason: str


ServerEffect: TypeAlias = Send | StartTls | Ask | End
