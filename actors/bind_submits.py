"""A bind's outbound side: hold what was asked, claim by credit, submit at the learned pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from actors.bind_job import HeldJob, Part, recut
from actors.bind_outcomes import Outcomes, Result
from actors.job_submits import JobSubmits
from actors.outside import BindOutside
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.claim import NEW
from hermes.core.errors import StoreUnavailable
from hermes.core.job import Job
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.ports.claims import Settled
from hermes.ports.link import Link, Lost, NoResponse, NotSent, SubmitResult, WirePdu
from hermes.ports.stream import Delivery
from hermes.smpp.pacing import Pacing
from hermes.smpp.pdu import PduError
from hermes.smpp.segment import TextTooLong
from hermes.smpp.status import (
    BindRetry,
    CommandStatus,
    StatusClass,
    StatusRule,
    classify,
    status_name,
)
from hermes.smpp.submit import CannotSend, submits_of

MOST_LATE = 1000
MOST_NACKS = 3
WRITTEN = 0.01


class Submits(JobSubmits):
    """The segments of a bind, submitted at the learned pace."""

    def __init__(
        self, carrier: Carrier, witness: Witness, me: str, outside: BindOutside, pacing: Pacing
    ) -> None:
        super().__init__(carrier, witness, me, outside)
        self.pacing = pacing
        self.late: dict[str, Part] = {}
        self.ending: dict[HeldJob, list[Result]] = {}
        self.outcomes: Outcomes = Outcomes(carrier, witness, outside, self.forget)
        self.outcomes.on_settled = self.wake_up
        self.link: Link | None = None
        self.on_wrong: Callable[[BindRetry, str], None] = lambda _retry, _reason: None
        self.wrong = 0
        self.nacks = 0

    def held_of(self, job: Job, delivery: Delivery) -> HeldJob:
        """Make the parts of a job; one that cannot be encoded has a single part that fails."""
        held = HeldJob(job, delivery.reply, delivery.num_delivered)
        try:
            frames = submits_of(job, self.carrier, self.out.clock())
            if job.only_segments and len(frames) != job.segments:
                reason = recut(job.segments, len(frames))
                raise CannotSend(reason.code, reason.text)
        except (CannotSend, TextTooLong, PduError, ValueError) as error:
            code = error.code if isinstance(error, CannotSend) else "cannot_encode"
            held.refusal, frames = Reason(code, str(error)), (b"",) * job.segments
        held.total = len(frames)
        indices = job.only_segments or range(len(frames))
        held.parts = [Part(held, index, frames[index]) for index in indices]
        held.untold = len(held.parts)
        return held

    @property
    def is_open(self) -> bool:
        """See `JobSubmits.is_open`."""
        return self.link is not None

    @property
    def credit(self) -> int:
        """See `JobSubmits.credit`."""
        return 0 if self.link is None else self.link.credit

    @property
    def accepted_count(self) -> int:
        """See `JobSubmits.accepted_count`."""
        return self.outcomes.accepted_count

    async def before_claim(self, batch: Sequence[Part]) -> None:
        """See `JobSubmits.before_claim`; a part that came back goes again under its claim."""

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

    def submit(self, part: Part, link: Link, now: float) -> None:
        """Put one part on the wire; a job that cannot be encoded fails before anything is sent."""
        if part.held.refusal is not None:
            part.held.out -= 1
            self.end_job(Result(part, None, None, self.now(), refused=part.held.refusal))
            return
        self.pacing.on_submit(now)
        self.contract.spend()
        self.in_flight += 1
        future = link.submit(WirePdu(part.frame, part.name))
        asyncio.get_running_loop().call_later(WRITTEN, crash.at, "after_write")
        future.add_done_callback(lambda done: self.on_done(part, done))

    def on_done(self, part: Part, done: asyncio.Future[SubmitResult]) -> None:
        """A submit has its one outcome."""
        self.in_flight -= 1
        part.held.out -= 1
        error: BaseException | None = (
            asyncio.CancelledError() if done.cancelled() else done.exception()
        )
        answer = None if error is not None else done.result()
        crash.at("after_resp")
        if isinstance(error, NotSent) or (answer is not None and self.is_unsent(answer)):
            self.go_back(part)
        else:
            failure = error if isinstance(error, Exception) or error is None else Lost("cancelled")
            if isinstance(failure, NoResponse) and len(self.late) < MOST_LATE:
                self.late[part.name] = part
            result = Result(part, answer, failure, self.now())
            if answer is not None and answer.status == 0:
                self.accept(result)
            else:
                self.end_job(result)
        self.wake.set()

    def is_unsent(self, answer: SubmitResult) -> bool:
        """Teach the pace; true when the part goes back to the head under the same claim."""
        now = asyncio.get_running_loop().time()
        rule = classify(answer.status, self.outcomes.overrides)
        self.judge_session(answer.status, rule)
        if answer.status == CommandStatus.ESME_RINVBNDSTS:
            return True
        if rule.status_class is StatusClass.THROTTLE:
            if rule.queue_full:
                self.pacing.on_queue_full(now)
            else:
                self.pacing.on_throttle(now, answer.latency)
            return True
        self.pacing.on_accept(now, answer.latency)
        self.out.metrics.send_seconds.labels(self.carrier.id).observe(answer.latency)
        return False

    def judge_session(self, status: int, rule: StatusRule) -> None:
        """Leave a session that the carrier says is wrong, so many times in a row."""
        if rule.status_class is not StatusClass.CONFIG:
            self.wrong = 0
            self.nacks = self.nacks if status else 0
            return
        self.wrong += 1
        if self.wrong >= rule.stop_after:
            self.wrong = 0
            is_state = status == CommandStatus.ESME_RINVBNDSTS
            retry = BindRetry.NORMAL if is_state else BindRetry.CREDENTIALS
            self.on_wrong(retry, f"the carrier answers {status_name(status)} to submits")

    def on_nack(self) -> None:
        """A submit was answered with generic_nack; three in a row show a session out of step."""
        self.nacks += 1
        if self.nacks >= MOST_NACKS:
            self.nacks = 0
            self.on_wrong(BindRetry.NORMAL, f"{MOST_NACKS} generic_nack in a row")

    def on_congestion(self, level: int) -> None:
        """The carrier told how congested it is."""
        self.pacing.on_congestion(asyncio.get_running_loop().time(), level)

    def go_back(self, part: Part) -> None:
        """A part was not taken: to the head, unless its job ended meanwhile."""
        held = part.held
        if held in self.ending:
            held.forget_parts([part])
            self.tell_end(held)
        else:
            self.ready.put_back([part])

    def accept(self, result: Result) -> None:
        """A part is with the carrier."""
        held = result.part.held
        held.answered += 1
        self.outcomes.add(result)
        if held in self.ending:
            self.tell_end(held)
        elif held.is_answered:
            self.ready.free(result.part)

    def end_job(self, result: Result) -> None:
        """The first part that is not accepted ends its job: what was not written is not sent."""
        held = result.part.held
        held.answered += 1
        if held not in self.ending:
            self.ending[held] = []
            self.drop_unsent(held)
        self.ending[held].append(result)
        self.tell_end(held)

    def drop_unsent(self, held: HeldJob) -> None:
        """Take the parts of a job that were not written out of the queues."""
        waiting = [part for part in self.outgoing if part.held is held]
        for part in waiting:
            self.outgoing.remove(part)
        held.out -= len(waiting)
        held.forget_parts(waiting + self.ready.remove(held))

    def tell_end(self, held: HeldJob) -> None:
        """Tell what ended a job once all its parts are answered: the ledger then has the rest."""
        if held.out == 0:
            results = self.ending.pop(held)
            self.ready.free(results[0].part)
            for result in results:
                self.outcomes.add(result)

    def on_late(self, name: str, answer: SubmitResult) -> None:
        """An answer came after its timer: it settles what was uncertain."""
        part = self.late.pop(name, None)
        if part is not None and answer.status == 0:
            part.held.untold += 1
            self.outcomes.add(Result(part, answer, None, self.now()))

    def now(self) -> datetime:
        """The host's time."""
        return self.out.clock()

    # Hand back

    def unlink(self) -> None:
        """The session ended: what is claimed and not written goes back to the head."""
        self.link = None
        self.take_back()

    async def hand_back(self) -> int:
        """Give every job that is not on the wire back to the belt; give how many that were.

        A job of which parts are with the carrier says in its claim which were never written.
        """
        self.take_back()
        unsent: dict[HeldJob, list[Part]] = {}
        for part in self.ready.hand_back():
            unsent.setdefault(part.held, []).append(part)
        for held, parts in unsent.items():
            self.ready.free(parts[0])
            self.forget(held.attempt)
        begun = [
            Settled(held.attempt, part.index, NEW)
            for held, parts in unsent.items()
            for part in parts
            if held.has_begun and part.is_marked
        ]
        dropped = [held.attempt for held in unsent if held.claimed and not held.has_begun]
        try:
            if begun:
                await self.out.claims.settle(self.carrier.id, begun)
            if dropped:
                await self.out.claims.drop(self.carrier.id, dropped, self.me)
            await self.out.belt.nak(*(held.reply for held in unsent))
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)
        return len(unsent)
