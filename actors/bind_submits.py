"""A bind's outbound side: hold what was asked, claim by credit, submit at the learned pace."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from actors.bind_job import HeldJob
from actors.bind_outcomes import (
    KEEP_CLAIM,
    RETRY_EVERY,
    Outcomes,
    Outside,
    Result,
    settled_of,
)
from actors.contract_rate import Unlimited
from actors.dead_letter_kinds import of_claim
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.claim import ACCEPTED, REFUSED, Act, Claim, may_be_lost, next_act
from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.event import Event
from hermes.core.job import decode_job
from hermes.core.ready import ReadyQueue
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.ports.claims import ClaimRequest, claim_key
from hermes.ports.link import Link, Lost, NoResponse, NotSent, SubmitResult, WirePdu
from hermes.ports.stream import Delivery
from hermes.smpp.pacing import Pacing
from hermes.smpp.pdu import PduError
from hermes.smpp.segment import TextTooLong
from hermes.smpp.status import StatusClass, classify
from hermes.smpp.submit import CannotSend, submits_of

MOST_LATE = 1000
WRITTEN = 0.01


class Submits:
    """Everything between a delivery and its ack. All of it runs in the bind's loop."""

    def __init__(
        self, carrier: Carrier, witness: Witness, me: str, outside: Outside, pacing: Pacing
    ) -> None:
        self.carrier, self.witness, self.me, self.out = carrier, witness, me, outside
        self.pacing = pacing
        self.contract = Unlimited()
        self.ready: ReadyQueue[HeldJob] = ReadyQueue()
        self.held: dict[str, HeldJob] = {}
        self.outgoing: deque[HeldJob] = deque()
        self.late: dict[str, HeldJob] = {}
        self.outcomes = Outcomes(carrier, witness, outside, self.forget)
        self.outcomes.on_settled = self.wake_up
        self.unread: list[tuple[Delivery, Unreadable]] = []
        self.claiming = 0
        self.in_flight = 0
        self.references = itertools.count(1)
        self.link: Link | None = None
        self.stopping = False
        self.wake = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None

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
            pair = (job.sender, job.to)
            held = HeldJob(job, delivery.reply, pair, num_delivered=delivery.num_delivered)
            self.held[job.attempt] = held
            self.ready.put(held)
        self.wake.set()

    def wake_up(self) -> None:
        """Look again: credit, jobs or memory changed."""
        self.wake.set()

    def forget(self, attempt: str) -> None:
        """A job is done with."""
        self.held.pop(attempt, None)

    @property
    def held_count(self) -> int:
        """Jobs in hand that are not on the wire."""
        return len(self.ready) + len(self.outgoing) + self.claiming

    # Claim and submit

    async def submit_forever(self) -> None:
        """Whenever there is credit: claim as much, then submit at the learned pace."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self.unread:
                await self.bury_unread()
            if self.link is None or self.stopping or self.out.sink.is_refused:
                continue
            room = self.link.credit - len(self.outgoing) - self.outcomes.unsettled
            batch = self.ready.take(room) if room > 0 else []
            if batch:
                await self.claim(batch)
            await self.submit_outgoing()
            self.on_change()

    async def bury_unread(self) -> None:
        """Set jobs aside that nobody can read; what cannot be now is delivered again."""
        unread, self.unread = self.unread, []
        await self.out.dead.bury(unread)

    async def submit_outgoing(self) -> None:
        """Put claimed jobs on the wire, one interval apart and within the contract rate."""
        loop = asyncio.get_running_loop()
        while self.open_link() is not None:
            delay = self.pacing.delay(loop.time())
            delay = delay or await self.contract.delay(len(self.outgoing))
            if delay > 0:
                await asyncio.sleep(delay)
            elif (link := self.open_link()) is not None:
                self.submit(self.outgoing.popleft(), link, loop.time())

    def open_link(self) -> Link | None:
        """Give the link while there is a job for it and it has room."""
        link = self.link
        return link if self.outgoing and link is not None and link.credit > 0 else None

    def submit(self, held: HeldJob, link: Link, now: float) -> None:
        """Put one job on the wire; what cannot be encoded fails before anything is sent."""
        reference = next(self.references) & 0xFFFF
        try:
            (frame,) = submits_of(held.job, self.carrier, reference, self.out.clock())
        except (CannotSend, TextTooLong, PduError, ValueError) as error:
            code = error.code if isinstance(error, CannotSend) else "cannot_encode"
            self.fail(held, Reason(code, str(error)))
            return
        self.pacing.on_submit(now)
        self.contract.spend()
        self.in_flight += 1
        future = link.submit(WirePdu(frame, held.attempt))
        asyncio.get_running_loop().call_later(WRITTEN, crash.at, "after_write")
        future.add_done_callback(lambda done: self.on_done(held, done))

    def on_done(self, held: HeldJob, done: asyncio.Future[SubmitResult]) -> None:
        """A submit has its one outcome."""
        self.in_flight -= 1
        error: BaseException | None = (
            asyncio.CancelledError() if done.cancelled() else done.exception()
        )
        answer = None if error is not None else done.result()
        crash.at("after_resp")
        if answer is not None and self.on_answer(held, answer):
            self.wake.set()
            return
        if isinstance(error, NotSent):
            self.ready.put_back([held])
            self.wake.set()
            return
        self.ready.answered(held)
        failure = error if isinstance(error, Exception) or error is None else Lost("cancelled")
        if isinstance(failure, NoResponse) and len(self.late) < MOST_LATE:
            self.late[held.attempt] = held
        self.outcomes.add(Result(held, answer, failure, self.now()))
        self.wake.set()

    def on_late(self, attempt: str, answer: SubmitResult) -> None:
        """An answer came after its timer: it settles what was uncertain."""
        held = self.late.pop(attempt, None)
        if held is not None and answer.status == 0:
            self.outcomes.add(Result(held, answer, None, self.now()))

    def on_answer(self, held: HeldJob, answer: SubmitResult) -> bool:
        """Teach the pace; true when the job goes back to the head under the same claim."""
        now = asyncio.get_running_loop().time()
        rule = classify(answer.status, self.outcomes.overrides)
        if rule.status_class is StatusClass.THROTTLE:
            if rule.queue_full:
                self.pacing.on_queue_full(now)
            else:
                self.pacing.on_throttle(now, answer.latency)
            self.ready.put_back([held])
            return True
        self.pacing.on_accept(now, answer.latency)
        self.out.metrics.send_seconds.labels(self.carrier.id).observe(answer.latency)
        return False

    def fail(self, held: HeldJob, reason: Reason) -> None:
        """A job that cannot be sent: nothing was written."""
        self.ready.answered(held)
        self.outcomes.add(Result(held, None, None, self.now(), refused=reason))

    def now(self) -> datetime:
        """The host's time."""
        return self.out.clock()

    async def claim(self, batch: list[HeldJob]) -> None:
        """Claim a batch for its credit, then act on each by the table of claims."""
        fresh = [held for held in batch if not held.claimed]
        self.claiming += len(batch)
        try:
            found, unread = await self.ask_claims(fresh)
            alive = await self.owners_of(found)
        except StoreUnavailable as error:
            self.out.sink.refuse(error)
            self.ready.put_back(batch)
            asyncio.get_running_loop().call_later(RETRY_EVERY, self.resume)
            return
        finally:
            self.claiming -= len(batch)
        crash.at("after_claim", len(batch))
        told: list[Event] = []
        done: list[HeldJob] = []
        for held in batch:
            if held.attempt not in unread:
                self.act(held, found.get(held.attempt), alive, (told, done))
        if unread:
            await self.set_aside([h for h in batch if h.attempt in unread], unread, (told, done))
        if told or done:
            await self.out.sink.store(told)
            await self.outcomes.ack(done)

    def resume(self) -> None:
        """Try again after memory was away."""
        self.out.sink.is_refused = False
        self.wake.set()

    async def set_aside(
        self,
        jobs: list[HeldJob],
        unread: dict[str, Unreadable],
        out: tuple[list[Event], list[HeldJob]],
    ) -> None:
        """End jobs whose claim nobody can read: somebody may have sent them, so uncertain.

        Those whose letter cannot be stored now go back to their place.
        """
        told, done = out
        letters = [
            of_claim(
                claim_key(self.carrier.id, held.attempt),
                held.attempt,
                str(unread[held.attempt]),
                self.now(),
                held.num_delivered,
            )
            for held in jobs
        ]
        for held, is_stored in zip(jobs, await self.out.dead.store(letters), strict=True):
            if not is_stored:
                self.ready.put_back([held])
                asyncio.get_running_loop().call_later(RETRY_EVERY, self.wake_up)
                continue
            self.ready.answered(held)
            reason = Reason("claim_unreadable", "its claim cannot be read: it may have been sent")
            told.append(
                self.witness.tell(held.attempt, "uncertain", self.now(), segment=0, reason=reason)
            )
            done.append(held)

    async def ask_claims(
        self, fresh: list[HeldJob]
    ) -> tuple[dict[str, Claim], dict[str, Unreadable]]:
        """Claim what has no claim; give the claims found instead, and those nobody can read."""
        if not fresh:
            return {}, {}
        now = self.now()
        wanted = [
            ClaimRequest(
                held.attempt,
                1,
                max(60, int((held.job.expires_at + KEEP_CLAIM - now).total_seconds())),
            )
            for held in fresh
        ]
        answers = await self.out.claims.claim(self.carrier.id, wanted, self.me)
        found: dict[str, Claim] = {}
        unread: dict[str, Unreadable] = {}
        for held, answer in zip(fresh, answers, strict=True):
            match answer:
                case Claim():
                    found[held.attempt] = answer
                case Unreadable():
                    unread[held.attempt] = answer
                case None:
                    pass
        return found, unread

    async def owners_of(self, found: dict[str, Claim]) -> set[str]:
        """Give the owners that are alive among the claims found."""
        boots = {claim.boot for claim in found.values()}
        return await self.out.leases.owners_alive(boots) if boots else set()

    def act(
        self,
        held: HeldJob,
        claim: Claim | None,
        alive: set[str],
        out: tuple[list[Event], list[HeldJob]],
    ) -> None:
        """Act on one job by what was found."""
        told, done = out
        now = self.now()
        decision = next_act(
            claim,
            self.me,
            owner_alive=claim is not None and claim.boot in alive,
            now=now,
            expires_at=held.job.expires_at,
            claim_lost=not held.claimed
            and may_be_lost(
                queued_at=held.job.queued_at,
                was_out_before=held.num_delivered > 1 or held.job.republished,
                memory_made_at=self.out.memory_made_at(),
            ),
        )
        if decision in (Act.SUBMIT, Act.GO_ON, Act.RESUME):
            held.claimed = True
            self.outgoing.append(held)
            return
        self.ready.answered(held)
        if decision is Act.LEAVE:
            self.held.pop(held.attempt, None)
            return
        done.append(held)
        told += self.told_of(held, claim, decision, now)

    def told_of(
        self, held: HeldJob, claim: Claim | None, decision: Act, now: datetime
    ) -> list[Event]:
        """Give the events of a decision that ends a job without a submit."""
        tell, attempt = self.witness.tell, held.attempt
        match decision:
            case Act.EXPIRE:
                reason = Reason("expired", "the validity ended before a submit")
                return [tell(attempt, "expired", now, reason=reason)]
            case Act.CANCEL:
                return [tell(attempt, "cancelled", now, reason=Reason("cancelled"))]
            case Act.UNCERTAIN:
                reason = Reason("owner_gone", "its bind went down with the submit open")
                return [tell(attempt, "uncertain", now, segment=0, reason=reason)]
            case Act.REPEAT if claim is not None:
                return [self.repeat(attempt, claim, index, now) for index in settled_of(claim)]
            case _:
                return []

    def repeat(self, attempt: str, claim: Claim, index: int, now: datetime) -> Event:
        """Tell an outcome again that was settled, under the same event id."""
        outcome = claim.segments[index]
        if outcome == REFUSED:
            code, _, text = claim.reason.partition(" ")
            reason = Reason(code or "refused", text)
            return self.witness.tell(attempt, "failed", now, segment=index, reason=reason)
        name = outcome.removeprefix(ACCEPTED)
        return self.witness.tell(attempt, "sent", now, segment=index, carrier_message_id=name)

    # Hand back

    def unlink(self) -> None:
        """The session ended: what is claimed and not written goes back to the head."""
        self.link = None
        self.ready.put_back(list(self.outgoing))
        self.outgoing.clear()

    async def hand_back(self) -> int:
        """Give everything that is not on the wire back to the belt; give how many that were."""
        jobs = [*self.outgoing, *self.ready.hand_back()]
        self.outgoing.clear()
        for held in jobs:
            self.ready.answered(held)
            self.held.pop(held.attempt, None)
        claimed = [held.attempt for held in jobs if held.claimed]
        try:
            if claimed:
                await self.out.claims.drop(self.carrier.id, claimed, self.me)
            await self.out.belt.nak(*(held.reply for held in jobs))
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)
        return len(jobs)
