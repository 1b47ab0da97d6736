"""How a relay's mails end: into memory, as events on the belt, then the ack of the job."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from actors.bind_job import HeldJob
from actors.bind_outcomes import GATHER, RETRY_EVERY
from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event
from hermes.metrics import Metrics
from hermes.ports.claims import Claims, Leases, Settled
from hermes.ports.stream import Acknowledger


@dataclass(frozen=True, slots=True)
class MailOutside:
    """What a relay's consumer needs of the world."""

    claims: Claims
    leases: Leases
    belt: Acknowledger
    sink: EventSink
    dead: DeadLetterSink
    clock: Callable[[], datetime]
    memory_made_at: Callable[[], datetime]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class MailResult:
    """How one mail ended: the word of its claim with the reason kept there, and the event."""

    held: HeldJob
    word: str
    reason: str
    event: Event


class MailOutcomes:
    """Settles results in batches; `forget(attempt)` is told of each that is acknowledged."""

    def __init__(
        self, carrier: Carrier, outside: MailOutside, forget: Callable[[str], None]
    ) -> None:
        self.carrier, self.out, self.forget = carrier, outside, forget
        self.results: deque[MailResult] = deque()
        self.settled: list[MailResult] = []
        self.unsettled = 0
        self.untold = 0
        self.came = asyncio.Event()
        self.ready = asyncio.Event()
        self.on_settled: Callable[[], None] = lambda: None

    @property
    def is_idle(self) -> bool:
        """Say whether everything that ended is settled, told and acknowledged."""
        return self.untold == 0

    def add(self, result: MailResult) -> None:
        """A mail ended. Until memory knows, it counts as in flight: a crash would repeat it."""
        self.results.append(result)
        self.unsettled += 1
        self.untold += 1
        self.came.set()

    async def settle_forever(self) -> None:
        """Write outcomes into memory as they come; those that come meanwhile are the next batch."""
        while True:
            await self.came.wait()
            self.came.clear()
            batch = list(self.results)
            self.results.clear()
            await self.remember(batch)
            crash.at("after_correlation", len(batch))
            self.unsettled -= len(batch)
            self.settled += batch
            self.ready.set()
            self.on_settled()

    async def remember(self, batch: Sequence[MailResult]) -> None:
        """Write outcomes into memory, trying again while it is away."""
        outcomes = [Settled(r.held.attempt, 0, r.word, r.reason) for r in batch]
        while True:
            try:
                await self.out.claims.settle(self.carrier.id, outcomes)
            except StoreUnavailable as error:
                self.out.sink.refuse(error)
                await asyncio.sleep(RETRY_EVERY)
                self.out.sink.is_refused = False
            else:
                return

    async def tell_forever(self) -> None:
        """Tell what is settled, five milliseconds at a time, then acknowledge."""
        while True:
            await self.ready.wait()
            self.ready.clear()
            await asyncio.sleep(GATHER)
            batch, self.settled = self.settled, []
            events = [result.event for result in batch]
            await self.out.sink.store(events)
            crash.at("after_event", len(batch))
            for event in events:
                self.out.metrics.messages.labels("email", self.carrier.id, event.kind).inc()
            crash.at("before_ack", len(batch))
            await self.ack([result.held for result in batch])
            self.untold -= len(batch)

    async def ack(self, done: Sequence[HeldJob]) -> None:
        """Acknowledge and let go; an ack that is lost comes back and meets its claim."""
        for held in done:
            self.forget(held.attempt)
        try:
            await self.out.belt.ack_many(held.reply for held in done)
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)
