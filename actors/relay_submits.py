"""A relay's outbound side: hold what was asked, claim by credit, mail, judge the replies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from actors.bind_job import HeldJob, Part
from actors.job_submits import JobSubmits
from actors.outside import Outside
from actors.relay_judge import Ending, Judge, lost, not_composed
from actors.relay_outcomes import MailOutcomes, MailResult
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable, TenantError
from hermes.core.job import Job
from hermes.core.witness import Witness
from hermes.mail.job_mail import Composer
from hermes.mail.verdict import Classifier
from hermes.ports.link import NotSent
from hermes.ports.relay import Relay, RelayResult
from hermes.ports.stream import Delivery

WRITTEN = 0.01


class RelaySubmits(JobSubmits):
    """The mails of a relay, one part each.

    What a relay did not take goes back to the head without its claim, so that an expiry or a
    cancellation that came meanwhile is seen.
    """

    def __init__(
        self,
        carrier: Carrier,
        witness: Witness,
        me: str,
        outside: Outside,
        composer: Composer,
        classifier: Classifier,
    ) -> None:
        super().__init__(carrier, witness, me, outside)
        self.composer = composer
        self.outcomes: MailOutcomes = MailOutcomes(carrier, outside, self.forget)
        self.outcomes.on_settled = self.wake_up
        self.relay: Relay | None = None
        self.judging = Judge(classifier, composer)

    def held_of(self, job: Job, delivery: Delivery) -> HeldJob:
        """See `JobSubmits.held_of`."""
        held = HeldJob(job, delivery.reply, delivery.num_delivered)
        held.parts = [Part(held, 0, b"")]
        return held

    def forget(self, attempt: str) -> None:
        """A job is done with."""
        super().forget(attempt)
        self.judging.patience.forget(attempt)

    @property
    def is_open(self) -> bool:
        """See `JobSubmits.is_open`."""
        return self.relay is not None

    @property
    def credit(self) -> int:
        """See `JobSubmits.credit`."""
        return 0 if self.relay is None else self.relay.credit

    @property
    def accepted_count(self) -> int:
        """See `JobSubmits.accepted_count`."""
        return self.judging.accepted_count

    # Claim and submit

    async def before_claim(self, batch: Sequence[Part]) -> None:
        """See `JobSubmits.before_claim`."""
        await self.drop_claims([part for part in batch if part.held.claimed])

    async def drop_claims(self, parts: Sequence[Part]) -> None:
        """Undo the claims of mails that went back. Raises StoreUnavailable."""
        if not parts:
            return
        await self.out.claims.drop(self.carrier.id, [part.held.attempt for part in parts], self.me)
        for part in parts:
            part.held.claimed = part.is_marked = False

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
