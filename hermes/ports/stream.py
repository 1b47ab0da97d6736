"""Port of the belt: publish under ids, pull by demand, acknowledge by reply subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Protocol

import msgspec

from hermes.core.carrier import Carrier
from hermes.core.errors import HermesError
from hermes.core.units import Priority

INTAKE = "INTAKE"
EVENTS = "EVENTS"
DEAD = "DEAD"
RECORDER = "recorder"


class StreamFull(HermesError):
    """The stream or the subject's quota is full; nothing was stored and the id stays usable."""

    def __init__(self, subject: str, why: str = "") -> None:
        self.subject, self.why = subject, why
        super().__init__(f"no room on {subject}: {why}")


class StreamMissing(HermesError):
    """No stream takes this subject; `ensure` it, then try again."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(f"no stream on {subject}")


class PubAck(msgspec.Struct, frozen=True):
    """Where a publication is stored; `duplicate`: an earlier one of that id is, at `seq`."""

    stream: str
    seq: int
    duplicate: bool = False


PublishResult = PubAck | HermesError


class Publication(NamedTuple):
    """One message to publish; `msg_id` dedupes it for the duplicate window, so retries keep it."""

    subject: str
    data: bytes
    msg_id: str


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message pulled; `reply` alone acknowledges it, from any process.

    `num_delivered` counts from 1, `seq` is the sequence in `stream`.
    """

    subject: str
    data: bytes
    reply: str
    seq: int
    num_delivered: int
    stream: str
    durable: str


class Short(Enum):
    """Why messages that were asked for will not come."""

    EMPTY = "nothing there, or nothing more within the time of a long poll"
    REFUSED = "the belt refused the pull, for now"
    MISSING = "no such stream or durable: ensure it"
    LOST = "the belt restarted, or fell silent: ask again"


class Backlog(msgspec.Struct, frozen=True):
    """What waits on one durable: not yet delivered, and delivered but not acknowledged."""

    pending: int
    unacked: int


class LinkChange(Enum):
    """What happened to the connection to the belt."""

    DISCONNECTED = "lost; it is being made again"
    RECONNECTED = "back"
    CLOSED = "given up: only a new connection helps"
    ERROR = "an error the connection survives"


OnItem = Callable[[Delivery], None]
OnShort = Callable[[str, int, Short], None]
OnMissing = Callable[[], None]
OnLink = Callable[[LinkChange, str], None]


@dataclass(frozen=True, slots=True)
class BeltSettings:
    """Every number of the belt; times in seconds, sizes in octets.

    A stream's size is reserved in the server's `max_file_store` when it is made. From
    `atomic_from` messages on a group is published as an atomic batch: a batch costs the server
    about 4 ms and 2 ms of CPU before its first message, single publications in a row cost 25 µs
    each, so that batches win from 400 on; with `sync_interval: always` from 8 on.
    """

    ack_wait_s: float = 5.0
    duplicate_window_s: float = 120.0
    intake_max_bytes: int = 1024**3
    jobs_max_bytes: int = 256 * 1024**2
    events_max_bytes: int = 2 * 1024**3
    dead_max_bytes: int = 64 * 1024**2
    dead_max_age_s: float = 30 * 86_400.0
    max_msg_bytes: int = 1024**2
    intake_ack_pending: int = 2_000
    events_ack_pending: int = 500
    job_ack_pending_windows: int = 4
    job_ack_pending_least: int = 64
    replicas: int = 1
    atomic_from: int = 400
    publish_timeout_s: float = 10.0
    publish_window: int = 2_000


class Publisher(Protocol):
    """Puts messages on the belt."""

    async def publish(self, subject: str, data: bytes, msg_id: str) -> PubAck:
        """Store one message. Raises StreamFull, StreamMissing, StoreUnavailable, HermesBug.

        After StoreUnavailable nobody knows whether it is stored: publish again under the same id.
        """
        ...

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """Store many, of any streams; give what became of each, in their order.

        A result is a PubAck, or the error `publish` would have raised for that one.
        """
        ...


