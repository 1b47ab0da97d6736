"""What a sweep of the ledger makes of due rows: work to hand out, and rows to write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from hermes.core.attempt import Attempt, job_of_attempt, owned_segments
from hermes.core.clock import (
    Admit,
    Conclude,
    DueAttempt,
    Republish,
    Resend,
    Rest,
    next_attempt_move,
    next_message_move,
)
from hermes.core.event import Event, EventKind, Source, event_id
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import Job
from hermes.core.message import Message
from hermes.core.outcome import MessageRow, Rules, fold
from hermes.core.plan import Plan
from hermes.core.state import FINAL_MESSAGE
from hermes.core.units import Reason


class SweptMessage(MessageRow, frozen=True, kw_only=True):
    """A message with its body, as far as that was not erased.

    `is_taken`: it has an attempt, or a cascade engine took it over.
    """

    accepted_at: datetime
    is_taken: bool = False
    segments: int = 1
    send_at: datetime | None = None
    reference: str | None = None
    traceparent: str | None = None
    to: str | None = None
    sender: str | None = None
    text: str | None = None
    plan: Plan | None = None

    def row(self) -> MessageRow:
        """Give the row without the body."""
        fields = {name: getattr(self, name) for name in MessageRow.__struct_fields__}
        return MessageRow(**fields)

    def message(self) -> Message | None:
        """Give the message as it was accepted; None once its body is erased."""
        if self.to is None or self.text is None or self.plan is None:
            return None
        return Message(
            id=self.id,
            tenant=self.tenant,
            to=self.to,
            text=self.text,
            plan=self.plan,
            accepted_at=self.accepted_at,
            expires_at=self.expires_at,
            traffic=self.traffic,
            sender=self.sender,
            segments=self.segments,
            send_at=self.send_at,
            reference=self.reference,
            traceparent=self.traceparent,
        )


class Sweep:
    """One sweep: feed it due rows, then take what it hands out and what is to be stored.

    `told` are events about attempts minted here, to be stored with them; `events` are for the
    belt, and become states only when the recorder has them.
    """

    def __init__(self, rules: Rules, source: Source) -> None:
        self.admit: list[Message] = []
        self.jobs: list[Job] = []
        self.events: list[Event] = []
        self.told: list[Event] = []
        self._rules = rules
        self._source = source
        timing = rules.timing
        self._leased_at = rules.now + timedelta(seconds=timing.lease_s)
        self._republish_at = rules.now + timedelta(seconds=timing.republish_after_s)

    def on_message(self, swept: SweptMessage) -> MessageRow:
        """Decide about a message whose own clock is due and give its row as it is to be."""
        row, message = swept.row(), swept.message()
        move = next_message_move(
            swept.state,
            is_taken=swept.is_taken,
            has_body=message is not None,
            is_expired=self._rules.now >= swept.expires_at,
        )
        match move:
            case Rest():
                return replace(row, next_at=None, next_action=None)
            case Conclude(kind, _, reason):
                first = Attempt(
                    message=row.id, step=0, n=0, tenant=row.tenant, expires_at=row.expires_at
                )
                self.events.append(self._event(first, kind, reason))
                # Nobody took it over, so no engine will say how it ended: the event does.
                row = replace(row, state="accepted")
            case Admit():
                assert message is not None
                self.admit.append(message)
        return replace(row, next_at=self._leased_at)

    def on_attempts(
        self, swept: SweptMessage, attempts: Sequence[Attempt], due: Sequence[Attempt]
    ) -> tuple[MessageRow, tuple[Attempt, ...]]:
        """Decide about the due ones of all `attempts` of a message and give the rows to be.

        Attempts that are new come last.
        """
        row, message = swept.row(), swept.message()
        if row.state in FINAL_MESSAGE:
            return row, tuple(replace(a, next_at=None, next_action=None) for a in attempts)
        rows = list(attempts)
        for attempt in due:
            index = next(
                i for i, a in enumerate(rows) if (a.step, a.n) == (attempt.step, attempt.n)
            )
            move = next_attempt_move(
                self._due(swept, attempt, rows, has_body=message is not None),
                self._rules.timing.max_resends,
            )
            match move:
                case Rest():
                    rows[index] = replace(attempt, next_at=None, next_action=None)
                case Republish():
                    assert message is not None
                    self.jobs.append(job_of_attempt(message, attempt))
                    rows[index] = self._unplaced(attempt)
                case Conclude(kind, segments, reason):
                    self._conclude(attempt, kind, segments, reason)
                    rows[index] = replace(attempt, next_at=self._leased_at)
                case Resend():
                    assert message is not None
                    minted = self._mint(attempt, rows, move)
                    self.jobs.append(job_of_attempt(message, minted))
                    rows.append(minted)
        return fold(row, rows, (), self._rules)

    def _due(
        self, swept: SweptMessage, attempt: Attempt, rows: Sequence[Attempt], *, has_body: bool
    ) -> DueAttempt:
        assert attempt.next_action is not None
        same_step = [a for a in rows if a.step == attempt.step]
        return DueAttempt(
            action=attempt.next_action,
            owned={i: attempt.segment_state(i) for i in owned_segments(attempt, rows)},
            traffic=swept.traffic,
            message_state=swept.state,
            is_expired=self._rules.now >= swept.expires_at,
            has_body=has_body,
            resends=sum(a.possible_duplicate for a in same_step),
            is_left=any(a.step > attempt.step for a in rows),
        )

    def _unplaced(self, attempt: Attempt) -> Attempt:
        return replace(
            attempt,
            stream_created=None,
            job_seq=None,
            next_at=self._republish_at,
            next_action="republish",
        )

    def _mint(self, attempt: Attempt, rows: Sequence[Attempt], move: Resend) -> Attempt:
        n = max(a.n for a in rows if a.step == attempt.step) + 1
        is_whole = len(move.segments) == attempt.segments
        minted = Attempt(
            message=attempt.message,
            step=attempt.step,
            n=n,
            tenant=attempt.tenant,
            expires_at=attempt.expires_at,
            segments=attempt.segments,
            carrier=attempt.carrier,
            only_segments=None if is_whole else move.segments,
            queued_at=self._rules.now,
            possible_duplicate=move.possible_duplicate,
            next_at=self._republish_at,
            next_action="republish",
            price_amount=attempt.price_amount,
            price_currency=attempt.price_currency,
            token=attempt.token,
        )
        self.told.append(self._event(minted, "queued", move.reason))
        if move.possible_duplicate:
            self.told.append(self._event(minted, "possible_duplicate", move.reason))
        return minted

    def _conclude(
        self, attempt: Attempt, kind: EventKind, segments: tuple[int, ...], reason: Reason
    ) -> None:
        if len(segments) == len(attempt.covered):
            self.events.append(self._event(attempt, kind, reason))
            return
        self.events += [self._event(attempt, kind, reason, segment) for segment in segments]

    def _event(
        self, attempt: Attempt, kind: EventKind, reason: Reason, segment: int | None = None
    ) -> Event:
        message = encode_message_id(attempt.message)
        detail = reason.code if kind == "unknown" else ""
        return Event(
            id=event_id(attempt_id(message, attempt.step, attempt.n), kind, segment, detail),
            message=message,
            step=attempt.step,
            attempt_n=attempt.n,
            kind=kind,
            at=self._rules.now,
            source=self._source,
            segment=segment,
            segments=attempt.segments,
            reason=reason,
            carrier=attempt.carrier,
        )


def lost_job(attempt: Attempt) -> Attempt:
    """Give an attempt whose job lay in a stream that is gone as one to publish again."""
    return replace(attempt, stream_created=None, job_seq=None, next_action="republish")


class StreamWatch(msgspec.Struct):
    """When to look for jobs that a wiped stream took along: at a change, else once a minute.

    Once a minute, because a job may be recorded in the old stream after the change was seen.
    """

    every_s: float = 60.0
    streams: dict[str, datetime] = msgspec.field(default_factory=dict)
    looked_at: datetime | None = None

    def is_due(self, streams: dict[str, datetime], now: datetime) -> bool:
        """Say whether to look now."""
        if not streams:
            return False
        if streams != self.streams or self.looked_at is None:
            return True
        return now - self.looked_at >= timedelta(seconds=self.every_s)

    def looked(self, streams: dict[str, datetime], now: datetime) -> None:
        """Note that all there was has been found."""
        self.streams, self.looked_at = streams, now
