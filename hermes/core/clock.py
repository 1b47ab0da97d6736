"""The ledger clock: when an attempt is looked at next, and what is done with a row that is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

import msgspec

from hermes.core.attempt import Attempt, AttemptAction
from hermes.core.state import FINAL_MESSAGE, AttemptState, MessageState, state_of_segments
from hermes.core.units import Reason, TrafficClass

MessageAction = Literal["admit", "start", "route"]
Clock = tuple[datetime, AttemptAction] | tuple[None, None]

STOPPED: Final[Clock] = (None, None)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of the ledger clock in seconds.

    `republish_after_s` is twice the belt's duplicate window; `lease_s` is how long an action the
    sweeper handed out may take before it is handed out again; `expire_margin_s` leaves a bind the
    time to end what it had begun at expiry. `max_resends` bounds the possible duplicates of one
    step whose carrier drops the link at every submit.
    """

    grace_s: float = 90.0
    grace_otp_s: float = 10.0
    receipt_timeout_s: float = 3600.0
    expire_margin_s: float = 30.0
    readmit_after_s: float = 10.0
    republish_after_s: float = 240.0
    lease_s: float = 30.0
    max_resends: int = 3

    def grace(self, traffic: TrafficClass) -> timedelta:
        """Give how long an uncertain submit of this class may stay open."""
        return timedelta(seconds=self.grace_otp_s if traffic == "otp" else self.grace_s)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the clock of one attempt depends on besides its states; `now` is ledger time."""

    now: datetime
    traffic: TrafficClass
    expires_at: datetime
    awaits_receipt: bool
    timing: Timing


def clock_after(
    attempt: Attempt,
    owned: Sequence[AttemptState],
    terms: Terms,
    *,
    was_uncertain: bool = False,
    retry_at: datetime | None = None,
) -> Clock:
    """Give an attempt's place on the clock after events were folded into it.

    `owned` are the states of the segments it answers for; `was_uncertain` and `retry_at` say what
    the folded events asked. An `uncertain` event ends the job, so what it left unsent is decided
    together with what it left open.
    """
    if not owned:
        return STOPPED
    lowest = min(owned)
    if (state_of_segments(owned, len(owned)) if len(owned) > 1 else lowest) >= AttemptState.UNKNOWN:
        return STOPPED
    timing = terms.timing
    at, action = attempt.next_at, attempt.next_action
    if lowest >= AttemptState.SENT:
        if not terms.awaits_receipt:
            return STOPPED
        if at is not None and action == "receipt_timeout":
            return at, action
        ends = terms.expires_at + timedelta(seconds=timing.receipt_timeout_s)
        return ends, "receipt_timeout"
    if at is not None and action == "resolve_uncertain":
        return at, action
    if was_uncertain or AttemptState.UNCERTAIN in owned:
        ends = min(terms.now + timing.grace(terms.traffic), terms.expires_at)
        return ends, "resolve_uncertain"
    if retry_at is not None:
        if at is not None and action == "retry":
            retry_at = max(at, retry_at)
        return min(retry_at, terms.expires_at), "retry"
    if at is not None and action in ("republish", "retry", "expire"):
        return at, action
    return terms.expires_at + timedelta(seconds=timing.expire_margin_s), "expire"


@dataclass(frozen=True, slots=True)
class Admit:
    """Publish the whole message on INTAKE again."""


@dataclass(frozen=True, slots=True)
class Republish:
    """Publish the job again under the same attempt id."""


@dataclass(frozen=True, slots=True)
class Resend:
    """Mint attempt n+1 for these segments."""

    segments: tuple[int, ...]
    possible_duplicate: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Conclude:
    """Tell an event of this kind about these segments; () means the attempt as a whole."""

    kind: Literal["expired", "unknown", "failed", "cancelled"]
    segments: tuple[int, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is left to do: stop the clock."""


Move = Admit | Republish | Resend | Conclude | Rest

