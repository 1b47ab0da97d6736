"""One account at a carrier: demand, leases and jobs in hand, whatever the protocol."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import uuid4

from actors.consumer_shell import ConsumerShell
from actors.job_submits import JobSubmits
from actors.stage_actor import StageActor
from actors.stores import open_belt, open_memory
from hermes.adapters.claims_redis import RedisLeases
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.ready import next_ask, ready_target
from hermes.progress import tell

LONGEST_PAUSE = 2.0
RATE_WEIGHT = 0.3
MAX_DEMAND = 10_000


class Session(Protocol):
    """The lives of an account's connections."""

    state: str
    reason: str

    async def drain(self, timeout_s: float) -> None:
        """End this life once what is under way is answered; there is no next one."""
        ...


class AccountConsumer(StageActor, ABC):
    """Manual demand: width + ready - (in flight + held); asks only while somebody is there.

    `place` names the account within its carrier, `channel` what its jobs are, `stopped` is the
    word of the log line at its end.
    """

    submits: JobSubmits
    session: Session
    channel: str
    stopped: str

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carrier: Carrier = self.args["carrier"]
        self.boot = uuid4().hex
        self.tag: str | None = None
        self.rate = 0.0
        self.away_since: float | None = None

    @property
    @abstractmethod
    def place(self) -> str:
        """The account's name within its carrier."""

    @abstractmethod
    def width(self) -> int:
        """Give how many may be on their way at a time, 0 while nothing may be asked."""

    @property
    def me(self) -> str:
        """The owner string of this incarnation's claims."""
        return f"{self.wiring.host}/{self.place}/{self.boot}"

    async def open_stores(self) -> None:
        """Open what every account needs; first thing in `on_begin`."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.leases = RedisLeases(self.memory)

    def work(self, hold_session: Any) -> None:
        """Start what every account does; last thing but subscribing in `on_begin`."""
        self.submits.on_change = self.ask
        self.consumer = ConsumerShell(self, self.on_events, self.on_lost)
        for each in (
            hold_session,
            self.submits.submit_forever(),
            self.submits.outcomes.settle_forever(),
            self.submits.outcomes.tell_forever(),
            self.hold_jobs(),
            self.hold_lease(),
            self.measure_rate(),
        ):
            _ = self.spawn(each)

    def subscribe(self) -> None:
        """Subscribe to the carrier's stage, again whenever it is lost."""
        assert self.consumer is not None
        stage = (*self.path[:-1], "stage")
        subscribed = self.consumer.keep_subscribed(
            stage, {"max_demand": MAX_DEMAND}, manual=True, on_subscribed=self.on_subscribed
        )
        _ = self.spawn(subscribed)

    async def on_stop(self, deadline_s: float) -> None:
        """Stop asking, let what is in flight be answered, leave, hand back the rest."""
        self.submits.stopping = True
        handed = await self.submits.hand_back()
        await self.session.drain(max(1.0, deadline_s / 2))
        # what was queued there, or came back meanwhile
        handed += await self.submits.hand_back()
        while not self.submits.outcomes.is_idle:  # noqa: ASYNC110 - idle is a count of many
            await asyncio.sleep(0.02)
        await self.quietly(self.leases.release(self.boot))
        self.log.info(self.stopped, handed_back=handed)
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

    def ask(self) -> None:
        """Ask for what is missing, once half of ready is."""
        submits = self.submits
        if self.tag is None or self.consumer is None or submits.stopping:
            return
        width = self.width()
        if width == 0 or submits.out.sink.is_refused:
            return
        count = next_ask(
            window=width,
            ready=ready_target(self.rate, width, self.wiring.settings.smpp.ready),
            in_flight=submits.in_flight,
            held=submits.held_count,
            asked=self.consumer.core.demand_of(self.tag),
        )
        if count:
            self.consumer.ask(self.tag, count)

    def asked(self) -> int:
        """Give the demand that is open."""
        if self.consumer is None or self.tag is None:
            return 0
        return self.consumer.core.demand_of(self.tag)

    # The connection

    def arrived(self, words: str) -> None:
        """Traffic may flow."""
        self.away_since = None
        self.submits.wake_up()
        self.metrics.binds.labels(self.carrier.id, self.place).set(1)
        tell(self.wiring.socket_dir, f"carrier {self.carrier.id}", words)
        self.loop.call_soon(self.ask)

    def left(self) -> None:
        """Nobody is there."""
        if self.away_since is None:
            self.away_since = self.loop.time()
        self.metrics.binds.labels(self.carrier.id, self.place).set(0)

    # Time

    async def hold_jobs(self) -> None:
        """Keep what is in hand ours; hand back what a pause over 2 s leaves idle."""
        while True:
            await asyncio.sleep(self.wiring.settings.nats.progress_every)
            since = self.away_since
            is_away = since is not None and not self.submits.stopping
            if is_away and self.loop.time() - (since or 0.0) > LONGEST_PAUSE:
                await self.submits.hand_back()
            replies = [held.reply for held in self.submits.held.values()]
            if replies:
                await self.quietly(self.belt.progress(*replies))
            self.submits.wake_up()
            self.ask()

    async def hold_lease(self) -> None:
        """Keep the lease of this incarnation; the one before it is gone at once."""
        redis = self.wiring.settings.redis
        known = False
        while True:
            try:
                if not known or not await self.leases.renew(self.boot, redis.lease):
                    place = f"{self.carrier.id}/{self.place}"
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
            now = self.submits.accepted_count
            self.rate += RATE_WEIGHT * (now - before - self.rate)
            before = now
            self.metrics.inflight.labels(self.channel).set(self.submits.in_flight)
            self.ask()