class Acknowledger(Protocol):
    """Answers for messages pulled, by reply subject; a lost answer means a redelivery.

    All but `ack_sync` are fire and forget. All raise StoreUnavailable.
    """

    async def ack(self, reply: str) -> None:
        """Done with it: a work queue removes it."""
        ...

    async def ack_many(self, replies: Iterable[str]) -> None:
        """Done with all of these."""
        ...

    async def ack_sync(self, reply: str) -> None:
        """Done with it, and the belt has confirmed that it knows."""
        ...

    async def nak(self, *replies: str) -> None:
        """Hand back: the belt delivers them again at once, to whoever asks first."""
        ...

    async def progress(self, *replies: str) -> None:
        """Still held: restarts their ack_wait."""
        ...

    async def term(self, *replies: str) -> None:
        """Never deliver again; a work queue removes them."""
        ...


class DemandPuller(Protocol):
    """Pulls from one stream exactly what was asked.

    Calls `on_item(delivery)` for each message, and `on_short(durable, n, why)` when n of those
    asked will not come; asked == delivered + short + outstanding, always. Neither may block.
    """

    async def pull(self, durable: str, n: int, expires_s: float | None = None) -> None:
        """Ask for n more: what is there now (None), or whatever comes within `expires_s`.

        A pull without `expires_s` must be the durable's only open one; while the durable has as
        much unacknowledged as it may, it stays open for 2 s at most. Raises StoreUnavailable
        while there is no connection (nothing is asked then), HermesBug on misuse.
        """
        ...

    def outstanding(self, durable: str) -> int:
        """Give how many were asked of the durable and have neither come nor been given up."""
        ...

    async def stop(self) -> None:
        """Stop pulling. What is outstanding is given up without on_short."""
        ...


class ContinuousPuller(Protocol):
    """Keeps up to `batch` messages of one durable asked, for as long as it runs."""

    def outstanding(self) -> int:
        """Give how many are asked and have not come."""
        ...

    async def stop(self) -> None:
        """Stop pulling; messages already handed over stay valid."""
        ...


class Belt(Publisher, Acknowledger, Protocol):
    """One connection to the belt."""

    async def pull_by_demand(self, stream: str, on_item: OnItem, on_short: OnShort) -> DemandPuller:
        """Start a puller on all durables of a stream."""
        ...

    async def pull_continuously(
        self,
        stream: str,
        durable: str,
        on_item: OnItem,
        on_missing: OnMissing,
        batch: int = 500,
    ) -> ContinuousPuller:
        """Start a puller that never stops asking.

        Where stream or durable are missing it calls `on_missing` and asks again a second later.
        """
        ...

    async def close(self) -> None:
        """Stop the pullers, send what is buffered, close the connection."""
        ...


class BeltAdmin(Protocol):
    """Makes streams and durables, and looks into them. All raise StoreUnavailable."""

    async def ensure(self, carriers: Iterable[Carrier]) -> None:
        """Make or update the shared streams and those of the carriers; any number of times.

        Raises ConfigError where an existing stream cannot be changed into what it should be, or
        the server has no storage left to reserve.
        """
        ...

    async def drop(self, carrier: str) -> None:
        """Remove a carrier's stream with what is on it; nothing there is no error."""
        ...

    async def stream_created(self, stream: str) -> datetime:
        """Give when this incarnation of the stream was made. Raises StreamMissing."""
        ...

    async def live(self, stream: str, seqs: Sequence[int]) -> set[int]:
        """Give those of the sequences that are still in the stream. Raises StreamMissing."""
        ...

    async def backlog(self, carrier: str) -> dict[Priority, Backlog]:
        """Give what waits for a carrier by priority, in messages. Raises StreamMissing."""
        ...
