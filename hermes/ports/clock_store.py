"""Port of the ledger clock: hand out what is due, and keep the partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from hermes.core.clock import Timing
from hermes.core.event import Event
from hermes.core.job import Job
from hermes.core.message import Message


class SetAside(msgspec.Struct, frozen=True):
    """A row of the ledger that cannot be read, found when its clock was due.

    `name` = message or attempt id, `action` = what the clock was to do.
    """

    table: Literal["message", "attempt"]
    name: str
    action: str | None
    why: str


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep handed out. Each is handed out again after a lease unless its effect is seen.

    `admit` goes to INTAKE, `jobs` to the belt under the ids they bear (then `record_jobs`),
    `events` to EVENTS, `aside` to the dead letters (then `stop`). `has_turn` False: another host
    swept. `has_more`: a limit was reached.
    """

    admit: tuple[Message, ...] = ()
    jobs: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()
    aside: tuple[SetAside, ...] = ()
    has_turn: bool = True
    has_more: bool = False


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How many whole days things are kept; `body_days` is for text and addresses."""

    history_days: int = 30
    body_days: int = 30
    idempotency_days: int = 1
    ahead_days: int = 7


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation did; `kept_open` are days past retention that still have an open row."""

    made: int = 0
    dropped: tuple[date, ...] = ()
    erased: tuple[date, ...] = ()
    kept_open: tuple[date, ...] = ()
    forgotten_keys: int = 0


class ClockStore(Protocol):
    """The sweeper's side of the ledger. Its time is the ledger's."""

    async def sweep(
        self,
        limit: int,
        timing: Timing,
        streams: Mapping[str, datetime] | None = None,
        receiptless: frozenset[str] = frozenset(),
    ) -> Due:
        """Take up to `limit` due messages and as many due attempts, in one transaction.

        `streams` gives the creation time of each carrier's stream: queued jobs that were recorded
        in another one are lost and handed out again. `receiptless` are the carriers that give no
        receipts. Raises StoreUnavailable.
        """
        ...

    async def stop(self, rows: Sequence[SetAside]) -> None:
        """Stop the clocks of rows nobody can read, with the reason `unreadable`.

        Only what still waits for the same action. Raises StoreUnavailable.
        """
        ...

    async def rotate(self, retention: Retention) -> Rotation:
        """Make the partitions of the days ahead, drop and erase what is past retention.

        Raises StoreUnavailable, also when a partition is locked for 3 s: try again later.
        """
        ...