EXPIRED: Final = Reason("expired", "not handed to a carrier before it expired")
OUTCOME_UNKNOWN: Final = Reason("outcome_unknown", "the carrier's answer to the submit was lost")
NO_RECEIPT: Final = Reason("no_receipt", "the carrier sent no receipt in time")
ERASED: Final = Reason("erased", "the text was erased before it was sent")
LEFT: Final = Reason("wait_over", "the cascade has gone on to a later step")
RETRY: Final = Reason("retry", "sent again after a temporary refusal")
RESEND: Final = Reason("resend_uncertain", "sent again because the outcome stayed open")


def next_message_move(
    state: MessageState, *, is_taken: bool, has_body: bool, is_expired: bool
) -> Admit | Conclude | Rest:
    """Decide about a message whose own clock is due.

    `is_taken` says that it has an attempt or that a cascade engine took it over.
    """
    if state in FINAL_MESSAGE or is_taken:
        return Rest()
    if is_expired:
        return Conclude("expired", (), EXPIRED)
    if not has_body:
        return Conclude("failed", (), ERASED)
    return Admit()


class DueAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose clock is due; `owned` = state of each segment it answers for.

    `is_left` says that a later step of its cascade has begun.
    """

    action: AttemptAction
    owned: Mapping[int, AttemptState]
    traffic: TrafficClass
    message_state: MessageState
    is_expired: bool
    has_body: bool
    resends: int
    is_left: bool = False


def next_attempt_move(due: DueAttempt, max_resends: int) -> Republish | Resend | Conclude | Rest:
    """Decide about an attempt whose clock is due.

    | action | act |
    |---|---|
    | any, decided or answered for elsewhere | rest |
    | republish, retry of a step that was left | `cancelled`; an uncertain one `unknown` |
    | republish | the job again; `expired` past expires_at |
    | retry | attempt n+1; `expired` past expires_at |
    | resolve_uncertain | attempt n+1, possible duplicate; marketing, expired, too many: `unknown` |
    | receipt_timeout | `unknown`, no receipt |
    | expire | `expired` |
    """
    states = due.owned.values()
    decided = not states or state_of_segments(states, len(states)) >= AttemptState.UNKNOWN
    if due.message_state in FINAL_MESSAGE or decided:
        return Rest()
    unsent = tuple(i for i, state in due.owned.items() if state < AttemptState.SENT)
    match due.action:
        case "receipt_timeout":
            waiting = tuple(i for i, s in due.owned.items() if s < AttemptState.UNKNOWN)
            return Conclude("unknown", waiting, NO_RECEIPT)
        case "resolve_uncertain":
            return _resolve(due, unsent, max_resends)
        case "republish" | "retry" | "expire" as action:
            if not unsent:
                return Rest()
            if due.is_expired or action == "expire":
                return Conclude("expired", unsent, EXPIRED)
            if due.is_left:
                return Conclude("cancelled", unsent, LEFT)
            if not due.has_body:
                return Conclude("failed", unsent, ERASED)
            return Republish() if action == "republish" else Resend(unsent, False, RETRY)
        case _:
            assert_never(due.action)


def _resolve(
    due: DueAttempt, unsent: tuple[int, ...], max_resends: int
) -> Resend | Conclude | Rest:
    if not unsent:
        return Rest()
    if AttemptState.UNCERTAIN not in due.owned.values():
        if due.is_expired:
            return Conclude("expired", unsent, EXPIRED)
        if due.is_left:
            return Conclude("cancelled", unsent, LEFT)
        return Resend(unsent, False, RETRY) if due.has_body else Conclude("failed", unsent, ERASED)
    given_up = due.is_expired or due.is_left or not due.has_body or due.resends >= max_resends
    if due.traffic == "marketing" or given_up:
        return Conclude("unknown", unsent, OUTCOME_UNKNOWN)
    return Resend(unsent, True, RESEND)
