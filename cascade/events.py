"""What may happen to a cascade: the answers of its steps, news of them, timers, a cancel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from hermes.core.units import Moment, Reason, Success

Failure = Literal["rejected", "failed", "undelivered", "expired", "cancelled", "unknown"]
Answer = Literal["accepted", "full", "later", "refused"]

LADDER: Final[tuple[Success, ...]] = ("accepted", "sent", "delivered", "read")
SENT: Final = LADDER.index("sent")


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became known of a step: a rung of the ladder it reached, or its final failure.

    `step` counts from 0 in the whole plan, `at` is UTC when it is told: a wait that begins when a
    step was sent counts from there. A failure is final for the step as a whole: while the ledger
    will send it again, nothing is told.
    """

    step: int
    status: Success | Failure
    at: Moment
    reason: Reason | None = None


class TakenOver(msgspec.Struct, frozen=True, omit_defaults=True, tag="ours", kw_only=True):
    """The message is ours: begin at step `first`; `earlier` is what is known of those before.

    `at` is ledger time now.
    """

    at: Moment
    expires_at: Moment
    first: int = 0
    earlier: tuple[Outcome, ...] = ()


class NotOurs(msgspec.Struct, frozen=True, tag="theirs"):
    """Another start has the message, or it has its outcome: go without a word."""


class DispatchResult(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the belt answered a dispatch at ledger time `at`.

    `retry_after_s` is for `full`, when room is likely, and for `later`, when it may go (quiet
    hours); `reason` says why it did not go. `reports` is the most that whoever took it will tell:
    where that is less than the step's success, it is enough.
    """

    answer: Answer
    at: Moment
    retry_after_s: float = 2.0
    reports: Success = "read"
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The dispatch of a step was answered."""

    step: int
    result: DispatchResult


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The time of the timer of this number is up."""

    number: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody cancelled the message."""

    reason: Reason | None = None


Event = TakenOver | NotOurs | Dispatched | Outcome | TimerFired | Cancelled


def rung_of(status: Success | Failure) -> int | None:
    """Give the rung of the ladder a status stands for, None for a failure."""
    match status:
        case "accepted" | "sent" | "delivered" | "read":
            return LADDER.index(status)
        case _:
            return None
