"""Where a cascade stands: a value made of nothing but the events so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cascade.actions import Result
from cascade.events import Cancelled
from hermes.core.units import Reason


class Phase(Enum):
    """What a cascade waits for."""

    OWNER = "owner"  # whose the message is
    ANSWER = "answer"  # the belt's answer to a dispatch
    ROOM = "room"  # the time to ask a full belt again
    OUTCOME = "outcome"  # the current step's outcome or the end of its wait
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CascadeState:
    """Where a cascade stands.

    `under_way` are the steps the belt accepted whose final failure is not known, `failed` those
    whose it is, `limits` the (step, rung) whose carrier tells less than the step's success asks.
    Of the current step: `sent_at` when it was sent, `fulls` how often the belt was full for it,
    `why` it failed before its dispatch was answered. `timer` is the number of the only timer that
    counts, `ends_life` says that it stands for the message's expiry. `result` is None for a
    cascade that is done without having been ours.
    """

    phase: Phase = Phase.OWNER
    step: int = 0
    expires_at: datetime | None = None
    under_way: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    limits: tuple[tuple[int, int], ...] = ()
    sent_at: datetime | None = None
    timer: int = 0
    ends_life: bool = False
    fulls: int = 0
    why: Reason | None = None
    cancelled: Cancelled | None = None
    result: Result | None = None
