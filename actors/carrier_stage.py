"""The producer of one carrier: pulls its belt by demand and shares the jobs among its binds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from actors.producer_shell import ProducerShell
from actors.stage_actor import StageActor
from actors.stores import ensure_belt, open_belt, open_ledger
from hermes.adapters.override_store_postgres import PostgresOverrideStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.job import stream_of
from hermes.core.priority import Shares
from hermes.core.units import PRIORITIES, Priority
from hermes.ports.override_store import CarrierIntent
from hermes.ports.stream import Delivery, Short
from hermes.stages.dispatcher_affinity import AffinityDispatcher
from hermes.stages.producer import Producer

LONG_POLL = 1.0
POLLED = 10
LONGEST_HOLD = 2.0
PAUSE = 0.2
GATHER = 0.005
LOOK_EVERY = 1.0
TO = b'"to":"'


class CarrierStage(StageActor):
    """Pulls only what its binds asked; what nobody holds for 2 s goes back to the belt."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carrier: Carrier = self.args["carrier"]
        self.wanted = 0
        self.pulled = 0
        self.missing = False
        self.came_of: dict[str, int] = dict.fromkeys(PRIORITIES, 0)
        self.arrived: list[Delivery] = []
        self.flushing: asyncio.TimerHandle
        self.orphaned_at: float | None = None
        self.changed: asyncio.Event
        self.intent: CarrierIntent | None = None

    async def on_begin(self) -> None:
        """Connect, make the stream if it is missing, begin to pull."""
        self.start_metrics()
        self.changed = asyncio.Event()
        self.shares = Shares()
        self.belt = await open_belt(self.wiring, self.name)
        self.puller = await self.belt.pull_by_demand(
            stream_of(self.carrier.id), self.on_item, self.on_short
        )
        self.dispatcher = AffinityDispatcher(destination_of)
        self.producer = ProducerShell(
            self, Producer(self.dispatcher, buffer_size=None), self.on_demand
        )
        self.pool = await open_ledger(self.wiring, self.name, connections=1)
        self.overrides = PostgresOverrideStore(self.pool)
        _ = self.spawn(self.look_forever())
        _ = self.spawn(self.pull_forever())
        _ = self.spawn(self.hold_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """Hand back what is buffered and leave the belt."""
        self.hand_back()
        await self.puller.stop()
        await self.belt.close()

    @property
    def has_binds(self) -> bool:
        """Say whether a bind is subscribed; without one, demand that is left waits."""
        return self.producer is not None and bool(self.producer.core.consumers)

    @property
    def is_going(self) -> bool:
        """Say whether to pull: a bind wants jobs, and no operator paused the carrier.

        Until the ledger has said so once, nobody knows, and nothing is pulled.
        """
        return self.has_binds and self.intent is not None and not self.intent.paused

    async def look_forever(self) -> None:
        """Follow what the operator wants: the ledger keeps it through every restart."""
        while True:
            try:
                intent = await self.overrides.carrier(self.carrier.id)
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
            else:
                if intent != self.intent:
                    self.log.info("carrier.decided", paused=intent.paused, reason=intent.reason)
                    self.intent = intent
                    self.changed.set()
            await asyncio.sleep(LOOK_EVERY)

    def on_demand(self, count: int) -> None:
        """Binds want more."""
        self.wanted += count
        self.changed.set()

    def on_item(self, delivery: Delivery) -> None:
        """A job came; those that come within five milliseconds go out together."""
        self.wanted = max(0, self.wanted - 1)
        self.pulled += 1
        self.came_of[delivery.durable] += 1
        self.arrived.append(delivery)
        if len(self.arrived) == 1:
            self.flushing = self.loop.call_later(GATHER, self.flush)
        elif len(self.arrived) == self.wiring.settings.batch.items:
            self.flushing.cancel()
            self.loop.call_soon(self.flush)
        self.changed.set()

    def on_short(self, durable: str, _count: int, why: Short) -> None:
        """The belt has no more now, or has lost our pull: the demand stands."""
        if why is Short.MISSING:
            self.missing = True
        elif why is not Short.EMPTY:
            self.log.info("belt.short", durable=durable, why=why.value)
        self.changed.set()

    def flush(self) -> None:
        """Give what has come to the binds; what came of a long poll after a pause goes back."""
        batch, self.arrived = self.arrived, []
        if not batch:
            return
        if self.intent is not None and self.intent.paused:
            self.wanted += len(batch)
            _ = self.spawn(self.nak([delivery.reply for delivery in batch]))
            return
        assert self.producer is not None
        self.producer.emit(batch)

    async def pull_forever(self) -> None:
        """Ask the belt for what the binds asked: at once while it has work, else by long polls."""
        while True:
            try:
                if self.missing:
                    await self.ensure()
                if self.wanted == 0 or not self.is_going or not await self.pull_now():
                    await self.wait()
            except StoreUnavailable as error:
                self.log.warning("belt.unavailable", reason=str(error))
                await asyncio.sleep(PAUSE)

    async def wait(self) -> None:
        """Wait for demand, an arrival or the end of a pull."""
        self.changed.clear()
        await self.changed.wait()

    async def pull_now(self) -> bool:
        """Take what is there, each priority its share; False when every one is being polled.

        A priority that has nothing gets a long poll for a few, and is left out until that ends.
        """
        backlog: dict[Priority, int | None] = {
            p: None if self.puller.outstanding(p) == 0 else 0 for p in PRIORITIES
        }
        self.shares, pulls = self.shares.plan(self.wanted, backlog)
        if not pulls:
            return False
        before = {p: self.came_of[p] for p, _ in pulls}
        for priority, count in pulls:
            await self.puller.pull(priority, count)
        while any(self.puller.outstanding(p) for p, _ in pulls):
            await self.wait()
        for priority, count in pulls:
            if self.came_of[priority] - before[priority] < count:
                await self.puller.pull(priority, max(1, min(self.wanted, POLLED)), LONG_POLL)
        return True

    async def ensure(self) -> None:
        """Make the stream again that is gone; the sweeper brings its jobs back."""
        self.missing = False
        await ensure_belt(self.belt, self.wiring, [self.carrier], self.log)

    async def hold_forever(self) -> None:
        """Keep buffered jobs ours, and hand them back when no bind has wanted them for 2 s."""
        every = self.wiring.settings.nats.progress_every
        while True:
            await asyncio.sleep(every)
            assert self.producer is not None
            held = [*self.producer.core.buffer.events, *self.dispatcher]
            now = self.loop.time()
            if self.is_going:
                self.orphaned_at = None
            elif self.orphaned_at is None:
                self.orphaned_at = now
            try:
                if self.orphaned_at is not None and now - self.orphaned_at > LONGEST_HOLD:
                    self.hand_back()
                elif held:
                    await self.belt.progress(*(delivery.reply for delivery in held))
            except StoreUnavailable as error:
                self.log.warning("belt.unavailable", reason=str(error))

    def hand_back(self) -> None:
        """Give what is buffered back to the belt."""
        assert self.producer is not None
        buffer = self.producer.core.buffer
        held = [*buffer.take(len(buffer)), *self.dispatcher.take_waiting()]
        replies = [delivery.reply for delivery in held]
        if replies:
            _ = self.spawn(self.nak(replies))

    async def nak(self, replies: list[str]) -> None:
        """Hand back; what cannot be said now comes back by itself after ack_wait."""
        try:
            await self.belt.nak(*replies)
        except StoreUnavailable as error:
            self.log.warning("belt.unavailable", reason=str(error))

    def describe(self) -> dict[str, Any]:
        """Give demand and buffer."""
        producer = self.producer
        return {
            "carrier": self.carrier.id,
            "paused": self.intent is None or self.intent.paused,
            "demand": self.wanted,
            "binds": len(producer.core.consumers) if producer else 0,
            "buffered": producer.core.buffered_count + self.dispatcher.waiting if producer else 0,
            "pulled": self.pulled,
        }


def destination_of(delivery: Delivery) -> bytes:
    """Give the number a job goes to, whose messages stay with one bind; b"" where none can be read.

    A look at the octets: decoding is the bind's, and this stage sees every job.
    """
    start = delivery.data.find(TO) + len(TO)
    return delivery.data[start : delivery.data.find(b'"', start)] if start >= len(TO) else b""
