"""Messages from handsets of a ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound
from hermes.ports.mo_store import Mo, WholeMo
from hermes.testing.memory_ledger import MemoryLedger


class MemoryMoStore:
    """Messages from handsets in memory (port: MoStore)."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    async def add(self, whole: Sequence[WholeMo], source: Source) -> None:  # noqa: ARG002  (trail)
        """Keep messages and mark their PDUs."""
        for mo, rows in whole:
            self._ledger.mo.setdefault(mo.id, mo)
            for row in rows:
                self._ledger.processed.setdefault(row, "mo")

    async def hold(self, rows: Sequence[UUID]) -> None:
        """Note parts that wait."""
        self._ledger.parts.update(row for row in rows if row not in self._ledger.processed)

    async def held(self, partitions: Sequence[int]) -> list[Inbound]:
        """Give the parts that wait, oldest first."""
        waiting = self._ledger.parts - self._ledger.processed.keys()
        rows = [self._ledger.inbound[name] for name in sorted(waiting)]
        return [row for row in rows if row.partition in partitions]

    async def latest(self, limit: int) -> list[Mo]:
        """Give the newest messages, newest first."""
        return list(self._ledger.mo.values())[::-1][:limit]
