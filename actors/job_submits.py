"""Outbound side of an account: hold what was asked, claim by credit, submit, hand back."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from actors.bind_claims import Claiming
from actors.bind_job import HeldJob, Part
from actors.contract_rate import Unlimited
from actors.job_outcomes import RETRY_EVERY, JobOutcomes
from actors.outside import Outside
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.job import Job, decode_job
from hermes.core.ready import ReadyQueue
from hermes.core.witness import Witness
from hermes.ports.stream import Delivery


class JobSubmits(ABC):
    """Everything between a delivery and its ack. All of it runs in its actor's loop."""

    outcomes: JobOutcomes[Any, Any]

    def __init__(self, carrier: Carrier, witness: Witness, me: str, outside: Outside) -> None:
        self.carrier, self.witness, self.me, self.out = carrier, witness, me, outside
        self.claims = Claiming(carrier, witness, me, outside)
        self.contract = Unlimited()
        self.ready: ReadyQueue[Part] = ReadyQueue()
        self.held: dict[str, HeldJob] = {}
        self.outgoing: deque[Part] = deque()
        self.unread: list[tuple[Delivery, Unreadable]] = []
        self.claiming = 0
        self.in_flight = 0
        self.stopping = False
        self.wake = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether there is anybody to submit to."""

    @property
    @abstractmethod
    def credit(self) -> int:
        """How many parts would be taken now, 0 while nobody is there."""

    @property
    @abstractmethod
    def accepted_count(self) -> int:
        """How many were accepted so far."""

    @abstractmethod
    def held_of(self, job: Job, delivery: Delivery) -> HeldJob:
        """Make a job in hand with its parts."""

    @abstractmethod
    async def submit_outgoing(self) -> None:
        """Submit claimed parts while there is credit."""

    @abstractmethod
    async def hand_back(self) -> int:
        """Give every job that is not on its way back to the belt; give how many that were."""

    @abstractmethod
    async def before_claim(self, batch: Sequence[Part]) -> None:
        """Do what the claims of parts that came back need. Raises StoreUnavailable."""

    # What comes in

    def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Take jobs the stage sent; one held already keeps its place under the newer reply."""
        for delivery in deliveries:
            try:
                job = decode_job(delivery.data)
            except Unreadable as error:
                self.unread.append((delivery, error))
                continue
            known = self.held.get(job.attempt)
            if known is not None:
                known.reply = delivery.reply
                continue
            self.held[job.attempt] = held = self.held_of(job, delivery)
            for part in held.parts:
                self.ready.put(part)
        self.wake.set()

    def wake_up(self) -> None:
        """Look again: credit, jobs or memory changed."""
        self.wake.set()

    def forget(self, attempt: str) -> None:
        """A job is done with."""
        self.held.pop(attempt, None)

    @property
    def held_count(self) -> int:
        """Parts in hand that are not on their way."""
        return len(self.ready) + len(self.outgoing) + self.claiming

    # Claim and submit

    async def submit_forever(self) -> None:
        """Whenever there is credit: claim as much, then submit."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self.unread:
                await self.bury_unread()
            if not self.is_open or self.stopping or self.out.sink.is_refused:
                continue
            room = self.credit - len(self.outgoing) - self.outcomes.unsettled
            batch = self.ready.take(room) if room > 0 else []
            if batch:
                await self.claim(batch)
            await self.submit_outgoing()
            self.on_change()

    async def bury_unread(self) -> None:
        """Set jobs aside that nobody can read; what cannot be now is delivered again."""
        unread, self.unread = self.unread, []
        await self.out.dead.bury(unread)

    async def claim(self, batch: list[Part]) -> None:
        """Claim a batch for its credit, then act on each job by the table of claims."""
        self.claiming += len(batch)
        for part in batch:
            part.held.out += 1
        try:
            await self.before_claim(batch)
            acted = await self.claims.act(batch)
        except StoreUnavailable as error:
            self.out.sink.refuse(error)
            self.return_to_head(batch)
            asyncio.get_running_loop().call_later(RETRY_EVERY, self.resume)
            return
        finally:
            self.claiming -= len(batch)
        crash.at("after_claim", len(batch))
        self.outgoing.extend(acted.go)
        if acted.wait:
            self.return_to_head(acted.wait)
            self.wake.set()
        if acted.later:
            self.return_to_head(acted.later)
            asyncio.get_running_loop().call_later(RETRY_EVERY, self.wake_up)
        for part in acted.dropped:
            part.held.out -= 1
            queued = self.ready.remove(part.held)
            self.ready.put_back([other for other in queued if other in part.held.parts])
        for held in acted.left + acted.done:
            self.ready.remove(held)
            self.ready.free(held.parts[0])
        for held in acted.left:
            self.forget(held.attempt)
        if acted.told or acted.done:
            await self.out.sink.store(acted.told)
            await self.outcomes.ack(acted.done)

    def return_to_head(self, parts: Sequence[Part]) -> None:
        """Put parts that were taken back to the head of the queue."""
        for part in parts:
            part.held.out -= 1
        self.ready.put_back(parts)

    def take_back(self) -> None:
        """Put what was to go next back to the head."""
        self.return_to_head(list(self.outgoing))
        self.outgoing.clear()

    def resume(self) -> None:
        """Try again after memory was away."""
        self.out.sink.is_refused = False
        self.wake.set()
