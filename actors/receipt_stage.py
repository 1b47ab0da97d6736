"""A DLR processor: receipts matched to attempts and told as events, messages from handsets kept."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from actors.bind_outcomes import receipt_event
from actors.consumer_shell import ConsumerShell
from actors.event_sink import EventSink
from actors.mo_desk import MoDesk
from actors.receipt_matcher import Matcher, ReadReceipt, read
from actors.stage_actor import StageActor
from actors.stores import open_belt, open_ledger, open_memory
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.mo_store_postgres import PostgresMoStore
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event, Source
from hermes.core.witness import Witness
from hermes.ports.inbound_store import Inbound
from hermes.ports.receipt_store import Target

DEMAND = 200
LEFT_AFTER = 5.0
LOOK_EVERY = 2.0
LIMIT = 500
RETRY_EVERY = 0.5
MARK_EVERY = 0.2
EXPIRE_EVERY = 5.0
AGAIN_AT = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""When an orphan is looked at again, in parts of the grace an uncertain attempt has.

Never further apart than the grace of an otp: its attempt may become uncertain only when the timer
of its response is over, and is sent again so soon after.
"""
MOST_ORPHANS = 10_000


class Orphan(NamedTuple):
    """A receipt nobody knows yet, when it is looked at next, and how often it was."""

    due: float
    looks: int
    known: ReadReceipt


