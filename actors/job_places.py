"""Notes in the ledger where jobs lie on the belt: one that is not noted is published again."""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog

from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.core.errors import StoreUnavailable
from hermes.ports.attempt_store import AttemptStore, JobPlace
from hermes.ports.stream import PubAck

RECORD_EVERY = 0.1


class JobPlaces:
    """Places wait for `record`, which comes ten times a second; while the ledger is away, longer.

    `note` raises StoreUnavailable and StreamMissing.
    """

    def __init__(self, store: AttemptStore, admin: JetStreamAdmin) -> None:
        self.store, self.admin = store, admin
        self.log = structlog.get_logger()
        self.waiting: list[JobPlace] = []
        self.created: dict[str, datetime] = {}
        self.last_seq: dict[str, int] = {}

    async def note(self, attempt: str, ack: PubAck) -> None:
        """Note where the belt stored the job of an attempt."""
        self.waiting.append(JobPlace(attempt, await self.created_of(ack), ack.seq))

    async def created_of(self, ack: PubAck) -> datetime:
        """Give when this incarnation of a stream was made; one that counts from 1 again is new."""
        if not ack.duplicate:
            if ack.seq < self.last_seq.get(ack.stream, 0):
                self.created.pop(ack.stream, None)
            self.last_seq[ack.stream] = ack.seq
        if ack.stream not in self.created:
            self.created[ack.stream] = await self.admin.stream_created(ack.stream)
        return self.created[ack.stream]

    async def record(self) -> None:
        """Write what waits."""
        places, self.waiting = self.waiting, []
        try:
            if places:
                await self.store.record_jobs(places)
        except StoreUnavailable as error:
            self.waiting = places + self.waiting
            self.log.warning("store.unavailable", reason=str(error))

    async def record_forever(self) -> None:
        """Write what waits, ten times a second."""
        while True:
            await asyncio.sleep(RECORD_EVERY)
            await self.record()
