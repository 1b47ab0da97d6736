"""A relay's outbound side: hold what was asked, claim by credit, mail, judge the replies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from actors.bind_claims import Claiming
from actors.bind_job import HeldJob, Part
from actors.bind_outcomes import RETRY_EVERY
from actors.contract_rate import Unlimited
from actors.relay_judge import Ending, Judge, lost, not_composed
from actors.relay_outcomes import MailOutcomes, MailOutside, MailResult
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable, TenantError, Unreadable
from hermes.core.job import decode_job
from hermes.core.ready import ReadyQueue
from hermes.core.witness import Witness
from hermes.mail.job_mail import Composer
from hermes.mail.verdict import Classifier
from hermes.ports.link import NotSent
from hermes.ports.relay import Relay, RelayResult
from hermes.ports.stream import Delivery

WRITTEN = 0.01


class RelaySubmits:
    """Everything between a delivery and its ack. All of it runs in the consumer's loop.

    A mail is one part of its job. What a relay did not take goes back to the head without its
    claim, so that an expiry or a cancellation that came meanwhile is seen.
    """

    def __init__(
        self,
        carrier: Carrier,
        witness: Witness,
        me: str,
        outside: MailOutside,
        composer: Composer,
        classifier: Classifier,
    ) -> None:
        self.carrier, self.witness, self.me, self.out = carrier, witness, me, outside
        self.composer = composer
        self.claims = Claiming(carrier, witness, me, outside)
        self.contract = Unlimited()
        self.ready: ReadyQueue[Part] = ReadyQueue()
        self.held: dict[str, HeldJob] = {}
        self.outgoing: deque[Part] = deque()
        self.outcomes = MailOutcomes(carrier, outside, self.forget)
        self.outcomes.on_settled = self.wake_up
        self.unread: list[tuple[Delivery, Unreadable]] = []
        self.claiming = 0
        self.in_flight = 0
        self.relay: Relay | None = None
        self.stopping = False
        self.wake = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        self.judging = Judge(classifier, composer)

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
            held = HeldJob(job, delivery.reply, delivery.num_delivered)
            held.parts = [Part(held, 0, b"")]
            self.held[job.attempt] = held
            self.ready.put(held.parts[0])
        self.wake.set()

    def wake_up(self) -> None:
        """Look again."""
        self.wake.set()

    def forget(self, attempt: str) -> None:
        """A job is done with."""
        self.held.pop(attempt, None)
        self.judging.patience.forget(attempt)

    @property
    def held_count(self) -> int:
        """Jobs in hand that are not with the relay."""
        return len(self.ready) + len(self.outgoing) + self.claiming

    @property
    def credit(self) -> int:
        """How many mails the relay would take now."""
        return self.relay.credit if self.relay is not None else 0

    # Claim and submit

    async def submit_forever(self) -> None:
        """Whenever there is credit: claim as much, then mail it."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self.unread:
                unread, self.unread = self.unread, []
                await self.out.dead.bury(unread)
            if self.stopping or self.out.sink.is_refused:
                continue
            room = self.credit - len(self.outgoing) - self.outcomes.unsettled
            batch = self.ready.take(room) if room > 0 else []
            if batch:
                await self.claim(batch)
            await self.submit_outgoing()
            self.on_change()

    async def claim(self, batch: list[Part]) -> None:
        """Claim a batch for its credit, then act on each job by the table of claims."""
        self.claiming += len(batch)
        for part in batch:
            part.held.out += 1
        try:
            await self.drop_claims([part for part in batch if part.held.claimed])
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
        for held in acted.left + acted.done:
            self.ready.free(held.parts[0])
        for held in acted.left:
            self.forget(held.attempt)
        if acted.told or acted.done:
            await self.out.sink.store(acted.told)
            await self.outcomes.ack(acted.done)

    async def drop_claims(self, parts: Sequence[Part]) -> None:
        """Undo the claims of mails that went back. Raises StoreUnavailable."""
        if not parts:
            return
        await self.out.claims.drop(self.carrier.id, [part.held.attempt for part in parts], self.me)
        for part in parts:
            part.held.claimed = part.is_marked = False

    def return_to_head(self, parts: Sequence[Part]) -> None:
        """Put parts that were taken back to the head of the queue."""
        for part in parts:
            part.held.out -= 1
        self.ready.put_back(parts)

    def resume(self) -> None:
        """Try again after memory was away."""
        self.out.sink.is_refused = False
        self.wake.set()

    async def submit_outgoing(self) -> None:
        """Give claimed mails to the relay, within the contract rate."""
        while self.outgoing and self.credit > 0:
            delay = await self.contract.delay(len(self.outgoing))
            if delay > 0:
                await asyncio.sleep(delay)
            elif self.outgoing and self.relay is not None and self.relay.credit > 0:
                self.submit(self.outgoing.popleft(), self.relay)

    def submit(self, part: Part, relay: Relay) -> None:
        """Mail one job; one that cannot be composed fails before anything is sent."""
        try:
            mail = self.composer.mail_of(part.held.job, self.out.clock())
        except (TenantError, ValueError) as error:
            part.held.out -= 1
            self.end(part, not_composed(error))
            return
        self.contract.spend()
        self.in_flight += 1
        future = relay.submit(mail)
        asyncio.get_running_loop().call_later(WRITTEN, crash.at, "after_write")
        future.add_done_callback(lambda done: self.on_done(part, done))

    def on_done(self, part: Part, done: asyncio.Future[RelayResult]) -> None:
        """A mail has its one outcome."""
        self.in_flight -= 1
        part.held.out -= 1
        error: BaseException | None = (
            asyncio.CancelledError("cancelled") if done.cancelled() else done.exception()
        )
        crash.at("after_resp")
        if error is None:
            self.judge(part, done.result())
        elif isinstance(error, NotSent):
            self.ready.put_back([part])
        else:
            self.end(part, lost(error))
        self.wake.set()

    def judge(self, part: Part, result: RelayResult) -> None:
        """Do what a reply asks for."""
        self.out.metrics.send_seconds.labels(self.carrier.id).observe(result.latency)
        again, ending = self.judging.judge(part.held.attempt, result.reply)
        if again is not None and self.relay is not None:
            self.relay.pause(again.pause)
        if ending is not None:
            self.end(part, ending)
        else:
            self.ready.put_back([part])

    def end(self, part: Part, ending: Ending) -> None:
        """A mail has its outcome: the next of its pair may go."""
        held, at = part.held, self.out.clock()
        held.answered += 1
        self.ready.free(part)
        delay = ending.delay
        event = self.witness.tell(
            held.attempt,
            ending.kind,
            at,
            segment=0,
            reason=ending.reason,
            carrier_message_id=ending.name,
            retry_at=None if delay is None else at + timedelta(seconds=delay),
        )
        self.outcomes.add(MailResult(held, ending.word, ending.note, event))

    # Hand back

    def unlink(self) -> None:
        """The relay is gone: what is claimed and not with it goes back to the head."""
        self.relay = None
        self.take_back()

    def take_back(self) -> None:
        """Put what was to go next back to the head."""
        self.return_to_head(list(self.outgoing))
        self.outgoing.clear()

    async def hand_back(self) -> int:
        """Give every job that is not with the relay back to the belt; give how many that were."""
        self.take_back()
        parts = self.ready.hand_back()
        for part in parts:
            self.ready.free(part)
            self.forget(part.held.attempt)
        try:
            await self.drop_claims([part for part in parts if part.held.claimed])
            if parts:
                await self.out.belt.nak(*(part.held.reply for part in parts))
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)
        return len(parts)
