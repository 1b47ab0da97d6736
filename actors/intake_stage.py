"""Intake: accepted messages are taken in by compare-and-set and become jobs on a carrier's belt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from actors.cascade_engine import Engine, open_engine
from actors.cascade_steps import LedgerEndings
from actors.event_sink import EventSink
from actors.job_places import JobPlaces
from actors.publish_held import publish_again, with_error
from actors.stage_actor import StageActor
from actors.stores import (
    admin_of,
    dead_letters_of,
    ensure_belt,
    open_belt,
    open_ledger,
    timing,
    utc_now,
)
from cascade.dispatch import SUPPRESSED
from hermes import crash
from hermes.adapters.attempt_store_postgres import PostgresAttemptStore
from hermes.adapters.cascade_ledger_postgres import PostgresCascadeLedger
from hermes.adapters.suppression_postgres import PostgresSuppressionStore
from hermes.core.carrier import Carrier
from hermes.core.cost import over_budget
from hermes.core.errors import HermesBug, StoreUnavailable, Unreadable
from hermes.core.event import EventKind, Source
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import encode_job, job_of, subject_of
from hermes.core.message import Message, decode_message
from hermes.core.plan import Plan
from hermes.core.units import PRIORITIES, Reason
from hermes.core.witness import Witness
from hermes.ports.attempt_store import Offer, Parking, Taken
from hermes.ports.cascade_ledger import ANY_STEP
from hermes.ports.stream import (
    INTAKE,
    Delivery,
    PubAck,
    Publication,
    PublishResult,
    StreamFull,
    StreamMissing,
)
from hermes.ports.suppression_store import Recipient
from hermes.routing.table import RouteTable

BATCH = 200
GATHER = 0.003
RETRY_EVERY = 0.5
FULL_WAIT = 2.0
EXPIRED = Reason("expired", "the validity ended before it was taken in")


class IntakeStage(StageActor):
    """Pulls INTAKE, takes in, routes, publishes the job, notes where it lies, acknowledges."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carriers: tuple[Carrier, ...] = self.args["carriers"]
        self.boot = uuid4().hex
        self.waiting: list[Delivery] = []
        self.taken = 0
        self.parked = 0
        self.is_lazy = self.wiring.has_cascades and self.wiring.settings.restate.lazy_start
        self.engine: Engine | None = None
        self.came: asyncio.Event

    async def on_begin(self) -> None:
        """Open the stores and begin to pull."""
        self.start_metrics()
        self.came = asyncio.Event()
        self.routes = RouteTable(self.carriers)
        self.belt = await open_belt(self.wiring, self.name)
        self.admin = admin_of(self.belt, self.wiring)
        self.pool = await open_ledger(self.wiring, self.name)
        source = Source(self.wiring.host, self.name, self.boot)
        self.store = PostgresAttemptStore(self.pool, source, timing(self.wiring))
        self.places = JobPlaces(self.store, self.admin)
        self.witness = Witness(source, "")
        self.sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        self.dead = dead_letters_of(self.belt, self.wiring, self.metrics, self.log)
        self.suppressions = PostgresSuppressionStore(self.pool)
        self.cascades = PostgresCascadeLedger(self.pool, self.wiring.postgres_dsn)
        if self.wiring.has_cascades:
            self.engine = open_engine(self.wiring, LedgerEndings(self.cascades))
        for priority in PRIORITIES:
            await self.belt.pull_continuously(
                INTAKE, priority, self.on_item, self.on_missing, batch=BATCH
            )
        _ = self.spawn(self.take_forever())
        _ = self.spawn(self.places.record_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """What is not acknowledged comes back to whoever is next."""
        await self.places.record()
        if self.engine is not None:
            await self.engine.close()
        await self.belt.close()

    def on_missing(self) -> None:
        """The stream is gone: make it again; the sweeper brings back what was on it."""
        _ = self.spawn(ensure_belt(self.belt, self.wiring, self.carriers, self.log))

    def on_item(self, delivery: Delivery) -> None:
        """A message came."""
        self.waiting.append(delivery)
        self.came.set()

    async def take_forever(self) -> None:
        """Take in batches."""
        while True:
            await self.came.wait()
            self.came.clear()
            await asyncio.sleep(GATHER)
            while self.waiting:
                batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
                try:
                    await self.take(batch)
                except (StoreUnavailable, StreamMissing) as error:
                    self.log.warning("store.unavailable", reason=str(error))
                    await asyncio.sleep(RETRY_EVERY)

    async def take(self, batch: list[Delivery]) -> None:
        """Take in one batch; what is not acknowledged is delivered again."""
        messages, done = await self.read(batch)
        offers = await self.offers(messages, done)
        results = await self.store.take_in(offers) if offers else []
        crash.at("after_intake", len(offers))
        go: list[tuple[Delivery, Message, Taken]] = []
        cascades: list[Message] = []
        for result in results:
            delivery, message = messages[result.message]
            if result.status in ("taken", "again") and result.attempt and result.carrier:
                go.append((delivery, message, result))
                continue
            if result.status in ("taken", "again") and not message.plan.is_direct:
                cascades.append(message)
            if result.status == "expired":
                await self.tell_end(message, "expired", EXPIRED)
            elif result.status == "absent":
                self.log.warning("intake.absent", message_id=encode_message_id(message.id))
            done.append(delivery.reply)
        done += await self.publish(go)
        cascades += [message for _, message, _ in go if not message.plan.is_direct]
        if cascades:
            await self.start_cascades(cascades)
        await self.belt.ack_many(done)

    async def read(
        self, batch: Sequence[Delivery]
    ) -> tuple[dict[UUID, tuple[Delivery, Message]], list[str]]:
        """Read messages, each once; give also what may be acknowledged already."""
        messages: dict[UUID, tuple[Delivery, Message]] = {}
        done: list[str] = []
        unread: list[tuple[Delivery, Unreadable]] = []
        for delivery in batch:
            try:
                message = decode_message(delivery.data)
            except Unreadable as error:
                unread.append((delivery, error))
                continue
            if message.id in messages:
                done.append(delivery.reply)
            messages.setdefault(message.id, (delivery, message))
        if unread:
            await self.dead.bury(unread)
        return messages, done

    async def offers(
        self, messages: Mapping[UUID, tuple[Delivery, Message]], done: list[str]
    ) -> list[Offer]:
        """Choose carriers; what must not be sent at all is told and `done`."""
        listed = await self.suppressed([message for _, message in messages.values()])
        offers = []
        for delivery, message in messages.values():
            offer = self.offer(message)
            why = over_budget(message.plan.max_cost, (), offer.price, offer.segments)
            reason = Reason("max_cost", why) if why else None
            if message.id in listed:
                reason = SUPPRESSED
            if reason is not None and message.plan.is_direct:
                await self.tell_end(message, "failed", reason)
                done.append(delivery.reply)
            elif reason is not None:  # the engine finds the same, and goes on to the next step
                offers.append(Offer(message=message.id, carrier=None, segments=message.segments))
            else:
                offers.append(offer)
        return offers

    async def suppressed(self, messages: Sequence[Message]) -> set[UUID]:
        """Give those whose first step is a mail to somebody on the tenant's suppression list."""
        wanted = {
            message.id: Recipient(message.tenant, "email", message.plan.steps[0].to or message.to)
            for message in messages
            if message.plan.steps[0].channel == "email"
        }
        listed = await self.suppressions.suppressed(list(wanted.values()))
        return {message for message, recipient in wanted.items() if recipient in listed}

    def offer(self, message: Message) -> Offer:
        """Choose the carrier; a plan of more steps goes to the cascade engine.

        With a lazy start its first step goes out as that of any other message.
        """
        if not (message.plan.is_direct or self.is_lazy_for(message.plan)):
            return Offer(message=message.id, carrier=None, segments=message.segments)
        step = message.plan.steps[0]
        route = self.routes.choose(step.to or message.to, step.route, step.channel)
        return Offer(
            message=message.id,
            carrier=route.carrier,
            segments=message.segments,
            price=route.price,
        )

    async def start_cascades(self, messages: Sequence[Message]) -> None:
        """Start their engine; what it does not take now is news for the outcome stage."""
        started = await asyncio.gather(*map(self.start_cascade, messages))
        left = [m.id for m, is_started in zip(messages, started, strict=True) if not is_started]
        crash.at("after_start", len(messages))
        await self.cascades.add_news([(message, ANY_STEP) for message in left])

    async def start_cascade(self, message: Message) -> bool:
        """Start one; False: the engine is away."""
        if self.engine is None:
            return False
        after: timedelta | None = None
        if self.is_lazy_for(message.plan):
            wait_s = message.plan.steps[0].wait_s
            life = message.expires_at - utc_now()
            after = life if wait_s is None else min(life, timedelta(seconds=wait_s))
        try:
            mid = encode_message_id(message.id)
            plan = message.plan.without_people()
            await self.engine.cascades.start(mid, plan, after=after)
        except (StoreUnavailable, HermesBug) as error:
            self.log.warning("cascade.not_started", reason=str(error))
            return False
        return True

    def is_lazy_for(self, plan: Plan) -> bool:
        """Say whether a plan's first step may go out before its engine knows of it.

        Not where the step's wait begins when it was sent, or a bound on the cost has to be kept.
        """
        is_plain = plan.steps[0].wait_from == "dispatch" and plan.max_cost is None
        return self.is_lazy and is_plain

    async def publish(self, go: Sequence[tuple[Delivery, Message, Taken]]) -> list[str]:
        """Put jobs on the belt and note where they lie; give what may be acknowledged."""
        publications = [self.publication(message, taken) for _, message, taken in go]
        results = await self.put(publications) if go else []
        crash.at("after_jobs", len(publications))
        parkings: list[Parking] = []
        done: list[str] = []
        for (delivery, message, taken), result in zip(go, results, strict=True):
            match result:
                case PubAck() if taken.attempt is not None:
                    await self.places.note(taken.attempt, result)
                    self.taken += 1
                    done.append(delivery.reply)
                case StreamFull():
                    reason = Reason("carrier_full", str(result))
                    parkings.append(Parking(message=message.id, reason=reason, after_s=FULL_WAIT))
                    done.append(delivery.reply)
                case _:
                    self.log.warning("job.not_published", reason=str(result))
        if parkings:
            await self.store.park(parkings)
        self.parked += len(parkings)
        return done

    async def put(self, publications: Sequence[Publication]) -> list[PublishResult]:
        """Publish; what finds no stream goes again once it is made: INTAKE may be gone too."""
        results = list(await self.belt.publish_batch(publications))
        if with_error(results, StreamMissing):
            await ensure_belt(self.belt, self.wiring, self.carriers, self.log)
            await publish_again(self.belt, publications, results, StreamMissing)
        return results

    def publication(self, message: Message, taken: Taken) -> Publication:
        """Make the publication of a job; its id is the attempt id."""
        assert taken.attempt is not None
        assert taken.carrier is not None
        queued_at = taken.queued_at or message.accepted_at
        job = job_of(message, taken.attempt, taken.carrier, queued_at)
        return Publication(subject_of(job), encode_job(job), taken.attempt)

    async def tell_end(self, message: Message, kind: EventKind, reason: Reason) -> None:
        """Tell how a message ended that never became a job."""
        attempt = attempt_id(encode_message_id(message.id), 0, 0)
        await self.sink.store([self.witness.tell(attempt, kind, utc_now(), reason=reason)])

    def describe(self) -> dict[str, Any]:
        """Say what was taken in."""
        return {"waiting": len(self.waiting), "taken": self.taken, "parked": self.parked}