class ReceiptStage(StageActor):
    """Consumes what the binds of this host have stored; at start, and every 2 s, what was left.

    An orphan is kept in the ledger and looked at again while an attempt may still turn out to be
    its own: one whose `sent` is not recorded yet, or one that became uncertain.
    """

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.partition: int = self.args["partition"]
        self.carriers: dict[str, Carrier] = {c.id: c for c in self.args["carriers"]}
        self.binds: tuple[tuple[str, ...], ...] = self.args["binds"]
        self.boot = uuid4().hex
        self.recent: dict[UUID, None] = {}
        self.orphans: deque[Orphan] = deque(maxlen=MOST_ORPHANS)
        self.marks: dict[str, list[UUID]] = {"matched": [], "orphan": [], "other": []}
        self.counts = {"matched": 0, "orphan": 0, "other": 0, "adopted": 0}
        self.desk: MoDesk | None = None
        self.id_forms: dict[str, str] = {}

    async def on_begin(self) -> None:
        """Open the stores, then subscribe to every bind."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        self.store = PostgresInboundStore(self.pool)
        forms = {c.id: c.id_form for c in self.carriers.values()}
        final_ttl = round(self.wiring.settings.redis.final_ttl)
        self.receipts = RedisReceiptStore(self.memory, forms, final_ttl_s=final_ttl)
        self.matcher = Matcher(self.receipts, self.store)
        self.sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        self.batches: asyncio.Queue[tuple[Inbound, ...]] = asyncio.Queue()
        self.consumer = ConsumerShell(self, self.on_events)
        for path in self.binds:
            options = {"max_demand": DEMAND, "partition": self.partition}
            _ = self.spawn(self.consumer.keep_subscribed(path, options))
        _ = self.spawn(self.work_forever())
        _ = self.spawn(self.look_forever())
        _ = self.spawn(self.adopt_forever())
        _ = self.spawn(self.mark_forever())
        _ = self.spawn(self.expire_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """What is left stays unprocessed in the ledger."""
        await self.mark()
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
        known = [read(row, self.carriers.get(row.carrier)) for row in rows]
        other = await self.take_mo([r for r, one in zip(rows, known, strict=True) if one is None])
        pairs = await self.match([one for one in known if one is not None])
        await self.sink.store(self.events_of(pairs))
        matched = [one.row.id for one, target in pairs if target is not None]
        orphans = [one for one, target in pairs if target is None]
        ids = [one.row.id for one in orphans]
        for marked, result in ((matched, "matched"), (ids, "orphan"), (other, "other")):
            self.marks[result] += marked
        due = self.loop.time() + self.wait_of(0)
        self.orphans += [Orphan(due, 0, one) for one in orphans]

    async def take_mo(self, rows: Sequence[Inbound]) -> list[UUID]:
        """Keep messages from handsets; give the PDUs that are none, broken before any address."""
        if not rows:
            return []
        desk = await self.desk_of()
        broken = desk.take(rows)
        await desk.flush()
        return broken

    async def desk_of(self) -> MoDesk:
        """Give the desk, which knows what waited before this process. Raises StoreUnavailable."""
        if self.desk is None:
            source = Source(self.wiring.host, self.name, self.boot)
            desk = MoDesk(PostgresMoStore(self.pool), self.carriers, source)
            await desk.restore(self.partition)
            self.desk = desk
        return self.desk

    async def expire_forever(self) -> None:
        """Let go of long messages of which parts are missing for too long."""
        while True:
            try:
                desk = await self.desk_of()
                desk.expire(self.clock())
                await desk.flush()
                await self.learn_forms()
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
            await asyncio.sleep(EXPIRE_EVERY)

    async def learn_forms(self) -> None:
        """Look how each carrier's receipts write message ids, for `hermes tree`."""
        for carrier in self.carriers.values():
            form = await self.receipts.learned_form(carrier.id)
            self.id_forms[carrier.id] = carrier.id_form if form is None else form.value

    async def mark_forever(self) -> None:
        """Mark what was processed, a few times a second: a mark that is lost costs a repeat."""
        while True:
            await asyncio.sleep(MARK_EVERY)
            await self.mark()

    async def mark(self) -> None:
        """Mark what was processed; while the ledger is away it waits."""
        for result, ids in self.marks.items():
            if not ids:
                continue
            marked = tuple(ids)
            try:
                await self.store.mark(marked, result)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
                return
            del ids[: len(marked)]
            self.count(result, len(marked))

    async def match(self, reads: list[ReadReceipt]) -> list[tuple[ReadReceipt, Target | None]]:
        """Pair receipts with their targets, carrier by carrier."""
        by_carrier: dict[str, list[ReadReceipt]] = defaultdict(list)
        for one in reads:
            by_carrier[one.row.carrier].append(one)
        pairs: list[tuple[ReadReceipt, Target | None]] = []
        for carrier, some in by_carrier.items():
            pairs += zip(some, await self.matcher.match(carrier, some), strict=True)
        return pairs

    def events_of(self, pairs: Sequence[tuple[ReadReceipt, Target | None]]) -> list[Event]:
        """Give the events of the receipts that have a target."""
        source = Source(self.wiring.host, self.name, self.boot)
        return [
            receipt_event(
                Witness(source, one.row.carrier),
                self.carriers.get(one.row.carrier),
                target,
                one.note,
                self.clock(),
            )
            for one, target in pairs
            if target is not None
        ]

    async def adopt_forever(self) -> None:
        """Look at orphans again while they may turn out to be somebody's."""
        while True:
            await asyncio.sleep(min(1.0, self.wait_of(0)))
            now = self.loop.time()
            due = [orphan for orphan in self.orphans if orphan.due <= now]
            if not due:
                continue
            try:
                await self.adopt(due[:LIMIT], now)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))

    async def adopt(self, due: list[Orphan], now: float) -> None:
        """Match orphans once more; those that stay so wait longer."""
        pairs = await self.match([orphan.known for orphan in due])
        await self.sink.store(self.events_of(pairs))
        adopted = {one.row.id for one, target in pairs if target is not None}
        await self.store.adopt(sorted(adopted))
        self.count("adopted", len(adopted))
        seen = {orphan.known.row.id for orphan in due}
        kept = [orphan for orphan in self.orphans if orphan.known.row.id not in seen]
        for orphan in due:
            looks = orphan.looks + 1
            if orphan.known.row.id not in adopted and looks < len(AGAIN_AT):
                kept.append(Orphan(now + self.wait_of(looks), looks, orphan.known))
        self.orphans = deque(kept, maxlen=MOST_ORPHANS)

    def wait_of(self, looks: int) -> float:
        """Give the seconds until an orphan's next look."""
        before = AGAIN_AT[looks - 1] if looks else 0.0
        return self.wiring.settings.clock.uncertain_grace * (AGAIN_AT[looks] - before)

    def count(self, result: str, number: int) -> None:
        """Count what became of receipts."""
        self.counts[result] += number
        self.metrics.receipts.labels("all", result).inc(number)

    @staticmethod
    def clock() -> datetime:
        """The host's UTC time."""
        return datetime.now(UTC)  # noqa: TID251 - the shell's clock

    def describe(self) -> dict[str, Any]:
        """Say what was processed."""
        desk = self.desk
        return {
            "waiting": self.batches.qsize(),
            "orphans": len(self.orphans),
            **self.counts,
            "mo": 0 if desk is None else desk.stored,
            "mo_parts": 0 if desk is None else desk.parts.waiting,
            "id_forms": ", ".join(f"{name} {form}" for name, form in self.id_forms.items()),
        }
