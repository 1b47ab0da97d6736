"""Port of the ledger as a cascade sees it: whose a message is, its steps, its end, its news."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from hermes.core.attempt import Attempt
from hermes.core.event import Event
from hermes.core.state import MessageState
from hermes.core.sweep import SweptMessage
from hermes.core.units import Money, Reason

ANY_STEP = -1
"""The step of news that are about the message as a whole."""


class OpenCascade(SweptMessage, frozen=True, kw_only=True):
    """A message with its body, its attempts (tokens too), and the engine that has it."""

    now: datetime
    cascade_owner: str | None = None
    cascade_late: str | None = None
    attempts: tuple[Attempt, ...] = ()

    def of_step(self, step: int) -> list[Attempt]:
        """Give the attempts of a step."""
        return [attempt for attempt in self.attempts if attempt.step == step]

    @property
    def current(self) -> int:
        """The step begun last, -1 before the first."""
        return max((attempt.step for attempt in self.attempts), default=-1)


class Claim(msgspec.Struct, frozen=True):
    """Who wants a message, and the token that hears of late successes."""

    message: UUID
    owner: str
    late: str


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A step about to be put on a carrier's belt; `price` is for one segment."""

    message: UUID
    step: int
    token: str
    carrier: str
    segments: int = 1
    price: Money | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine says a message ended."""

    message: UUID
    state: MessageState
    reason: Reason | None = None


class News(msgspec.Struct, frozen=True):
    """A step whose state changed, or ANY_STEP; `version` tells this news from the next."""

    message: UUID
    step: int
    version: int


class CascadeLedger(Protocol):
    """Every method is one transaction, may be called again, and raises StoreUnavailable."""

    async def take_over(self, claims: Sequence[Claim]) -> dict[UUID, OpenCascade]:
        """Give messages to owners; those given are in the result.

        One that has no other owner and no outcome is given; the same owner gets it again.
        """
        ...

    async def read(self, messages: Sequence[UUID]) -> dict[UUID, OpenCascade]:
        """Read messages; those the ledger does not have are left out."""
        ...

    async def place(self, placements: Sequence[Placement]) -> dict[UUID, datetime]:
        """Make the attempts of steps; give when each was queued.

        One of a message that has its outcome is not made and not in the result. An attempt that
        is there already stays as it is. The steps before it are news: they may be stopped.
        """
        ...

    async def withdraw(self, messages: Sequence[tuple[UUID, int]]) -> None:
        """Take back attempts (message, step) whose jobs the belt definitely refused."""
        ...

    async def finish(self, endings: Sequence[Ending]) -> None:
        """Note how messages ended, where they have no outcome yet."""
        ...

    async def add_news(self, news: Sequence[tuple[UUID, int]]) -> None:
        """Note that there is news of (message, step)."""
        ...

    async def due_news(self, limit: int, lease_s: float) -> list[News]:
        """Hand out news, the oldest first; what is not `told` within the lease comes again."""
        ...

    async def told(self, news: Sequence[News], events: Sequence[Event] = ()) -> None:
        """Forget news, unless newer came meanwhile; `events` are added to the trails."""
        ...

    async def wait_for_news(self, within_s: float) -> None:
        """Return when there may be news, at the latest after so long."""
        ...
