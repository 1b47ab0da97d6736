"""Messages from handsets: parts joined, whole ones into the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from hermes.core.carrier import Carrier
from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound
from hermes.ports.mo_store import Mo, MoStore, WholeMo
from hermes.smpp.content import content_of
from hermes.smpp.data_coding import STANDARD
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.reassembly import TIMEOUT, Joined, Part, Reassembly
from hermes.smpp.submit import codings_of

MOST_SEEN: Final = 20_000


class MoDesk:
    """Takes the PDUs of one receipt stage that are no receipts.

    What it knows is in the ledger too: a PDU is marked as a part that waits, or as done together
    with its message, and `restore` finds the parts again.
    """

    def __init__(
        self,
        store: MoStore,
        carriers: Mapping[str, Carrier],
        source: Source,
        timeout: float = TIMEOUT,
    ) -> None:
        self.store, self.carriers, self.source = store, carriers, source
        self.parts: Reassembly[Inbound] = Reassembly(timeout)
        self.whole: list[WholeMo] = []
        self.waiting: dict[UUID, None] = {}
        self.seen: dict[UUID, None] = {}
        self.stored = 0

    async def restore(self, partition: int) -> None:
        """Go on with the parts that waited before this process. Raises StoreUnavailable."""
        self.take(await self.store.held((partition,)))
        self.waiting.clear()

    def take(self, rows: Sequence[Inbound]) -> list[UUID]:
        """Take PDUs; one taken before is passed over. `flush` brings the outcome to the ledger.

        Gives those that are no message: broken before any address.
        """
        broken: list[UUID] = []
        for row in rows:
            if row.id in self.seen:
                continue
            part = self.part_of(row)
            if not part.source:
                broken.append(row.id)
                continue
            self.seen[row.id] = None
            self.waiting[row.id] = None
            self.note(self.parts.add(part, row.received_at.timestamp()))
        while len(self.seen) > MOST_SEEN:
            del self.seen[next(iter(self.seen))]
        return broken

    def expire(self, now: datetime) -> None:
        """Let go of messages whose other parts did not come in time."""
        self.note(self.parts.expired(now.timestamp()))

    async def flush(self) -> None:
        """Keep whole messages and mark the parts that wait. Raises StoreUnavailable."""
        whole, waiting = tuple(self.whole), tuple(self.waiting)
        if whole:
            await self.store.add(whole, self.source)
            del self.whole[: len(whole)]
            self.stored += len(whole)
        if waiting:
            await self.store.hold(waiting)
            for row in waiting:
                self.waiting.pop(row, None)

    def part_of(self, row: Inbound) -> Part[Inbound]:
        """Read one PDU."""
        pdu, problems = decode_tolerant(row.raw)
        carrier = self.carriers.get(row.carrier)
        content = content_of(pdu, STANDARD if carrier is None else codings_of(carrier))
        noted = replace(content, problems=(*map(str, problems), *content.problems))
        source, destination = pdu.text("source_addr"), pdu.text("destination_addr")
        return Part(row.carrier, source, destination, noted, row)

    def note(self, joined: Sequence[Joined[Inbound]]) -> None:
        """Keep what is whole until it is stored."""
        for one in joined:
            for row in one.rows:
                self.waiting.pop(row.id, None)
            self.whole.append(whole_of(one))


def whole_of(joined: Joined[Inbound]) -> WholeMo:
    """Make the ledger's message of joined parts."""
    ids = tuple(row.id for row in joined.rows)
    mo = Mo(
        id=min(ids),
        carrier=joined.carrier,
        source=joined.source,
        destination=joined.destination,
        text=joined.text,
        octets=joined.octets,
        data_coding=joined.data_coding,
        received_at=min(row.received_at for row in joined.rows),
        total=joined.total,
        missing=joined.missing,
        problems=joined.problems,
    )
    return WholeMo(mo, ids)
