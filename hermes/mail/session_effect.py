"""What a client session asks its shell to do, and tells it; how a mail can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from hermes.mail.hello import Extensions
from hermes.mail.reply import Reply


class Stage(Enum):
    """What a reply was given to."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    SIZE = "size"  # judged by us, from what the server offered
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Answered:
    """The server accepted the mail, or refused it at this stage."""

    reply: Reply
    stage: Stage


@dataclass(frozen=True, slots=True)
class NotSent:
    """The message was never written: another session may send it."""

    why: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The final dot was written and no reply came: the server may have the mail."""

    why: str


Outcome: TypeAlias = Answered | NotSent | Uncertain


@dataclass(frozen=True, slots=True)
class Send:
    """Write these octets."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Make TLS of the connection, then call `secured`."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The session is open and free for its first mail."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class Settle:
    """The mail in hand has its one outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Free:
    """The next mail may come."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The session never opened, by this reply or for a reason of ours; End follows."""

    stage: Stage
    why: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The session is over: the last effect of all. `is_orderly` if nothing went wrong."""

    reason: str
    is_orderly: bool = False


Effect: TypeAlias = Send | StartTls | Opened | Settle | Free | Refuse | End
