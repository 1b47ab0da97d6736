"""Ports of the dead letters: the letters themselves, and the ledger's part in a way back."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from hermes.core.dead_letter import FiledLetter, Republish, StartClock


class DeadLetters(Protocol):
    """What was set aside, by its sequence in DEAD. All raise StoreUnavailable.

    A belt on which nothing was ever set aside has no letters; that is no error.
    """

    async def list(self, after_seq: int, limit: int) -> list[FiledLetter]:
        """Give up to `limit` letters behind a sequence, oldest first, without their envelopes."""
        ...

    async def get(self, seq: int) -> FiledLetter | None:
        """Give one letter, None if there is none."""
        ...

    async def drop(self, seq: int) -> bool:
        """Remove a letter for good. False: there is none."""
        ...


class Revived(msgspec.Struct, frozen=True):
    """What the ledger made of a way back: `at` is when its clock acts, None: never, and `why`."""

    at: datetime | None
    why: str = ""
    is_moot: bool = False
    """It needs nothing more, so its letter may go all the same."""


class Revival(Protocol):
    """Puts the clocks of the ledger to what is to be done again. All raise StoreUnavailable."""

    async def republish(self, job: Republish) -> Revived:
        """Have a queued attempt's job published again, once the belt has forgotten its id."""
        ...

    async def admit(self, message: UUID) -> Revived:
        """Have a message that nobody took in admitted now."""
        ...

    async def start_clock(self, row: StartClock) -> Revived:
        """Start the clock of a row that was stopped as unreadable."""
        ...


class Retried(msgspec.Struct, frozen=True):
    """How a retry ended; a letter that could not be retried stays."""

    seq: int
    detail: str
    is_dropped: bool
