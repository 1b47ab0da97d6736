"""One SMPP bind: consumer of its carrier stage, producer of what the carrier sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from actors.bind_inbound import InboundSide, Place
from actors.bind_outcomes import Outside
from actors.bind_session import BindSession, Ears
from actors.bind_submits import Submits
from actors.consumer_shell import ConsumerShell
from actors.contract_rate import contract_of
from actors.event_sink import EventSink
from actors.producer_shell import ProducerShell
from actors.stage_actor import StageActor
from actors.stores import dead_letters_of, open_belt, open_ledger, open_memory
from hermes.adapters.claims_redis import RedisClaims, RedisLeases
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.rate_limits_redis import RedisRateLimits
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.core.carrier import Bind, Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Source
from hermes.core.ready import next_ask, ready_target
from hermes.core.witness import Witness
from hermes.ports.inbound_store import Inbound as InboundRow
from hermes.ports.link import Link
from hermes.progress import tell
from hermes.smpp.pacing import Pacing
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.producer import Producer

LONGEST_PAUSE = 2.0
RATE_WEIGHT = 0.3
EMIT_EVERY = 0.02
MAX_DEMAND = 10_000


class BindConsumer(StageActor):
    """Manual demand: window + ready - (in flight + held); asks only while bound."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carrier: Carrier = self.args["carrier"]
        self.bind: Bind = self.args["bind"]
        self.boot = uuid4().hex
        self.tag: str | None = None
        self.rate = 0.0
        self.unbound_at: float | None = None
        self.stored: list[InboundRow] = []
        self.problems = 0

    @staticmethod
    def clock() -> datetime:
        """The host's UTC time, for what the ledger's time does not decide."""
        return datetime.now(UTC)  # noqa: TID251 - the shell's clock

    @property
    def me(self) -> str:
        """The owner string of this incarnation's claims."""
        return f"{self.wiring.host}/{self.bind.id}/{self.boot}"

    async def on_begin(self) -> None:
        """Open the stores, then bind and subscribe in the background."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        self.leases = RedisLeases(self.memory)
        redis = self.wiring.settings.redis
        settled_ttl = round(redis.settled_ttl)
        source = Source(self.wiring.host, self.name, self.boot)
        sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        outside = Outside(
            RedisClaims(self.memory, settled_ttl),
            self.leases,
            RedisReceiptStore(
                self.memory,
                {self.carrier.id: self.carrier.id_form},
                settled_ttl_s=settled_ttl,
                final_ttl_s=round(redis.final_ttl),
            ),
            self.belt,
            sink,
            dead_letters_of(self.belt, self.wiring, self.metrics, self.log),
            self.clock,
            lambda: self.memory.made_at,
            self.metrics,
        )
        witness = Witness(source, self.carrier.id)
        pacing = Pacing(self.carrier.max_rate)
        self.submits = Submits(self.carrier, witness, self.me, outside, pacing)
        self.submits.contract = contract_of(self.carrier, RedisRateLimits(self.memory))
        self.submits.on_change = self.ask
        settings = self.wiring.settings
        stages = settings.receipts.stages
        self.inbound = InboundSide(
            Place(self.carrier.id, self.bind.id, self.wiring.host, stages),
            PostgresInboundStore(self.pool),
            self.emit,
            self.clock,
            (settings.smpp.max_unanswered, settings.batch.items, settings.batch.wait),
        )
        dispatcher = PartitionDispatcher(
            partitions=tuple(range(stages)), hash_event=lambda row: (row, row.partition)
        )
        self.producer = ProducerShell(
            self, Producer(dispatcher, buffer_size=10_000), lambda _: None
        )
        self.consumer = ConsumerShell(self, self.on_events, self.on_lost)
        ears = Ears(
            self.inbound.on_deliver,
            self.on_bound,
            self.on_unbound,
            self.on_credit,
            self.submits.on_late,
            self.submits.on_congestion,
            self.submits.on_nack,
            self.on_problem,
        )
        self.session = BindSession(self.bind, settings.smpp, ears, self.log)
        self.submits.on_wrong = self.session.rebind
        for work in (
            self.session.hold_forever(),
            self.submits.submit_forever(),
            self.submits.outcomes.settle_forever(),
            self.submits.outcomes.tell_forever(),
            self.inbound.store_forever(),
            self.hold_jobs(),
            self.hold_lease(),
            self.measure_rate(),
        ):
            _ = self.spawn(work)
        if self.bind.mode != "rx":
            stage = (*self.path[:-1], "stage")
            subscribed = self.consumer.keep_subscribed(
                stage, {"max_demand": MAX_DEMAND}, manual=True, on_subscribed=self.on_subscribed
            )
            _ = self.spawn(subscribed)

    async def on_stop(self, deadline_s: float) -> None:
        """Stop asking, let what is in flight be answered, unbind, hand back the rest."""
        self.submits.stopping = True
        handed = await self.submits.hand_back()
        await self.session.drain(max(1.0, deadline_s / 2))
        # what the link had queued, or the carrier throttled meanwhile
        handed += await self.submits.hand_back()
        while not self.submits.outcomes.is_idle:  # noqa: ASYNC110 - idle is a sum of three
            await asyncio.sleep(0.02)
        await self.quietly(self.leases.release(self.boot))
        self.log.info("bind.stopped", handed_back=handed)
        await self.belt.close()

    async def quietly(self, work: Any) -> None:
        """Await what may fail because a store is away."""
        try:
            await work
        except StoreUnavailable as error:
            self.log.warning("store.unavailable", reason=str(error))

    # Demand

    def on_subscribed(self, tag: str) -> None:
        """The stage is there."""
        self.tag = tag
        self.ask()

    def on_lost(self, _tag: str) -> None:
        """The stage is gone; what is in hand goes on."""
        self.tag = None

    def on_events(self, _tag: str, batch: tuple[Any, ...]) -> None:
        """Jobs came."""
        assert self.consumer is not None
        self.consumer.handled()
        self.submits.hold(batch)

    def on_credit(self) -> None:
        """A slot is free."""
        self.submits.wake.set()

    def ask(self) -> None:
        """Ask for what is missing, once half of ready is."""
        if self.tag is None or self.submits.link is None or self.submits.stopping:
            return
        if self.submits.out.sink.is_refused or self.consumer is None:
            return
        count = next_ask(
            window=self.bind.window,
            ready=self.ready_now(),
            in_flight=self.submits.in_flight,
            held=self.submits.held_count,
            asked=self.consumer.core.demand_of(self.tag),
        )
        if count:
            self.consumer.ask(self.tag, count)

    def ready_now(self) -> int:
        """Give how many unclaimed jobs to hold at the present rate."""
        return ready_target(self.rate, self.bind.window, self.wiring.settings.smpp.ready)

    # Link

    def on_bound(self, link: Link) -> None:
        """Traffic may flow."""
        self.unbound_at = None
        self.submits.link = link
        self.submits.wake.set()
        self.metrics.binds.labels(self.carrier.id, self.bind.id).set(1)
        tell(self.wiring.socket_dir, f"carrier {self.carrier.id}", f"bind {self.bind.id} is bound")
        self.loop.call_soon(self.ask)

    def on_unbound(self) -> None:
        """The session ended."""
        if self.unbound_at is None:
            self.unbound_at = self.loop.time()
        self.submits.unlink()
        self.metrics.binds.labels(self.carrier.id, self.bind.id).set(0)

    def on_problem(self, reason: str) -> None:
        """The carrier sent what it must not; the session goes on."""
        self.problems += 1
        self.metrics.problems.labels(self.carrier.id, self.bind.id).inc()
        if self.problems & (self.problems - 1) == 0:  # 1, 2, 4, 8 …: a flood fills no log
            self.log.warning("bind.problem", reason=reason, count=self.problems)

    def emit(self, rows: list[InboundRow]) -> None:
        """Give stored PDUs to the receipt stages, those of a moment together."""
        if not self.stored:
            self.later(EMIT_EVERY, self.emit_stored)
        self.stored += rows

    def emit_stored(self) -> None:
        """Give what was stored lately."""
        rows, self.stored = self.stored, []
        if self.producer is not None:
            self.producer.emit(rows)

    # Time

    async def hold_jobs(self) -> None:
        """Keep what is in hand ours; hand back what a pause over 2 s leaves idle."""
        while True:
            await asyncio.sleep(self.wiring.settings.nats.progress_every)
            paused = self.unbound_at is not None and not self.submits.stopping
            if paused and self.loop.time() - (self.unbound_at or 0.0) > LONGEST_PAUSE:
                await self.submits.hand_back()
            replies = [held.reply for held in self.submits.held.values()]
            if replies:
                await self.quietly(self.belt.progress(*replies))
            self.submits.wake.set()
            self.ask()

    async def hold_lease(self) -> None:
        """Keep the lease of this incarnation; the one before it is gone at once."""
        redis = self.wiring.settings.redis
        known = False
        while True:
            try:
                if not known or not await self.leases.renew(self.boot, redis.lease):
                    place = f"{self.carrier.id}/{self.bind.id}"
                    await self.leases.replace(self.wiring.host, place, self.boot, redis.lease)
                    known = True
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
            await asyncio.sleep(redis.lease_renew)

    async def measure_rate(self) -> None:
        """Know the accepted rate, for what to hold ready."""
        before = 0
        while True:
            await asyncio.sleep(1.0)
            now = self.submits.outcomes.accepted_count
            self.rate += RATE_WEIGHT * (now - before - self.rate)
            before = now
            self.metrics.inflight.labels("sms").set(self.submits.in_flight)
            self.ask()

    def describe(self) -> dict[str, Any]:
        """Say how the bind is."""
        submits, consumer = self.submits, self.consumer
        asked = consumer.core.demand_of(self.tag) if consumer is not None and self.tag else 0
        pace = submits.pacing.rate
        return {
            "carrier": self.carrier.id,
            "bind": self.bind.id,
            "state": self.session.state,
            "in_flight": submits.in_flight,
            "window": self.bind.window,
            "held": submits.held_count,
            "asked": asked,
            "rate": round(self.rate, 1),
            "pace": None if pace is None else round(pace, 1),
            "accepted": submits.outcomes.accepted_count,
            "unanswered_inbound": self.inbound.unanswered,
            "refused_inbound": self.inbound.refused,
            "problems": self.problems,
            "rtt_ms": None if self.session.rtt is None else round(self.session.rtt * 1000, 2),
            "reason": self.session.reason or submits.out.sink.last_error,
        }
