"""Inbound PDUs of a ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hermes.core.ids import attempt_id, encode_message_id
from hermes.ports.inbound_store import FoundAttempt, Inbound
from hermes.testing.memory_ledger import MemoryLedger


class MemoryInboundStore:
    """Inbound PDUs in memory (port: InboundStore)."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def append(self, rows: Sequence[Inbound]) -> None:
        """Store PDUs; ids that are there already stay as they are."""
        for row in rows:
            self._ledger.inbound.setdefault(row.id, row)

    async def unprocessed(
        self, partitions: Sequence[int], older_than_s: float, limit: int
    ) -> list[Inbound]:
        """Give PDUs of these partitions that were received at least so long ago, oldest first."""
        before = self._ledger.now() - timedelta(seconds=older_than_s)
        rows = [
            row
            for row in self._ledger.inbound.values()
            if row.id not in self._ledger.processed
            and row.id not in self._ledger.parts
            and row.partition in partitions
            and row.received_at <= before
        ]
        return sorted(rows, key=lambda row: row.id)[:limit]

    async def mark(self, ids: Sequence[UUID], result: str) -> None:
        """Note that PDUs were processed, and how it ended."""
        for name in ids:
            if name in self._ledger.inbound:
                self._ledger.processed.setdefault(name, result)

    async def find_attempt(
        self, carrier: str, carrier_message_ids: Sequence[str]
    ) -> dict[str, FoundAttempt]:
        """Give the attempts whose `sent` events carry these ids, exactly as written."""
        wanted = set(carrier_message_ids) - {""}
        sent = [
            (event.at, message, event)
            for message, trail in self._ledger.events.items()
            for event in trail.values()
            if event.kind == "sent" and event.carrier == carrier
        ]
        found: dict[str, FoundAttempt] = {}
        for _, message, event in sorted(sent, key=lambda item: item[0]):
            if event.carrier_message_id not in wanted:
                continue
            attempts = self._ledger.attempts[message]
            attempt = next(a for a in attempts if (a.step, a.n) == (event.step, event.n))
            body = self._ledger.submissions[message].message
            assert event.carrier_message_id is not None
            found[event.carrier_message_id] = FoundAttempt(
                attempt=attempt_id(encode_message_id(message), event.step, event.n),
                tenant=attempt.tenant,
                segment=event.segment,
                segments=attempt.segments,
                expires_at=attempt.expires_at,
                to=body.to,
                sender=body.sender,
            )
        return found

    async def adopt(self, ids: Sequence[UUID]) -> None:
        """Note that orphans were matched after all."""
        for name in ids:
            if self._ledger.processed.get(name) == "orphan":
                self._ledger.processed[name] = "matched"

    async def orphans(self, limit: int) -> list[Inbound]:
        """Give the receipts nobody was found for, newest first."""
        ids = [name for name, result in self._ledger.processed.items() if result == "orphan"]
        return [self._ledger.inbound[name] for name in sorted(ids, reverse=True)[:limit]]

    async def find_uncertain(
        self, carrier: str, recipients: Sequence[str]
    ) -> dict[str, list[FoundAttempt]]:
        """Give the attempts whose outcome is open."""
        found: dict[str, list[FoundAttempt]] = {}
        for message, attempts in self._ledger.attempts.items():
            body = self._ledger.submissions[message].message
            for attempt in attempts:
                is_open = attempt.next_action == "resolve_uncertain"
                if is_open and attempt.carrier == carrier and body.to in recipients:
                    found.setdefault(body.to, []).append(
                        FoundAttempt(
                            attempt=attempt.id,
                            tenant=attempt.tenant,
                            segment=None,
                            segments=attempt.segments,
                            expires_at=attempt.expires_at,
                            to=body.to,
                            sender=body.sender,
                        )
                    )
        return found
