"""How jobs end, whatever carries them: into memory, as events on the belt, then the ack."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from actors.bind_job import HeldJob
from actors.outside import Outside
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event

RETRY_EVERY = 0.5
GATHER = 0.005
R = TypeVar("R")
O = TypeVar("O", bound=Outside)  # noqa: E741 - the outside


class JobOutcomes(ABC, Generic[R, O]):
    """Settles results in batches; `forget(attempt)` is told of each that is acknowledged."""

    channel: str

    def __init__(self, carrier: Carrier, outside: O, forget: Callable[[str], None]) -> None:
        self.carrier, self.out, self.forget = carrier, outside, forget
        self.results: deque[R] = deque()
        self.settled: list[R] = []
        self.unsettled = 0
        self.untold = 0
        self.came = asyncio.Event()
        self.ready = asyncio.Event()
        self.on_settled: Callable[[], None] = lambda: None

    @abstractmethod
    async def remember(self, batch: Sequence[R]) -> None:
        """Write outcomes into memory. Raises StoreUnavailable."""

    @abstractmethod
    def events_of(self, batch: Sequence[R]) -> list[Event]:
        """Give what is to be told of a batch that is settled."""

    @abstractmethod
    def done_of(self, batch: Sequence[R]) -> list[HeldJob]:
        """Give the jobs of which everything is told by now."""

    @property
    def is_idle(self) -> bool:
        """Say whether everything that ended is settled, told and acknowledged."""
        return self.untold == 0

    def add(self, result: R) -> None:
        """A submit ended. Until memory knows, it counts as in flight: a crash would repeat it."""
        self.results.append(result)
        self.unsettled += 1
        self.untold += 1
        self.came.set()

    async def settle_forever(self) -> None:
        """Write outcomes into memory as they come; those that come meanwhile are the next batch."""
        while True:
            await self.came.wait()
            self.came.clear()
            batch = tuple(self.results)
            self.results.clear()
            await self.settle(batch)
            crash.at("after_correlation", len(batch))
            self.unsettled -= len(batch)
            self.settled += batch
            self.ready.set()
            self.on_settled()

    async def settle(self, batch: Sequence[R]) -> None:
        """Write outcomes into memory, trying again while it is away."""
        while batch:
            try:
                await self.remember(batch)
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
            await self.tell(batch)
            self.untold -= len(batch)

    async def tell(self, batch: Sequence[R]) -> None:
        """Store the events of a batch, for as long as the belt takes, and ack its jobs."""
        events = self.events_of(batch)
        await self.out.sink.store(events)
        crash.at("after_event", len(batch))
        for event in events:
            self.out.metrics.messages.labels(self.channel, self.carrier.id, event.kind).inc()
        crash.at("before_ack", len(batch))
        await self.ack(self.done_of(batch))

    async def ack(self, done: Sequence[HeldJob]) -> None:
        """Acknowledge and let go; an ack that is lost comes back and meets its claim."""
        for held in done:
            self.forget(held.attempt)
        try:
            await self.out.belt.ack_many(held.reply for held in done)
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)
