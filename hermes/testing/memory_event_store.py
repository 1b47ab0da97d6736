"""The recorder's side of a ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from hermes.core.clock import Timing
from hermes.core.event import Event
from hermes.core.ids import BadId, decode_message_id
from hermes.core.outcome import Rules, fold
from hermes.ports.event_store import Applied, BadEvent, Turn
from hermes.testing.memory_ledger import MemoryLedger

NO_ID = "it does not name its message by a message id"
NO_MESSAGE = "the ledger has no such message"


class MemoryEventStore:
    """The recorder's side of a ledger in memory (port: EventStore)."""

    def __init__(self, ledger: MemoryLedger, timing: Timing | None = None) -> None:
        self._ledger = ledger
        self._timing = timing or Timing()

    async def apply(
        self, events: Sequence[Event], receiptless: frozenset[str] = frozenset()
    ) -> Applied:
        """Store events and fold the new ones."""
        ledger = self._ledger
        bad: list[BadEvent] = []
        told: dict[UUID, list[Event]] = {}
        for event in events:
            try:
                message = decode_message_id(event.message)
            except BadId:
                bad.append(BadEvent(event, NO_ID))
                continue
            if message not in ledger.rows:
                bad.append(BadEvent(event, NO_MESSAGE))
            elif ledger.tell(message, event):
                told.setdefault(message, []).append(event)
        rules = Rules(now=ledger.now(), timing=self._timing, receiptless=receiptless)
        turns = []
        for message, new in told.items():
            before = ledger.rows[message]
            row, attempts = fold(before, ledger.attempts.get(message, ()), new, rules)
            ledger.attempts[message] = list(attempts)
            ledger.turn(row)
            if row.state != before.state:
                turns.append(Turn(row.id, row.tenant, row.state))
        count = sum(map(len, told.values()))
        repeated = len(events) - count - len(bad)
        return Applied(new=count, repeated=repeated, bad=tuple(bad), turns=tuple(turns))
