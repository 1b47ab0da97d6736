"""The port of one SMPP session: submits with one outcome each, inbound PDUs answered later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    import asyncio


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS to the carrier: certificate and name are verified, against `ca_file` or the system's.

    `server_name` is the name to expect, the host if None; `insecure` accepts any certificate.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One bind: where, as whom, and its timers in seconds; `tls` None is plain TCP."""

    host: str
    port: int
    system_id: str
    password: str = ""
    mode: Literal["trx", "tx", "rx"] = "trx"
    system_type: str = ""
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    window: int = 10
    response_timeout: float = 60.0
    enquire_interval: float = 30.0
    enquire_timeout: float = 10.0
    bind_timeout: float = 10.0
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class WirePdu:
    """A whole request frame; the link writes its own sequence number into it.

    `reference` is the caller's name for it and comes back in events.
    """

    frame: bytes
    reference: str = ""


class SubmitResult(msgspec.Struct, frozen=True):
    """The answer to a submit: `status` 0 is accepted.

    An accepted submit may lack a `message_id`: no receipt can be matched by id then. `latency` is
    in seconds, `tlvs` the octets after the id.
    """

    status: int
    message_id: str
    latency: float
    tlvs: bytes


class NotSent(Exception):
    """Never written: safe to put back at the head of the queue, in order."""


class Lost(ConnectionError):
    """Written, and the link ended before the answer: the outcome is uncertain."""


class NoResponse(TimeoutError):
    """Written, and the response timer fired: the outcome is uncertain, a LateResponse may come."""


class BindRefused(Exception):
    """The carrier answered the bind with this command_status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"bind refused with status 0x{status:08x}")


@dataclass(frozen=True, slots=True)
class Inbound:
    """A deliver_sm or data_sm as it came; answer it once with `Link.answer`.

    `received` is monotonic seconds, `life` the number of the run it came in: an answer after that
    run goes nowhere.
    """

    frame: bytes
    sequence: int
    received: float
    life: int = 0

    @property
    def command_id(self) -> int:
        """deliver_sm (0x05) or data_sm (0x103)."""
        return int.from_bytes(self.frame[4:8], "big")


@dataclass(frozen=True, slots=True)
class Bound:
    """The bind was accepted; `system_id` is the carrier's."""

    system_id: str


class CreditChanged(msgspec.Struct, frozen=True):
    """A slot became free, or a pause ended; `credit` is the new number."""

    credit: int


@dataclass(frozen=True, slots=True)
class RttMeasured:
    """An enquire_link was answered after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Throttled:
    """A submit was refused with RTHROTTLED or RMSGQFUL."""

    status: int
    latency: float
    reference: str


@dataclass(frozen=True, slots=True)
class Congestion:
    """congestion_state (SMPP 5.0, 4.8.4.18) in a response: 0 to 100."""

    level: int


@dataclass(frozen=True, slots=True)
class LateResponse:
    """The answer to a submit that had ended as NoResponse: it settles the uncertainty."""

    reference: str
    result: SubmitResult


@dataclass(frozen=True, slots=True)
class Nacked:
    """generic_nack for a submit in flight; the submit has this status as its result."""

    status: int
    reference: str


@dataclass(frozen=True, slots=True)
class Notified:
    """alert_notification or outbind: a PDU that has no answer."""

    command_id: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the carrier must not send; the link goes on."""

    reason: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Unbound:
    """The session ended; every submit has its outcome by now."""

    reason: str


LinkEvent: TypeAlias = (
    Bound
    | CreditChanged
    | RttMeasured
    | Throttled
    | Congestion
    | LateResponse
    | Nacked
    | Notified
    | Problem
    | Unbound
)


class Link(Protocol):
    """One SMPP session. It never reconnects: `run` is one life.

    The callbacks are called inside the receive loop: they queue and return at once.
    """

    on_deliver: Callable[[Inbound], None]
    on_event: Callable[[LinkEvent], None]

    @property
    def credit(self) -> int:
        """window - in flight - queued, never negative; 0 while paused, draining or unbound."""
        ...

    async def run(self) -> str:
        """Connect, bind and live; the reason of the end.

        Raises BindRefused, TimeoutError (bind timer) and OSError (connection, TLS). Cancelling it
        ends the session within a second, every submit handed back.
        """
        ...

    def submit(self, pdu: WirePdu) -> asyncio.Future[SubmitResult]:
        """Write the PDU as soon as it may go; the future has the one outcome.

        It raises NotSent (without credit at once), Lost or NoResponse.
        """
        ...

    def answer(self, inbound: Inbound, status: int) -> None:
        """Send deliver_sm_resp or data_sm_resp with the original sequence, in any order."""
        ...

    def pause(self, seconds: float) -> None:
        """Write no submit for so long; a longer pause under way stays."""
        ...

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109  (three waits share it)
        """Hand back what is queued, wait for what is in flight, unbind; ends within timeout + 3 s.

        Returns at once when unbound: cancel `run` to stop a link that is still binding.
        """
        ...
