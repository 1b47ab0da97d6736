"""The ledger clock of a ledger in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from hermes.core.attempt import Attempt
from hermes.core.clock import Timing
from hermes.core.event import Source
from hermes.core.ids import decode_message_id
from hermes.core.outcome import MessageRow, Rules
from hermes.core.sweep import Sweep, SweptMessage, lost_job
from hermes.ports.clock_store import Due, Retention, Rotation, SetAside
from hermes.testing.memory_ledger import MemoryLedger


class MemoryClockStore:
    """The sweeper's side of a ledger in memory (port: ClockStore)."""

    def __init__(self, ledger: MemoryLedger, source: Source) -> None:
        self._ledger = ledger
        self._source = source

    async def sweep(
        self,
        limit: int,
        timing: Timing,
        streams: Mapping[str, datetime] | None = None,
        receiptless: frozenset[str] = frozenset(),
    ) -> Due:
        """Hand out what is due."""
        ledger, now = self._ledger, self._ledger.now()
        sweep = Sweep(Rules(now=now, timing=timing, receiptless=receiptless), self._source)
        rows = [row for row in ledger.rows.values() if row.next_at and row.next_at <= now]
        rows = sorted(rows, key=lambda row: str(row.next_at))[:limit]
        for row in rows:
            ledger.rows[row.id] = sweep.on_message(self._swept(row))
        every = [attempt for attempts in ledger.attempts.values() for attempt in attempts]
        due = [a for a in every if a.next_at is not None and a.next_at <= now][:limit]
        lost = [lost_job(a) for a in every if _is_lost(a, streams or {})][:limit]
        due_of: dict[UUID, dict[tuple[int, int], Attempt]] = {}
        for attempt in (*due, *lost):
            due_of.setdefault(attempt.message, {}).setdefault((attempt.step, attempt.n), attempt)
        for message, found in due_of.items():
            swept = self._swept(ledger.rows[message])
            known = ledger.attempts[message]
            ledger.rows[message], after = sweep.on_attempts(swept, known, tuple(found.values()))
            ledger.attempts[message] = list(after)
        for event in sweep.told:
            ledger.tell(decode_message_id(event.message), event)
        return Due(
            admit=tuple(sweep.admit),
            jobs=tuple(sweep.jobs),
            events=tuple(sweep.events),
            has_more=limit in (len(rows), len(due), len(lost)),
        )

    def _swept(self, row: MessageRow) -> SweptMessage:
        message = self._ledger.submissions[row.id].message
        fields = {name: getattr(row, name) for name in MessageRow.__struct_fields__}
        is_owned = row.id in self._ledger.cascade_owners
        return SweptMessage(
            **fields,
            accepted_at=message.accepted_at,
            is_taken=is_owned or bool(self._ledger.attempts.get(row.id)),
            segments=message.segments,
            send_at=message.send_at,
            reference=message.reference,
            traceparent=message.traceparent,
            to=message.to,
            sender=message.sender,
            text=message.text,
            plan=message.plan,
        )

    async def stop(self, rows: Sequence[SetAside]) -> None:
        """Do nothing: memory holds no row that cannot be read."""
        del rows

    async def rotate(self, retention: Retention) -> Rotation:
        """Do nothing: memory has no partitions."""
        del retention
        return Rotation()


def _is_lost(attempt: Attempt, streams: Mapping[str, datetime]) -> bool:
    created = streams.get(attempt.carrier or "")
    return (
        attempt.next_action == "expire"
        and attempt.stream_created is not None
        and created is not None
        and created != attempt.stream_created
    )
