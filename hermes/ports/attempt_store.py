"""Port of attempts as intake makes them: take a message in, note where its job is, or park it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from hermes.core.clock import MessageAction
from hermes.core.state import MessageState
from hermes.core.units import Money, Reason

# taken: it was accepted and is ours now; publish.
# again: it was taken in before, but where its job went is not recorded; publish under this id.
# recorded: its job (or its workflow) is under way; acknowledge only.
# finished: it has its outcome, or was cancelled; acknowledge only.
# expired: nobody took it in before it expired; tell the event, acknowledge.
# absent: the ledger has no such message; acknowledge and report.
TakeStatus = Literal["taken", "again", "recorded", "finished", "expired", "absent"]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A message from INTAKE and the carrier chosen for it; `carrier` None: for the cascade engine.

    `price` is for one segment.
    """

    message: UUID
    carrier: str | None
    segments: int = 1
    price: Money | None = None


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an offer. `attempt` and `queued_at` are there for `taken` and `again` alone.

    With `again` the carrier is the one chosen the first time. An offer without a carrier never
    has an attempt.
    """

    message: UUID
    status: TakeStatus
    attempt: str | None = None
    carrier: str | None = None
    segments: int = 1
    price: Money | None = None
    queued_at: datetime | None = None
    possible_duplicate: bool = False


class JobPlace(msgspec.Struct, frozen=True):
    """Where the belt stored a job: the creation time of the stream and the sequence in it."""

    attempt: str
    stream_created: datetime
    job_seq: int


class Parking(msgspec.Struct, frozen=True, kw_only=True):
    """A message that cannot go now: `next_at`, or `after_s` seconds from now by ledger time."""

    message: UUID
    reason: Reason
    next_at: datetime | None = None
    after_s: float = 0.0
    next_action: MessageAction = "route"


class OnItsWay(msgspec.Struct, frozen=True):
    """A job that a cancellation has to meet at its claim."""

    attempt: str
    carrier: str | None


class Cancellation(msgspec.Struct, frozen=True):
    """What a cancel found: `state` afterwards, and jobs whose claims decide if it is open."""

    state: MessageState
    on_their_way: tuple[OnItsWay, ...] = ()


class AttemptStore(Protocol):
    """Attempts between acceptance and the belt.

    Every method is one transaction and may be called again after StoreUnavailable, which each of
    them raises when the ledger cannot be reached.
    """

    async def take_in(self, offers: Sequence[Offer]) -> list[Taken]:
        """Move messages from `accepted` to `processing`; give one result for each, in order.

        One taker wins. What is taken gets attempt 0 of step 0, queued, whose clock publishes its
        job again unless `record_jobs` follows. An offer without a carrier gets no attempt; its
        clock admits the message again until an engine takes it over.
        """
        ...

    async def record_jobs(self, places: Sequence[JobPlace]) -> int:
        """Note where jobs lie on the belt; give how many attempts were found."""
        ...

    async def park(self, parkings: Sequence[Parking]) -> list[UUID]:
        """Let messages wait on the ledger clock; give those that do.

        One that was taken in goes back to `accepted` and may choose another carrier, so park it
        only when the belt definitely refused its job. One whose job is recorded stays as it is.
        """
        ...

    async def cancel(self, tenant: str, message: UUID) -> Cancellation | None:
        """Cancel a message nobody took in yet; None if this tenant has no such message."""
        ...
