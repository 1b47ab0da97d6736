"""A DLR processor: receipts of the binds and of the ledger, matched to attempts, told as events."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from actors.bind_job import Witness
from actors.bind_outcomes import receipt_event
from actors.consumer_shell import ConsumerShell
from actors.event_sink import EventSink
from actors.stage_actor import StageActor
from actors.stores import open_belt, open_ledger, open_memory
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event, Source
from hermes.core.receipt import ReceiptNote
from hermes.ports.inbound_store import FoundAttempt, Inbound
from hermes.ports.receipt_store import Receipt, Target
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.receipt_text import is_receipt, parse_receipt

DEMAND = 200
LEFT_AFTER = 5.0
LOOK_EVERY = 2.0
LIMIT = 500
RETRY_EVERY = 0.5


class Read:
    """A stored PDU, read: a receipt, or None for anything else."""

    __slots__ = ("note", "receipt", "row")

    def __init__(self, row: Inbound, receipt: Receipt | None, note: ReceiptNote | None) -> None:
        self.row, self.receipt, self.note = row, receipt, note


def read(row: Inbound, carrier: Carrier | None) -> Read:
    """Read a raw PDU; whatever it is, it never raises."""
    pdu, _ = decode_tolerant(row.raw)
    by_text = carrier is not None and carrier.receipt_in_text
    if not is_receipt(pdu, by_text=by_text):
        return Read(row, None, None)
    parsed = parse_receipt(pdu)
    note = ReceiptNote(str(row.id), parsed.stat, parsed.err.replace(" ", "_"))
    source, destination = (str(pdu.fields.get(k, "")) for k in ("source_addr", "destination_addr"))
    return Read(row, Receipt(parsed.id, source, destination, str(note), parsed.final), note)


class ReceiptStage(StageActor):
    """Consumes what the binds of this host have stored; at start, and every 2 s, what was left."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.partition: int = self.args["partition"]
        self.carriers: dict[str, Carrier] = {c.id: c for c in self.args["carriers"]}
        self.binds: tuple[tuple[str, ...], ...] = self.args["binds"]
        self.boot = uuid4().hex
        self.recent: dict[UUID, None] = {}
        self.counts = {"matched": 0, "orphan": 0, "other": 0}

    async def on_begin(self) -> None:
        """Open the stores, then subscribe to every bind."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        self.store = PostgresInboundStore(self.pool)
        forms = {c.id: c.id_form for c in self.carriers.values()}
        self.receipts = RedisReceiptStore(self.memory, forms)
        self.sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        self.batches: asyncio.Queue[tuple[Inbound, ...]] = asyncio.Queue()
        self.consumer = ConsumerShell(self, self.on_events)
        for path in self.binds:
            options = {"max_demand": DEMAND, "partition": self.partition}
            _ = self.spawn(self.consumer.keep_subscribed(path, options))
        _ = self.spawn(self.work_forever())
        _ = self.spawn(self.look_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """What is left stays unprocessed in the ledger."""
        await self.belt.close()

    def on_events(self, _tag: str, batch: tuple[Inbound, ...]) -> None:
        """PDUs came from a bind."""
        self.batches.put_nowait(batch)

    async def work_forever(self) -> None:
        """Process batches one after the other; the ask follows the work."""
        assert self.consumer is not None
        while True:
            batch = await self.batches.get()
            await self.process(batch)
            self.consumer.handled()

    async def look_forever(self) -> None:
        """Find what nobody processed: a bind or a stage was killed in between."""
        older_than = 0.0
        while True:
            try:
                rows = await self.store.unprocessed((self.partition,), older_than, LIMIT)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
                rows = []
            left = [row for row in rows if row.id not in self.recent]
            if left:
                self.log.info("receipts.found_unprocessed", count=len(left))
                await self.process(left)
            older_than = LEFT_AFTER
            if len(rows) < LIMIT:
                await asyncio.sleep(LOOK_EVERY)

    async def process(self, rows: Sequence[Inbound]) -> None:
        """Match a batch, tell its events, mark it; again for as long as a store is away."""
        while True:
            try:
                await self.try_process(rows)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
                await asyncio.sleep(RETRY_EVERY)
            else:
                break
        self.recent.update(dict.fromkeys(row.id for row in rows))
        while len(self.recent) > 4 * LIMIT:
            self.recent.pop(next(iter(self.recent)))

    async def try_process(self, rows: Sequence[Inbound]) -> None:
        """Match, tell and mark; every part may be repeated."""
        by_carrier: dict[str, list[Read]] = defaultdict(list)
        other: list[UUID] = []
        for row in rows:
            known = read(row, self.carriers.get(row.carrier))
            if known.receipt is None:
                other.append(row.id)
            else:
                by_carrier[row.carrier].append(known)
        events: list[Event] = []
        matched: list[UUID] = []
        orphans: list[UUID] = []
        for carrier, reads in by_carrier.items():
            targets = await self.match(carrier, reads)
            witness = Witness(Source(self.wiring.host, self.name, self.boot), carrier)
            for known, target in zip(reads, targets, strict=True):
                (orphans if target is None else matched).append(known.row.id)
                if target is not None and known.note is not None:
                    events.append(receipt_event(witness, target, known.note, self.clock()))
        await self.sink.store(events)
        for ids, result in ((matched, "matched"), (orphans, "orphan"), (other, "other")):
            if ids:
                await self.store.mark(ids, result)
                self.counts[result] += len(ids)
                self.metrics.receipts.labels("all", result).inc(len(ids))

    async def match(self, carrier: str, reads: list[Read]) -> list[Target | None]:
        """Look in memory under every form of the id, then in the ledger."""
        receipts = [known.receipt for known in reads if known.receipt is not None]
        targets = await self.receipts.receipt(carrier, receipts)
        missed = [r.id for r, target in zip(receipts, targets, strict=True) if target is None]
        found = await self.store.find_attempt(carrier, missed) if any(missed) else {}
        return [
            target if target is not None else target_of(receipt, found.get(receipt.id))
            for receipt, target in zip(receipts, targets, strict=True)
        ]

    @staticmethod
    def clock() -> datetime:
        """The host's UTC time."""
        return datetime.now(UTC)  # noqa: TID251 - the shell's clock

    def describe(self) -> dict[str, Any]:
        """Say what was processed."""
        return {"waiting": self.batches.qsize(), **self.counts}


def target_of(receipt: Receipt, found: FoundAttempt | None) -> Target | None:
    """Give the target the ledger knows."""
    if found is None:
        return None
    return Target(
        receipt.id,
        receipt.destination,
        receipt.source,
        found.attempt,
        found.tenant,
        segment=found.segment or 0,
        segments=found.segments,
    )
