"""How a bind's submits end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from actors.bind_job import HeldJob, Part
from actors.job_outcomes import JobOutcomes
from actors.outside import BindOutside
from hermes.core.carrier import Carrier
from hermes.core.claim import ACCEPTED, DEFERRED, REFUSED, UNCERTAIN
from hermes.core.event import Event
from hermes.core.ids import split_attempt_id
from hermes.core.receipt import ReceiptNote, kind_of_receipt
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.ports.link import NoResponse, SubmitResult
from hermes.ports.receipt_store import Accepted, OrphanMatch, Settlement, Target
from hermes.smpp.status import StatusClass, classify, overrides_of, status_name
from hermes.smpp.submit import destination_of, sender_of

KEEP_CLAIM = timedelta(hours=24)
DEFAULT_RETRY = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """How one submit ended: an answer, or the error that left it open, or refused before it."""

    part: Part
    answer: SubmitResult | None
    error: Exception | None
    at: datetime
    refused: Reason | None = None


class Outcomes(JobOutcomes[Result, BindOutside]):
    """A job is told once all its parts are; receipts that came before their response too."""

    channel = "sms"

    def __init__(
        self,
        carrier: Carrier,
        witness: Witness,
        outside: BindOutside,
        forget: Callable[[str], None],
    ) -> None:
        super().__init__(carrier, outside, forget)
        self.witness = witness
        self.overrides = overrides_of(carrier.status_map)
        self.orphans: list[OrphanMatch] = []
        self.accepted_count = 0

    async def remember(self, batch: Sequence[Result]) -> None:
        """See `JobOutcomes.remember`; ids go with the outcomes, and find what came before them."""
        settlements = [self.settlement(result) for result in batch]
        self.orphans += await self.out.receipts.settle_accepted(self.carrier.id, settlements)

    def events_of(self, batch: Sequence[Result]) -> list[Event]:
        """See `JobOutcomes.events_of`."""
        orphans, self.orphans = self.orphans, []
        return [
            *(self.event_of(result) for result in batch),
            *(self.event_of_orphan(orphan) for orphan in orphans),
        ]

    def done_of(self, batch: Sequence[Result]) -> list[HeldJob]:
        """See `JobOutcomes.done_of`."""
        done: list[HeldJob] = []
        for result in batch:
            held = result.part.held
            held.untold -= 1
            if held.untold == 0:
                done.append(held)
        return done

    def settlement(self, result: Result) -> Settlement:
        """Give what the claim keeps of a result."""
        part, answer = result.part, result.answer
        job, total = part.held.job, part.held.total
        if answer is None and result.refused is None:
            return Settlement(job.attempt, part.index, UNCERTAIN)
        if answer is None or answer.status != 0:
            reason = self.reason_of(result)
            word = DEFERRED if answer is not None and self.may_retry(result) else REFUSED
            return Settlement(job.attempt, part.index, word, f"{reason.code} {reason.text}")
        sender, _ = sender_of(job.sender, self.carrier)
        target = Target(
            answer.message_id,
            sender,
            destination_of(job.to, self.carrier),
            job.attempt,
            job.tenant,
            part.index,
            total,
            job.success,
        )
        ttl = max(3600, int((job.expires_at + KEEP_CLAIM - result.at).total_seconds()))
        outcome = ACCEPTED + answer.message_id
        return Settlement(job.attempt, part.index, outcome, accepted=Accepted(target, ttl))

    def reason_of(self, result: Result) -> Reason:
        """Give why a submit was refused or is open."""
        if result.refused is not None:
            return result.refused
        if result.answer is not None:
            status = result.answer.status
            return Reason(f"smpp_0x{status:08x}", status_name(status))
        if isinstance(result.error, NoResponse):
            return Reason("no_response", "the carrier did not answer in time")
        return Reason("link_lost", str(result.error))

    def event_of(self, result: Result) -> Event:
        """Give the event of a result."""
        part, answer, at = result.part, result.answer, result.at
        held = part.held
        tell = partial(
            self.witness.tell, held.attempt, at=at, segment=part.index, segments=held.total
        )
        if result.refused is not None:
            return tell(kind="failed", reason=result.refused)
        reason = self.reason_of(result)
        if answer is None:
            return tell(kind="uncertain", reason=reason)
        if answer.status == 0:
            self.accepted_count += 1
            return tell(kind="sent", carrier_message_id=answer.message_id or None)
        if self.may_retry(result):
            delay = classify(answer.status, self.overrides).delay or DEFAULT_RETRY
            return tell(kind="deferred", reason=reason, retry_at=at + timedelta(seconds=delay))
        return tell(kind="failed", reason=reason)

    def may_retry(self, result: Result) -> bool:
        """Say whether the ledger clock gives a refused one another try."""
        assert result.answer is not None
        rule = classify(result.answer.status, self.overrides)
        if rule.status_class is StatusClass.CONFIG:
            return True
        _, _, n = split_attempt_id(result.part.held.attempt)
        return rule.status_class is StatusClass.RETRY and n < rule.retries

    def event_of_orphan(self, orphan: OrphanMatch) -> Event:
        """Give the event of a receipt that came before its response."""
        note = ReceiptNote.parse(orphan.inbound)
        return receipt_event(self.witness, self.carrier, orphan.target, note, self.out.clock())


def receipt_event(
    witness: Witness, carrier: Carrier | None, target: Target, note: ReceiptNote, at: datetime
) -> Event:
    """Give the event a receipt makes of its segment, or of all where the carrier sends just one."""
    is_only_one = carrier is not None and carrier.receipts in ("first", "last")
    kind = kind_of_receipt(note.stat)
    return witness.tell(
        target.attempt,
        kind,
        at,
        segment=None if is_only_one else target.segment,
        segments=target.segments,
        detail=note.stat if kind == "enroute" else "",
        reason=Reason(note.stat.lower() or "receipt", note.words),
        carrier_message_id=target.carrier_message_id,
    )
