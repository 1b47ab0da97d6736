"""Outcomes: tells the cascade engine what the ledger knows, and stops what a cascade left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_never
from uuid import uuid4

from actors.cascade_engine import open_engine
from actors.cascade_steps import LedgerEndings
from actors.event_sink import EventSink
from actors.stage_actor import StageActor
from actors.stores import open_belt, open_ledger, open_memory, timing, utc_now
from cascade.engines.restate_server import BUILDERS
from cascade.news import (
    CancelEngine,
    NewsAction,
    StartEngine,
    Stop,
    Supersede,
    Tell,
    actions_of,
)
from hermes import crash
from hermes.adapters.cascade_ledger_postgres import PostgresCascadeLedger
from hermes.adapters.claims_redis import RedisClaims
from hermes.core.carrier import Carrier
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.core.event import Event, Source
from hermes.core.ids import encode_message_id
from hermes.core.outcome import Rules
from hermes.core.witness import Witness
from hermes.ports.cascade_ledger import News, OpenCascade
from hermes.progress import tell

BATCH = 200
LEASE = 5.0
LISTEN = 1.0
RETRY_EVERY = 0.5
REGISTER_EVERY = 60.0
CLAIM_TTL = 8 * 86_400


class OutcomeStage(StageActor):
    """Reads news from the ledger, where the recorder left them, and forgets them once told.

    It also registers the endpoint at the engine, and resumes what an outage parked.
    """

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        carriers: tuple[Carrier, ...] = self.args["carriers"]
        self.receiptless = frozenset(c.id for c in carriers if c.receipts == "none")
        self.boot = uuid4().hex
        self.counts = dict.fromkeys(("told", "unknown", "stopped", "superseded", "started"), 0)
        self.is_registered = False
        self.problem = ""
        self.parked = 0

    async def on_begin(self) -> None:
        """Open the stores, then tell and register in the background."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.memory = await open_memory(self.wiring, self.name)
        self.pool = await open_ledger(self.wiring, self.name)
        self.ledger = PostgresCascadeLedger(
            self.pool, self.wiring.postgres_dsn, timing(self.wiring)
        )
        self.claims = RedisClaims(self.memory, round(self.wiring.settings.redis.settled_ttl))
        self.source = Source(self.wiring.host, self.name, self.boot)
        self.sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        self.engine = open_engine(self.wiring, LedgerEndings(self.ledger))
        self.operations = self.engine.operations
        _ = self.spawn(self.tell_forever())
        _ = self.spawn(self.keep_registered())

    async def on_stop(self, deadline_s: float) -> None:
        """What is not told comes again to whoever is next."""
        await self.engine.close()
        await self.ledger.close()
        await self.belt.close()

    # News

    async def tell_forever(self) -> None:
        """Tell news as they come."""
        while True:
            try:
                news = await self.ledger.due_news(BATCH, LEASE)
                if news:
                    await self.tell_all(news)
                else:
                    await self.ledger.wait_for_news(LISTEN)
            except StoreUnavailable as error:
                self.problem = str(error)
                self.log.warning("store.unavailable", reason=str(error))
                await asyncio.sleep(RETRY_EVERY)

    async def tell_all(self, news: Sequence[News]) -> None:
        """Tell a batch; what could not be told comes again when its lease is over."""
        found = await self.ledger.read(list({one.message for one in news}))
        marks: list[Event] = []
        results = await asyncio.gather(
            *(self.tell_one(found.get(one.message), one.step, marks) for one in news)
        )
        done = [one for one, is_told in zip(news, results, strict=True) if is_told]
        crash.at("after_tell", len(done))
        await self.ledger.told(done, marks)

    async def tell_one(self, cascade: OpenCascade | None, step: int, marks: list[Event]) -> bool:
        """Do what the news of one step asks; False: it must be done again."""
        if cascade is None:
            return True
        rules = Rules(now=cascade.now, timing=timing(self.wiring), receiptless=self.receiptless)
        try:
            for action in actions_of(cascade, step, rules):
                await self.perform(cascade, action, marks)
        except (StoreUnavailable, HermesBug) as error:
            self.problem = str(error)
            self.log.warning(
                "cascade.not_told", message_id=encode_message_id(cascade.id), reason=str(error)
            )
            return False
        return True

    async def perform(self, cascade: OpenCascade, action: NewsAction, marks: list[Event]) -> None:
        """Do one thing."""
        mid = encode_message_id(cascade.id)
        match action:
            case Tell(token, outcome):
                fate = await self.engine.cascades.outcome(token, outcome)
                if fate != "undecided":
                    self.count("told" if fate == "told" else "unknown")
            case StartEngine(after_s):
                assert cascade.plan is not None
                after = timedelta(seconds=after_s) if after_s else None
                await self.engine.cascades.start(mid, cascade.plan.without_people(), after=after)
                self.count("started")
            case CancelEngine():
                await self.engine.cascades.cancel(mid, "cancelled")
            case Stop(attempt, reason):
                if attempt.carrier is not None and await self.claims.cancel(
                    attempt.carrier, attempt.id, CLAIM_TTL
                ):
                    self.count("stopped")
                    witness = Witness(self.source, attempt.carrier)
                    await self.sink.store(
                        [witness.tell(attempt.id, "cancelled", utc_now(), reason=reason)]
                    )
            case Supersede(attempt, reason):
                self.count("superseded")
                witness = Witness(self.source, attempt.carrier or "")
                marks.append(witness.tell(attempt.id, "superseded", utc_now(), reason=reason))
            case _:
                assert_never(action)

    def count(self, what: str) -> None:
        """Count what was done."""
        self.counts[what] += 1
        self.metrics.cascade.labels(what).inc()

    # The engine

    async def keep_registered(self) -> None:
        """Register the endpoint until the engine knows it, then look after both once a minute."""
        said = False
        while True:
            try:
                if not self.is_registered or not await self.operations.versions():
                    version = await self.operations.register(self.wiring.cascade_url, BUILDERS)
                    self.is_registered = True
                    self.log.info("cascade.registered", deployment=version.id)
                    tell(self.wiring.socket_dir, "cascade", "the engine knows the endpoint")
                await self.operations.drop_drained()
                await self.resume_outages()
                self.problem = ""
            except (StoreUnavailable, HermesBug) as error:
                self.problem = str(error)
                if not said:
                    self.log.warning("cascade.not_registered", reason=str(error))
                said = True
                await asyncio.sleep(RETRY_EVERY if not self.is_registered else REGISTER_EVERY)
            else:
                said = False
                await asyncio.sleep(REGISTER_EVERY)

    async def resume_outages(self) -> None:
        """Resume cascades that a store's outage parked; the others are the operator's."""
        parked = await self.operations.parked()
        for one in parked:
            if one.is_outage:
                await self.operations.resume(one.mid)
        self.parked = sum(not one.is_outage for one in parked)
        self.metrics.cascades_parked.set(self.parked)
        if self.parked:
            self.log.warning("cascade.parked", count=self.parked)

    def describe(self) -> dict[str, Any]:
        """Say what was told, and whether the engine works."""
        return {
            **self.counts,
            "parked": self.parked,
            "healthy": self.parked == 0,
            "registered": self.is_registered,
            "reason": self.problem,
        }
