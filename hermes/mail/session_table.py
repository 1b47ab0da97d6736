"""The states of an SMTP client's session and what moves it (RFC 5321, 4.1.4 and 4.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class SessionState(Enum):
    """Whose turn it is: in all of them but IDLE and HANDSHAKE the server's reply is awaited."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()
    AUTH = auto()
    IDLE = auto()
    ENVELOPE = auto()  # MAIL, RCPT or DATA
    CONTENT = auto()  # the message and its final dot are written
    RESETTING = auto()
    QUITTING = auto()
    CLOSED = auto()


class Step(Enum):
    """What moves a session; END is everything that ends it."""

    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    SECURE = auto()
    AUTH = auto()
    OPEN = auto()
    MAIL = auto()
    CONTENT = auto()
    RESET = auto()
    FREE = auto()
    QUIT = auto()
    END = auto()


TRANSITIONS: Final[Mapping[tuple[SessionState, Step], SessionState]] = {
    (SessionState.GREETING, Step.EHLO): SessionState.EHLO,
    (SessionState.EHLO, Step.HELO): SessionState.HELO,
    (SessionState.EHLO, Step.STARTTLS): SessionState.STARTTLS,
    (SessionState.STARTTLS, Step.SECURE): SessionState.HANDSHAKE,
    (SessionState.HANDSHAKE, Step.EHLO): SessionState.EHLO,
    (SessionState.EHLO, Step.AUTH): SessionState.AUTH,
    (SessionState.EHLO, Step.OPEN): SessionState.IDLE,
    (SessionState.HELO, Step.OPEN): SessionState.IDLE,
    (SessionState.AUTH, Step.OPEN): SessionState.IDLE,
    (SessionState.IDLE, Step.MAIL): SessionState.ENVELOPE,
    (SessionState.IDLE, Step.QUIT): SessionState.QUITTING,
    (SessionState.ENVELOPE, Step.CONTENT): SessionState.CONTENT,
    (SessionState.ENVELOPE, Step.RESET): SessionState.RESETTING,
    (SessionState.CONTENT, Step.FREE): SessionState.IDLE,
    (SessionState.CONTENT, Step.RESET): SessionState.RESETTING,
    (SessionState.RESETTING, Step.FREE): SessionState.IDLE,
    **{
        (state, Step.END): SessionState.CLOSED
        for state in SessionState
        if state is not SessionState.CLOSED
    },
}
"""A pair that is not here is a fault of ours: no octets of the server lead to one."""

OPENING: Final = frozenset(
    {
        SessionState.GREETING,
        SessionState.EHLO,
        SessionState.HELO,
        SessionState.STARTTLS,
        SessionState.HANDSHAKE,
        SessionState.AUTH,
    }
)
"""The states before the first mail."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How long each reply may take, in seconds (RFC 5321, 4.5.3.2), and an idle session rest.

    `content` is long on purpose: a server that had taken the message and answers too late makes
    a mail that may have been sent twice.
    """

    greeting: float = 60.0
    command: float = 60.0
    envelope: float = 300.0
    data: float = 120.0
    content: float = 600.0
    idle: float = 30.0
    quit: float = 2.0

    def of(self, state: SessionState) -> float:
        """Give how long a state may last; DATA's own wait is shorter than the envelope's."""
        match state:
            case SessionState.GREETING:
                return self.greeting
            case SessionState.ENVELOPE:
                return self.envelope
            case SessionState.CONTENT:
                return self.content
            case SessionState.IDLE:
                return self.idle
            case SessionState.QUITTING:
                return self.quit
            case _:
                return self.command
