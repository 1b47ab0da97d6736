"""An attempt: one walk of one step of a message to one carrier, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from hermes.core.ids import AttemptId, attempt_id, encode_message_id
from hermes.core.job import Job, mail_content, text_of
from hermes.core.message import Message
from hermes.core.state import AttemptState, state_of_segments
from hermes.core.units import Money, Reason

AttemptAction = Literal["republish", "retry", "resolve_uncertain", "receipt_timeout", "expire"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. `segment_*` are indexed by segment, None where nothing is known.

    `only_segments` are the segments a resend carries (None: all of them), `segments` their number
    in the whole message. `segment_reasons` hold a code, a space and a text. `next_at` and
    `next_action` are its place on the ledger clock.
    """

    message: UUID
    step: int
    n: int
    tenant: str
    expires_at: datetime
    segments: int = 1
    state: AttemptState = AttemptState.QUEUED
    carrier: str | None = None
    bind: str | None = None
    host: str | None = None
    segment_states: tuple[AttemptState | None, ...] | None = None
    segment_ids: tuple[str | None, ...] | None = None
    segment_reasons: tuple[str | None, ...] | None = None
    only_segments: tuple[int, ...] | None = None
    queued_at: datetime | None = None
    sent_at: datetime | None = None
    done_at: datetime | None = None
    reason_code: str | None = None
    reason_text: str | None = None
    possible_duplicate: bool = False
    stream_created: datetime | None = None
    job_seq: int | None = None
    next_at: datetime | None = None
    next_action: AttemptAction | None = None
    price_amount: str | None = None
    price_currency: str | None = None
    token: str | None = None

    @property
    def id(self) -> AttemptId:
        """The attempt id: claim key and Nats-Msg-Id."""
        return attempt_id(encode_message_id(self.message), self.step, self.n)

    @property
    def covered(self) -> Sequence[int]:
        """The indices of the segments this attempt carries."""
        return range(self.segments) if self.only_segments is None else self.only_segments

    @property
    def price(self) -> Money | None:
        """The price of one segment."""
        if self.price_amount is None or self.price_currency is None:
            return None
        return Money(self.price_amount, self.price_currency)

    @property
    def reason(self) -> Reason | None:
        """Why it is in its state."""
        return Reason(self.reason_code, self.reason_text or "") if self.reason_code else None

    def segment_state(self, index: int) -> AttemptState:
        """Give the state of a segment; what nothing is known of is queued."""
        known = self.segment_states[index] if self.segment_states else None
        return AttemptState.QUEUED if known is None else known


def misfit(attempt: Attempt) -> str:
    """Say what of a row contradicts itself, "" for nothing: the folds rely on it."""
    count = attempt.segments
    for name in ("segment_states", "segment_ids", "segment_reasons"):
        known: Sequence[object] | None = getattr(attempt, name)
        if known is not None and len(known) != count:
            return f"{name} has {len(known)} places for {count} segments"
    if any(not 0 <= index < count for index in attempt.only_segments or ()):
        return f"only_segments are not among {count} segments"
    return ""


def owned_segments(attempt: Attempt, attempts: Sequence[Attempt]) -> tuple[int, ...]:
    """Give the segments `attempt` still answers for: those no later one of its step carries."""
    later = [a for a in attempts if a.step == attempt.step and a.n > attempt.n]
    if any(a.only_segments is None for a in later):
        return ()
    return tuple(i for i in attempt.covered if not any(i in a.covered for a in later))


def step_state(attempts: Sequence[Attempt]) -> AttemptState:
    """Give the state of a step from all its attempts, segment by segment.

    A segment delivered by any of them is delivered; else the newest that carries it speaks. The
    newest that carries them all says how many there are: the first only had an estimate.
    """
    if len(attempts) == 1 and attempts[0].segments == 1:
        return attempts[0].state
    states: list[AttemptState] = []
    newest_first = sorted(attempts, key=lambda a: -a.n)
    whole = next((a for a in newest_first if a.only_segments is None), newest_first[0])
    total = whole.segments
    for index in range(total):
        carried = [a.segment_state(index) for a in newest_first if index in a.covered]
        if AttemptState.DELIVERED in carried:
            states.append(AttemptState.DELIVERED)
        elif carried:
            states.append(carried[0])
    return state_of_segments(states, total)


def job_of_attempt(message: Message, attempt: Attempt) -> Job:
    """Make the job of an attempt; only what is not yet with the carrier is asked for.

    The same attempt published again keeps its id, so a claim that still exists has the last word.
    """
    step = message.plan.steps[attempt.step]
    owed = tuple(i for i in attempt.covered if attempt.segment_state(i) < AttemptState.UNCERTAIN)
    return Job(
        attempt=attempt.id,
        tenant=message.tenant,
        carrier=attempt.carrier or "",
        to=step.to or message.to,
        expires_at=message.expires_at,
        queued_at=attempt.queued_at or message.accepted_at,
        channel=step.channel,
        traffic=message.traffic,
        success=step.success,
        sender=message.sender,
        text=text_of(message, step),
        content=mail_content(step),
        segments=attempt.segments,
        price=attempt.price,
        possible_duplicate=attempt.possible_duplicate,
        only_segments=owed if len(owed) < attempt.segments else (),
        token=attempt.token,
        traceparent=message.traceparent,
    )
