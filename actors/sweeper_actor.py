"""The ledger clock: once a second, what is due is handed on, and what the belt lost comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from actors.dead_letter_kinds import of_row
from actors.event_sink import EventSink
from actors.publish_held import publish_held
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
from hermes.adapters.attempt_store_postgres import PostgresAttemptStore
from hermes.adapters.clock_store_postgres import PostgresClockStore
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Source
from hermes.core.ids import encode_message_id
from hermes.core.job import Job, encode_job, stream_of, subject_of
from hermes.core.message import Message, encode_message
from hermes.ports.attempt_store import JobPlace
from hermes.ports.clock_store import Retention, SetAside
from hermes.ports.stream import PubAck, Publication, StreamMissing

ROTATE_EVERY = 3600.0


class SweeperActor(StageActor):
    """One host sweeps at a time; the ledger's lock decides which."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.carriers: tuple[Carrier, ...] = self.args["carriers"]
        self.receiptless = frozenset(c.id for c in self.carriers if c.receipts == "none")
        self.counts = {"admitted": 0, "jobs": 0, "events": 0}

    async def on_begin(self) -> None:
        """Open the stores and begin to tick."""
        self.start_metrics()
        self.belt = await open_belt(self.wiring, self.name)
        self.admin = admin_of(self.belt, self.wiring)
        self.pool = await open_ledger(self.wiring, self.name)
        source = Source(self.wiring.host, self.name)
        self.store = PostgresClockStore(self.pool, source)
        self.attempts = PostgresAttemptStore(self.pool, source, timing(self.wiring))
        self.sink = EventSink(self.belt, f"{self.wiring.host}-{self.name}")
        self.dead = dead_letters_of(self.belt, self.wiring, self.metrics, self.log)
        _ = self.spawn(self.tick_forever())
        _ = self.spawn(self.rotate_forever())

    async def on_stop(self, deadline_s: float) -> None:
        """Leave the belt."""
        await self.belt.close()

    async def tick_forever(self) -> None:
        """Sweep each second, at once again when there was more."""
        tick = self.wiring.settings.clock.tick
        while True:
            has_more = False
            try:
                has_more = await self.sweep()
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
            if not has_more:
                await asyncio.sleep(tick)

    async def sweep(self) -> bool:
        """Hand on what is due; say whether there is more."""
        streams = await self.streams()
        settings = self.wiring.settings.clock
        due = await self.store.sweep(settings.batch, timing(self.wiring), streams, self.receiptless)
        if due.admit:
            await self.admit(due.admit)
        if due.jobs:
            await self.publish(due.jobs, streams)
        if due.aside:
            await self.set_aside(due.aside)
        if due.events:
            await self.sink.store(due.events)
        self.count("admitted", len(due.admit))
        self.count("jobs", len(due.jobs))
        self.count("events", len(due.events))
        return due.has_more

    async def set_aside(self, rows: Sequence[SetAside]) -> None:
        """Write the letters of rows nobody can read, then stop their clocks."""
        stored = await self.dead.store([of_row(row, utc_now()) for row in rows])
        await self.store.stop([row for row, done in zip(rows, stored, strict=True) if done])

    def count(self, what: str, number: int) -> None:
        """Count what was moved."""
        if number:
            self.counts[what] += number
            self.metrics.swept.labels(what).inc(number)
            self.log.info("clock.swept", what=what, count=number)

    async def streams(self) -> dict[str, datetime]:
        """Give when each carrier's stream was made, making those that are gone."""
        created: dict[str, datetime] = {}
        for carrier in self.carriers:
            try:
                created[carrier.id] = await self.admin.stream_created(stream_of(carrier.id))
            except StreamMissing:
                await ensure_belt(self.belt, self.wiring, [carrier], self.log)
        return created

    async def admit(self, messages: Sequence[Message]) -> None:
        """Publish whole messages on INTAKE again.

        Under ids of their own: the belt knows the message's id from its first time, and would drop
        what was taken in and parked since. Intake takes no message in twice.
        """
        again = uuid4().hex[:8]
        items = [
            Publication(
                f"intake.{message.traffic}",
                encode_message(message),
                f"{encode_message_id(message.id)}.{again}",
            )
            for message in messages
        ]
        await publish_held(self.belt, items, timing(self.wiring).lease_s)

    async def publish(self, jobs: Sequence[Job], streams: Mapping[str, datetime]) -> None:
        """Publish jobs under the ids they bear and note where they lie."""
        again = [msgspec.structs.replace(job, republished=True) for job in jobs]
        items = [Publication(subject_of(job), encode_job(job), job.attempt) for job in again]
        results = await publish_held(self.belt, items, timing(self.wiring).republish_after_s)
        places = [
            JobPlace(job.attempt, streams[job.carrier], result.seq)
            for job, result in zip(jobs, results, strict=True)
            if isinstance(result, PubAck) and job.carrier in streams
        ]
        if places:
            await self.attempts.record_jobs(places)

    async def rotate_forever(self) -> None:
        """Keep the partitions, once an hour."""
        while True:
            try:
                await self.store.rotate(Retention())
            except StoreUnavailable as error:
                self.log.warning("store.unavailable", reason=str(error))
            await asyncio.sleep(ROTATE_EVERY)

    def describe(self) -> dict[str, Any]:
        """Say what was moved."""
        return dict(self.counts)
