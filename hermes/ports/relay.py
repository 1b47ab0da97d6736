"""The port of one mail relay: submits with one outcome each, over several SMTP connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from hermes.mail.hello import Account, Extensions
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mail.session_effect import Stage
from hermes.mail.session_table import Timers
from hermes.ports.link import CreditChanged, TlsSettings

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """One account at one relay: where, as whom, and how many connections at most.

    `max_messages` go through one connection, 0 for any number; times are seconds. `tls` says how
    certificates are verified where `account.security` asks for TLS.
    """

    host: str
    port: int
    account: Account
    connections: int = 4
    max_messages: int = 100
    connect_timeout: float = 10.0
    timers: Timers = field(default_factory=Timers)
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, slots=True)
class RelayResult:
    """The answer to a mail: a refusal also says at which stage; `latency` is in seconds."""

    reply: Reply
    stage: Stage
    latency: float

    @property
    def is_accepted(self) -> bool:
        """Whether the relay took the mail."""
        return self.stage is Stage.CONTENT and self.reply.is_positive


class RelayRefused(Exception):
    """No session came about: refused with a reply, or by us where `reply` is None."""

    def __init__(self, stage: Stage, why: str, reply: Reply | None = None) -> None:
        self.stage, self.why, self.reply = stage, why, reply
        told = f"{why}: {reply.line}" if reply else why
        super().__init__(f"relay refused at {stage.value}: {told}")


@dataclass(frozen=True, slots=True)
class RelayOpened:
    """The first session of a run is open; mail may flow."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class RelayClosed:
    """The run ended; every submit has its outcome by now."""

    reason: str


RelayEvent: TypeAlias = RelayOpened | CreditChanged | RelayClosed


class Relay(Protocol):
    """One relay account. `run` is one life: it opens sessions as they are needed, and ends when
    none can be had; whoever runs it waits and runs it again.

    The callback is called inside the receive loop: it queues and returns at once.
    """

    on_event: Callable[[RelayEvent], None]

    @property
    def credit(self) -> int:
        """Free connections, those not open yet included; 0 while paused, draining or closed."""
        ...

    async def run(self) -> str:
        """Open a session and live; the reason of the end.

        Raises RelayRefused, TimeoutError (connect timer) and OSError (connection, TLS) when no
        session can be had. Cancelling it ends every session at once.
        """
        ...

    def submit(self, mail: Mail) -> asyncio.Future[RelayResult]:
        """Send the mail; the future has the one outcome, a refusal being a result.

        It raises `link.NotSent` (without credit at once) for a message that was never written,
        `link.Lost` for one whose final dot was written and whose reply never came.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Begin no mail for so long; a longer pause under way stays."""
        ...

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  (one deadline for all)
        """Hand back what has not begun, wait for what has, QUIT; what is left then is given up.

        Returns at once when not running, and otherwise when `run` has ended.
        """
        ...
