"""Ports of a cascade engine: what the daemon asks of it, and what its operator does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from cascade.actions import Result
from cascade.events import Outcome
from hermes.core.plan import Plan

StartResult = Literal["accepted", "duplicate"]

# told: handed to the engine, where the first to decide wins.
# undecided: it decides nothing for this token; call again with the next.
# unknown: no such token, for certain; never call again with it.
OutcomeFate = Literal["told", "undecided", "unknown"]


class EngineStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an engine remembers of a message; `done` without a result was failed by an operator."""

    phase: Literal["running", "done", "unknown"]
    result: Result | None = None


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the engine takes work, and if not, why."""

    is_up: bool
    detail: str = ""


class Parked(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A cascade whose handler kept failing and that nobody tries any more.

    `is_outage` says that a store or the endpoint could not be reached: it needs no operator, only
    to be resumed when they are back.
    """

    mid: str
    since: datetime
    failure: str
    is_outage: bool = False


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a handler that fails is tried before it is parked; times in seconds, doubling."""

    initial_s: float = 0.2
    max_s: float = 10.0
    max_attempts: int = 70

    def delay(self, failures: int) -> float:
        """Give the time to wait after so many failures in a row, from 1."""
        return min(self.initial_s * 2.0 ** min(failures - 1, 30), self.max_s)


class CascadeEngine(Protocol):
    """Walks messages through their plans. All methods raise StoreUnavailable."""

    async def start(self, mid: str, plan: Plan, *, after: timedelta | None = None) -> StartResult:
        """Start a cascade, once: at once, or with `after` that much later.

        A start at once does not wait for one that was asked for later; whichever runs second
        finds the message taken.
        """
        ...

    async def outcome(self, token: str, event: Outcome) -> OutcomeFate:
        """Tell what became known of a step; a token that is used up or ended changes nothing.

        May be called with every change of a step's state, in any order, any number of times.
        """
        ...

    async def cancel(self, mid: str, reason: str) -> bool:
        """Cancel; False: nothing of it runs or waits here.

        One that had begun ends `cancelled` and tells so; one that had not is gone without a word.
        """
        ...

    async def status(self, mid: str) -> EngineStatus:
        """Give what is remembered; for operators, the ledger has the authority."""
        ...

    async def health(self) -> Health:
        """Look whether the engine takes work; never raises."""
        ...


class CascadeOperations(Protocol):
    """What an operator does about cascades that are parked. All raise StoreUnavailable."""

    async def parked(self, limit: int = 100) -> Sequence[Parked]:
        """Give parked cascades, the longest parked first."""
        ...

    async def resume(self, mid: str) -> bool:
        """Try a parked cascade again from where it stood; False: it is not parked."""
        ...

    async def fail(self, mid: str, reason: str) -> bool:
        """End a parked cascade as failed, in the ledger too; False: it is not parked."""
        ...
