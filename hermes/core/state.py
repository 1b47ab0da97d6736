"""The lattice of states: events come in any order, the maximum wins."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, Literal

from hermes.core.units import Success


class AttemptState(IntEnum):
    """State of one attempt; the numeric order is the lattice order, ties broken for good.

    `queued < submitting < uncertain < sent < unknown < cancelled < expired < failed < rejected
    < undelivered < delivered`: a total order, so that any order of events ends the same.
    """

    QUEUED = 0
    SUBMITTING = 10
    UNCERTAIN = 20
    SENT = 30
    UNKNOWN = 40
    CANCELLED = 41
    EXPIRED = 42
    FAILED = 50
    REJECTED = 51
    UNDELIVERED = 52
    DELIVERED = 60

    @property
    def word(self) -> str:
        """The state as it stands in the ledger and in the API."""
        return self.name.lower()


MessageState = Literal[
    "accepted",
    "processing",
    "delivered",
    "undelivered",
    "failed",
    "expired",
    "cancelled",
    "unknown",
    "sent",
]

ATTEMPT_STATE: Final = {state.word: state for state in AttemptState}
FINAL_ATTEMPT: Final = frozenset(state for state in AttemptState if state >= AttemptState.UNKNOWN)
FINAL_MESSAGE: Final = frozenset(
    ("delivered", "undelivered", "failed", "expired", "cancelled", "unknown", "sent")
)
MESSAGE_OF: Final[dict[AttemptState, MessageState]] = {
    AttemptState.UNKNOWN: "unknown",
    AttemptState.CANCELLED: "cancelled",
    AttemptState.EXPIRED: "expired",
    AttemptState.FAILED: "failed",
    AttemptState.REJECTED: "failed",
    AttemptState.UNDELIVERED: "undelivered",
    AttemptState.DELIVERED: "delivered",
}

# What an event of this kind makes of its attempt; kinds that are absent change no state.
STATE_AFTER: Final[dict[str, AttemptState]] = {
    "queued": AttemptState.QUEUED,
    "submitting": AttemptState.SUBMITTING,
    "uncertain": AttemptState.UNCERTAIN,
    "sent": AttemptState.SENT,
    "unknown": AttemptState.UNKNOWN,
    "cancelled": AttemptState.CANCELLED,
    "expired": AttemptState.EXPIRED,
    "failed": AttemptState.FAILED,
    "rejected": AttemptState.REJECTED,
    "undelivered": AttemptState.UNDELIVERED,
    "delivered": AttemptState.DELIVERED,
}


def join(one: AttemptState, other: AttemptState) -> AttemptState:
    """Give the least upper bound of two states."""
    return max(one, other)


def state_of_segments(segments: Iterable[AttemptState], expected: int) -> AttemptState:
    """Give the state of an attempt from its segments: delivered when all are, failed when one is.

    `expected` is the number of segments of the attempt; segments nothing is known of are queued.
    """
    known = tuple(segments)
    failed = [s for s in known if AttemptState.UNKNOWN <= s < AttemptState.DELIVERED]
    if failed:
        return max(failed)
    if len(known) < expected:
        return min(AttemptState.SENT, max(known, default=AttemptState.QUEUED))
    return min(known, default=AttemptState.QUEUED)


def message_state(attempts: Iterable[tuple[int, AttemptState]], success: Success) -> MessageState:
    """Give a message's state from its (n, state) attempts of the last step.

    A delivered attempt wins whatever its n; else the newest attempt speaks. With success `sent`
    or `accepted` a sent attempt is final.
    """
    rows = sorted(attempts)
    if not rows:
        return "accepted"
    if any(state is AttemptState.DELIVERED for _, state in rows):
        return "delivered"
    last = rows[-1][1]
    if last is AttemptState.SENT and success in ("sent", "accepted"):
        return "sent"
    return MESSAGE_OF.get(last, "processing")
