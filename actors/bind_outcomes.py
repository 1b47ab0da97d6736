"""How a bind's submits end: into memory, as events on the belt, then the ack of the job."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from actors.bind_job import HeldJob, Part
from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from hermes import crash
from hermes.core.carrier import Carrier
from hermes.core.claim import ACCEPTED, DEFERRED, REFUSED, UNCERTAIN
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event
from hermes.core.ids import split_attempt_id
from hermes.core.receipt import ReceiptNote, kind_of_receipt
from hermes.core.units import Reason
from hermes.core.witness import Witness
from hermes.metrics import Metrics
from hermes.ports.claims import Claims, Leases
from hermes.ports.link import NoResponse, SubmitResult
from hermes.ports.receipt_store import Accepted, OrphanMatch, ReceiptStore, Settlement, Target
from hermes.ports.stream import Acknowledger
from hermes.smpp.status import StatusClass, classify, overrides_of, status_name
from hermes.smpp.submit import destination_of, sender_of

KEEP_CLAIM = timedelta(hours=24)
RETRY_EVERY = 0.5
GATHER = 0.005
DEFAULT_RETRY = 30.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What the outbound side needs of the world."""

    claims: Claims
    leases: Leases
    receipts: ReceiptStore
    belt: Acknowledger
    sink: EventSink
    dead: DeadLetterSink
    clock: Callable[[], datetime]
    memory_made_at: Callable[[], datetime]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Result:
    """How one submit ended: an answer, or the error that left it open, or refused before it."""

    part: Part
    answer: SubmitResult | None
    error: Exception | None
    at: datetime
    refused: Reason | None = None


class Outcomes:
    """Settles results in batches; `forget(attempt)` is told of each that is acknowledged."""

    def __init__(
        self, carrier: Carrier, witness: Witness, outside: Outside, forget: Callable[[str], None]
    ) -> None:
        self.carrier, self.witness, self.out, self.forget = carrier, witness, outside, forget
        self.overrides = overrides_of(carrier.status_map)
        self.results: deque[Result] = deque()
        self.settled: list[tuple[Result, ...]] = []
        self.orphans: list[OrphanMatch] = []
        self.unsettled = 0
        self.untold = 0
        self.came = asyncio.Event()
        self.ready = asyncio.Event()
        self.on_settled: Callable[[], None] = lambda: None
        self.accepted_count = 0

    @property
    def is_idle(self) -> bool:
        """Say whether everything that ended is settled, told and acknowledged."""
        return self.unsettled == 0 and self.untold == 0

    def add(self, result: Result) -> None:
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
            self.orphans += await self.remember([self.settlement(r) for r in batch])
            crash.at("after_correlation", len(batch))
            self.unsettled -= len(batch)
            self.settled.append(batch)
            self.ready.set()
            self.on_settled()

    async def tell_forever(self) -> None:
        """Tell what is settled, fifty or five milliseconds at a time, then acknowledge."""
        while True:
            await self.ready.wait()
            self.ready.clear()
            await asyncio.sleep(GATHER)
            batch = [result for part in self.settled for result in part]
            orphans, self.settled, self.orphans = self.orphans, [], []
            await self.tell(batch, orphans)
            self.untold -= len(batch)

    async def tell(self, batch: list[Result], orphans: list[OrphanMatch]) -> None:
        """Store the events of a batch, for as long as the belt takes, and ack its jobs."""
        events = [self.event_of(result) for result in batch]
        events += [self.event_of_orphan(orphan) for orphan in orphans]
        await self.out.sink.store(events)
        crash.at("after_event", len(batch))
        for event in events:
            self.out.metrics.messages.labels("sms", self.carrier.id, event.kind).inc()
        crash.at("before_ack", len(batch))
        await self.ack(self.told(batch))

    @staticmethod
    def told(batch: list[Result]) -> list[HeldJob]:
        """Give the jobs of which everything is told by now."""
        done: list[HeldJob] = []
        for result in batch:
            held = result.part.held
            held.untold -= 1
            if held.untold == 0:
                done.append(held)
        return done

    async def remember(self, settlements: list[Settlement]) -> list[OrphanMatch]:
        """Write outcomes and ids into memory, trying again while it is away."""
        while settlements:
            try:
                return await self.out.receipts.settle_accepted(self.carrier.id, settlements)
            except StoreUnavailable as error:
                self.out.sink.refuse(error)
                await asyncio.sleep(RETRY_EVERY)
            self.out.sink.is_refused = False
        return []

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

    async def ack(self, done: Sequence[HeldJob]) -> None:
        """Acknowledge and let go; an ack that is lost comes back and meets its claim."""
        for held in done:
            self.forget(held.attempt)
        try:
            await self.out.belt.ack_many(held.reply for held in done)
        except StoreUnavailable as error:
            self.out.sink.last_error = str(error)


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
