"""What a cascade does next, as values; an engine performs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from hermes.core.units import Reason, Success

Ending = Success | Literal["failed", "expired", "cancelled"]


class Result(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a cascade ended: the rung its winner reached, or why nobody won.

    `step` won, or was the last one tried. `stop` are the steps that to the engine's knowledge are
    still under way: what is unclaimed of them must not be sent, what is with a carrier is
    superseded.
    """

    status: Ending
    step: int | None = None
    reason: Reason | None = None
    stop: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Ask the ledger whose the message is; answered by TakenOver or NotOurs."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Put a step on the belt, which stops the steps before it; answered by Dispatched."""

    step: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Tell TimerFired of this number in `after_s` seconds; every earlier timer is void.

    `name` says what for, and is the same at every replay.
    """

    number: int
    name: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the ledger the result; it is the last action."""

    result: Result


Action = TakeOver | Dispatch | StartTimer | Finish
