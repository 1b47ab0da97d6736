"""The recorder: events from the belt into ledger states, in one transaction a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from actors.dead_letter_kinds import Named, of_event
from actors.stage_actor import StageActor
from actors.stores import dead_letters_of, ensure_belt, open_belt, open_ledger, timing, utc_now
from hermes import crash
from hermes.adapters.event_store_postgres import PostgresEventStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.event import Event, encode_envelope, split_envelope
from hermes.ports.event_store import Applied, BadEvent
from hermes.ports.stream import EVENTS, RECORDER, Delivery

BATCH = 100
MOST_EVENTS = 500
GATHER = 0.025
RETRY_EVERY = 0.5


class RecorderConsumer(StageActor):
    """Acknowledges an envelope only once the ledger has it; a bad event goes to DEAD alone."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carriers: tuple[Carrier, ...] = self.args["carriers"]
        self.receiptless = frozenset(c.id for c in self.carriers if c.receipts == "none")
        self.waiting: list[Delivery] = []
        self.recorded = 0
        self.repeated = 0
        self.came: asyncio.Event

    async def on_begin(self) -> None:
        """Open the stores and begin to pull."""
        self.start_metrics()
        self.came = asyncio.Event()
        self.belt = await open_belt(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        self.store = PostgresEventStore(self.pool, timing(self.wiring))
        self.dead = dead_letters_of(self.belt, self.wiring, self.metrics, self.log)
        await self.belt.pull_continuously(
            EVENTS, RECORDER, self.on_item, self.on_missing, batch=BATCH
        )
        _ = self.spawn(self.record_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """Record what has come, then leave; the rest stays on the belt."""
        if self.waiting:
            await self.record_waiting()
        await self.belt.close()

    def on_missing(self) -> None:
        """The stream is gone: make it again; the sweeper brings back what was on it."""
        _ = self.spawn(ensure_belt(self.belt, self.wiring, self.carriers, self.log))

    def on_item(self, delivery: Delivery) -> None:
        """An envelope came."""
        self.waiting.append(delivery)
        self.came.set()

    async def record_forever(self) -> None:
        """Record batches."""
        while True:
            await self.came.wait()
            self.came.clear()
            await asyncio.sleep(GATHER)
            while self.waiting:
                await self.record_waiting()

    async def record_waiting(self) -> None:
        """Record some envelopes in one transaction; again for as long as the ledger is away."""
        batch: list[Delivery] = []
        events: list[Event] = []
        unread: list[tuple[Delivery, Unreadable]] = []
        letters: list[tuple[Delivery, Named]] = []
        came_in: dict[UUID, Delivery] = {}
        while self.waiting and len(events) < MOST_EVENTS:
            delivery = self.waiting.pop(0)
            try:
                good, bad = split_envelope(delivery.data)
            except Unreadable as error:
                unread.append((delivery, error))
                continue
            batch.append(delivery)
            events += good
            came_in.update((event.id, delivery) for event in good)
            letters += [
                (delivery, of_event(delivery, str(p.error), utc_now(), p.envelope, p.place))
                for p in bad
            ]
        if unread:
            await self.dead.bury(unread)
        applied = await self.apply(events, batch)
        crash.at("after_outcome", len(events))
        letters += [letter_of(came_in[bad.event.id], bad) for bad in applied.bad]
        if letters:
            batch = await self.set_aside(letters, batch)
        self.recorded += applied.new
        self.repeated += applied.repeated
        for event in events:
            self.metrics.events.labels(event.kind).inc()
        await self.quietly_ack(batch)

    async def apply(self, events: list[Event], batch: list[Delivery]) -> Applied:
        """Apply events, trying again while the ledger is away; their envelopes stay ours."""
        while True:
            try:
                return await self.store.apply(events, self.receiptless)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
                await self.still_here(batch)
                await asyncio.sleep(RETRY_EVERY)

    async def quietly_ack(self, batch: list[Delivery]) -> None:
        """Acknowledge; what is lost comes back and is a repeat."""
        try:
            await self.belt.ack_many(delivery.reply for delivery in batch)
        except StoreUnavailable as error:
            self.log.warning("store.unavailable", reason=str(error))

    async def still_here(self, batch: list[Delivery]) -> None:
        """Keep envelopes ours while the ledger is away."""
        try:
            await self.belt.progress(*(d.reply for d in (*batch, *self.waiting)))
        except StoreUnavailable as error:
            self.log.warning("store.unavailable", reason=str(error))

    async def set_aside(
        self, letters: list[tuple[Delivery, Named]], batch: list[Delivery]
    ) -> list[Delivery]:
        """Set single events aside; give the envelopes that have no letter outstanding."""
        stored = await self.dead.store([letter for _, letter in letters])
        owing = {d.seq for (d, _), done in zip(letters, stored, strict=True) if not done}
        return [delivery for delivery in batch if delivery.seq not in owing]

    def describe(self) -> dict[str, Any]:
        """Say what was recorded."""
        return {"waiting": len(self.waiting), "recorded": self.recorded, "repeated": self.repeated}


def letter_of(delivery: Delivery, bad: BadEvent) -> tuple[Delivery, Named]:
    """Make the letter of an event the ledger cannot take."""
    event, why = bad.event, f"{bad.event.kind}: {bad.why}"
    return delivery, of_event(delivery, why, utc_now(), encode_envelope((event,)), event.id)
