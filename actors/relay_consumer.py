"""One mail relay account: consumer of its carrier stage."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from actors.consumer_shell import ConsumerShell
from actors.contract_rate import contract_of
from actors.event_sink import EventSink
from actors.relay_outcomes import MailOutside
from actors.relay_session import RelayEars, RelaySession
from actors.relay_submits import RelaySubmits
from actors.stage_actor import StageActor
from actors.stores import dead_letters_of, open_belt, open_memory, utc_now
from hermes.adapters.bounce_rules_file import load_rules
from hermes.adapters.claims_redis import RedisClaims, RedisLeases
from hermes.adapters.rate_limits_redis import RedisRateLimits
from hermes.adapters.relay_pool import RelayPool
from hermes.adapters.relay_settings import relay_settings_of
from hermes.core.carrier import Carrier, RelayAccount
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Source
from hermes.core.ready import next_ask, ready_target
from hermes.core.witness import Witness
from hermes.mail.address import parse_mailbox
from hermes.mail.job_mail import Composer
from hermes.mail.verdict import Classifier, overrides_of
from hermes.ports.relay import Relay
from hermes.progress import tell
from hermes.settings.mail_secret import verp_of
from hermes.smpp.backoff import BackoffTimes

RELAY = "relay"
LONGEST_PAUSE = 2.0
RATE_WEIGHT = 0.3
MAX_DEMAND = 10_000


class RelayConsumer(StageActor):
    """Manual demand: free connections and a little ready, less what is held; none while paused."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carrier: Carrier = self.args["carrier"]
        self.account: RelayAccount = self.args["relay"]
        self.boot = uuid4().hex
        self.tag: str | None = None
        self.rate = 0.0
        self.closed_at: float | None = None

    @property
    def me(self) -> str:
        """The owner string of this incarnation's claims."""
        return f"{self.wiring.host}/{RELAY}/{self.boot}"

    async def on_begin(self) -> None:
        """Open the stores, then the relay, and subscribe in the background."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.leases = RedisLeases(self.memory)
        self.submits = self.make_submits()
        self.session = self.make_session()
        self.submits.on_change = self.ask
        self.submits.judging.on_wrong = self.session.leave
        self.consumer = ConsumerShell(self, self.on_events, self.on_lost)
        for work in (
            self.session.hold_forever(),
            self.submits.submit_forever(),
            self.submits.outcomes.settle_forever(),
            self.submits.outcomes.tell_forever(),
            self.hold_jobs(),
            self.hold_lease(),
            self.measure_rate(),
        ):
            _ = self.spawn(work)
        stage = (*self.path[:-1], "stage")
        subscribed = self.consumer.keep_subscribed(
            stage, {"max_demand": MAX_DEMAND}, manual=True, on_subscribed=self.on_subscribed
        )
        _ = self.spawn(subscribed)

    def make_submits(self) -> RelaySubmits:
        """Make the outbound side over this host's stores."""
        wiring = self.wiring
        outside = MailOutside(
            RedisClaims(self.memory, round(wiring.settings.redis.settled_ttl)),
            self.leases,
            self.belt,
            EventSink(self.belt, f"{wiring.host}-{self.name}"),
            dead_letters_of(self.belt, wiring, self.metrics, self.log),
            utc_now,
            lambda: self.memory.made_at,
            self.metrics,
        )
        witness = Witness(Source(wiring.host, self.name, self.boot), self.carrier.id)
        composer = Composer(
            parse_mailbox(self.carrier.default_sender or ""), wiring.mail_domain, verp_of(wiring)
        )
        classifier = Classifier(load_rules(), overrides_of(self.carrier.status_map))
        submits = RelaySubmits(self.carrier, witness, self.me, outside, composer, classifier)
        submits.contract = contract_of(self.carrier, RedisRateLimits(self.memory))
        return submits

    def make_session(self) -> RelaySession:
        """Make what holds the account's connections."""
        smpp = self.wiring.settings.smpp
        settings = relay_settings_of(self.account, self.wiring.mail_domain, smpp)
        times = BackoffTimes(
            smpp.backoff_first, smpp.backoff_max, smpp.backoff_bound, smpp.backoff_refused
        )
        ears = RelayEars(self.on_open, self.on_closed, self.submits.wake_up)
        return RelaySession(lambda told: RelayPool(settings, told), times, ears, self.log)

    async def on_stop(self, deadline_s: float) -> None:
        """Stop asking, let what is under way be answered, leave, hand back the rest."""
        self.submits.stopping = True
        handed = await self.submits.hand_back()
        await self.session.drain(max(1.0, deadline_s / 2))
        # what the relay had not begun, or sent back meanwhile
        handed += await self.submits.hand_back()
        while not self.submits.outcomes.is_idle:  # noqa: ASYNC110 - idle is a sum of two
            await asyncio.sleep(0.02)
        await self.quietly(self.leases.release(self.boot))
        self.log.info("relay.stopped", handed_back=handed)
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
        """Ask for what is missing, once half of ready is; nothing while the relay takes nothing."""
        submits = self.submits
        if self.tag is None or submits.stopping or submits.out.sink.is_refused:
            return
        width = submits.in_flight + submits.credit
        if self.consumer is None or width == 0 or self.is_paused():
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

    def is_paused(self) -> bool:
        """Say whether the relay takes nothing although it has room."""
        return self.submits.credit == 0 and self.submits.in_flight < self.account.connections

    # The relay

    def on_open(self, relay: Relay) -> None:
        """Mail may flow."""
        self.closed_at = None
        self.submits.relay = relay
        self.submits.wake_up()
        self.metrics.binds.labels(self.carrier.id, RELAY).set(1)
        tell(self.wiring.socket_dir, f"carrier {self.carrier.id}", "the relay is open")
        self.loop.call_soon(self.ask)

    def on_closed(self) -> None:
        """This life of the relay ended."""
        if self.closed_at is None:
            self.closed_at = self.loop.time()
        self.submits.unlink()
        self.metrics.binds.labels(self.carrier.id, RELAY).set(0)

    # Time

    async def hold_jobs(self) -> None:
        """Keep what is in hand ours; hand back what an outage over 2 s leaves idle."""
        while True:
            await asyncio.sleep(self.wiring.settings.nats.progress_every)
            is_out = self.closed_at is not None and not self.submits.stopping
            if is_out and self.loop.time() - (self.closed_at or 0.0) > LONGEST_PAUSE:
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
                    place = f"{self.carrier.id}/{RELAY}"
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
            now = self.submits.judging.accepted_count
            self.rate += RATE_WEIGHT * (now - before - self.rate)
            before = now
            self.metrics.inflight.labels("email").set(self.submits.in_flight)
            self.ask()

    def describe(self) -> dict[str, Any]:
        """Say how the relay is."""
        submits, consumer, session = self.submits, self.consumer, self.session
        reason = session.reason or submits.out.sink.last_error or submits.judging.last_refusal
        asked = consumer.core.demand_of(self.tag) if consumer is not None and self.tag else 0
        return {
            "carrier": self.carrier.id,
            "relay": f"{self.account.host}:{self.account.port}",
            "state": session.state,
            "in_flight": submits.in_flight,
            "held": submits.held_count,
            "asked": asked,
            "connections": self.account.connections,
            "rate": round(self.rate, 1),
            "accepted": submits.judging.accepted_count,
            "reason": reason,
        }
