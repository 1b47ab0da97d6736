"""Attempts between acceptance and the belt, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from msgspec.structs import replace

from hermes.core.attempt import Attempt
from hermes.core.clock import Timing
from hermes.core.event import Event, EventKind, Source
from hermes.core.ids import decode_message_id, encode_message_id, split_attempt_id
from hermes.core.state import AttemptState
from hermes.core.units import Reason
from hermes.ports.attempt_store import Cancellation, JobPlace, Offer, OnItsWay, Parking, Taken
from hermes.testing.memory_ledger import MemoryLedger


class MemoryAttemptStore:
    """Attempts between acceptance and the belt, in memory (port: AttemptStore)."""

    def __init__(self, ledger: MemoryLedger, source: Source, timing: Timing | None = None) -> None:
        self._ledger = ledger
        self._source = source
        self._timing = timing or Timing()

    async def take_in(self, offers: Sequence[Offer]) -> list[Taken]:
        """Take messages in; give one result for each, in order."""
        return [self._take(offer) for offer in offers]

    def _take(self, offer: Offer) -> Taken:
        ledger, message = self._ledger, offer.message
        row = ledger.rows.get(message)
        if row is None:
            return Taken(message=message, status="absent")
        if row.state == "processing":
            return self._under_way(message)
        if row.state != "accepted":
            return Taken(message=message, status="finished")
        if row.expires_at <= ledger.now():
            return Taken(message=message, status="expired")
        again_at = ledger.after(self._timing.republish_after_s)
        taken = Taken(
            message=message,
            status="taken",
            carrier=offer.carrier,
            segments=offer.segments,
            price=offer.price,
            queued_at=ledger.now(),
        )
        row = replace(row, state="processing", reason_code=None, reason_text=None)
        if offer.carrier is None:
            ledger.rows[message] = replace(row, next_at=again_at, next_action="admit")
            return taken
        ledger.rows[message] = replace(row, next_at=None, next_action=None)
        attempt = Attempt(
            message=message,
            step=0,
            n=0,
            tenant=row.tenant,
            expires_at=row.expires_at,
            segments=offer.segments,
            carrier=offer.carrier,
            queued_at=taken.queued_at,
            next_at=again_at,
            next_action="republish",
            price_amount=offer.price.amount if offer.price else None,
            price_currency=offer.price.currency if offer.price else None,
        )
        ledger.attempts[message] = [attempt]
        return replace(taken, attempt=attempt.id)

    def _under_way(self, message: UUID) -> Taken:
        attempts = self._ledger.attempts.get(message)
        if not attempts:
            is_owned = message in self._ledger.cascade_owners
            return Taken(message=message, status="recorded" if is_owned else "again")
        newest = max(attempts, key=lambda a: (a.step, a.n))
        is_recorded = newest.job_seq is not None or newest.next_action != "republish"
        if is_recorded or newest.state >= AttemptState.UNCERTAIN:
            return Taken(message=message, status="recorded")
        return Taken(
            message=message,
            status="again",
            attempt=newest.id,
            carrier=newest.carrier,
            segments=newest.segments,
            price=newest.price,
            queued_at=newest.queued_at,
            possible_duplicate=newest.possible_duplicate,
        )

    async def record_jobs(self, places: Sequence[JobPlace]) -> int:
        """Note where jobs lie on the belt."""
        return sum(self._record(place) for place in places)

    def _record(self, place: JobPlace) -> bool:
        name, step, n = split_attempt_id(place.attempt)
        attempts = self._ledger.attempts.get(decode_message_id(name), [])
        for index, attempt in enumerate(attempts):
            if (attempt.step, attempt.n) != (step, n):
                continue
            placed = replace(attempt, stream_created=place.stream_created, job_seq=place.job_seq)
            if attempt.next_action == "republish":
                margin = timedelta(seconds=self._timing.expire_margin_s)
                placed = replace(placed, next_at=attempt.expires_at + margin, next_action="expire")
            attempts[index] = placed
            return True
        return False

    async def park(self, parkings: Sequence[Parking]) -> list[UUID]:
        """Let messages wait on the ledger clock; give those that do."""
        return [parking.message for parking in parkings if self._park(parking)]

    def _park(self, parking: Parking) -> bool:
        ledger, message = self._ledger, parking.message
        row = ledger.rows.get(message)
        if row is None or message in ledger.cascade_owners:
            return False
        if row.state == "processing":
            attempts = ledger.attempts.get(message, [])
            first = attempts[0] if len(attempts) == 1 else None
            if first is None or first.job_seq is not None or first.next_action != "republish":
                return False
            if first.state is not AttemptState.QUEUED:
                return False
            del ledger.attempts[message]
        elif row.state != "accepted":
            return False
        if row.reason_code != parking.reason.code:
            self._tell(message, "parked", parking.reason)
        ledger.rows[message] = replace(
            row,
            state="accepted",
            reason_code=parking.reason.code,
            reason_text=parking.reason.text or None,
            next_at=parking.next_at or ledger.after(parking.after_s),
            next_action=parking.next_action,
        )
        return True

    async def cancel(self, tenant: str, message: UUID) -> Cancellation | None:
        """Cancel a message nobody took in yet; else name the jobs whose claims decide."""
        ledger = self._ledger
        row = ledger.rows.get(message)
        if row is None or row.tenant != tenant:
            return None
        if row.state == "processing":
            jobs = [
                OnItsWay(attempt.id, attempt.carrier)
                for attempt in ledger.attempts.get(message, ())
                if attempt.state < AttemptState.UNCERTAIN
            ]
            return Cancellation(row.state, tuple(jobs))
        if row.state != "accepted":
            return Cancellation(row.state)
        self._tell(message, "cancelled", Reason("cancelled"))
        ledger.turn(
            replace(
                row,
                state="cancelled",
                done_at=ledger.now(),
                reason_code="cancelled",
                reason_text=None,
                next_at=None,
                next_action=None,
            )
        )
        return Cancellation("cancelled")

    def _tell(self, message: UUID, kind: EventKind, reason: Reason) -> None:
        event = Event(
            id=uuid4(),
            message=encode_message_id(message),
            step=0,
            attempt_n=0,
            kind=kind,
            at=self._ledger.now(),
            source=self._source,
            reason=reason,
        )
        self._ledger.tell(message, event)
