"""When a row is looked at next, and what is done with it then: both tables of the ledger clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from hermes.core.attempt import AttemptAction
from hermes.core.clock import (
    ERASED,
    EXPIRED,
    NO_RECEIPT,
    OUTCOME_UNKNOWN,
    RESEND,
    RETRY,
    STOPPED,
    Admit,
    Clock,
    Conclude,
    DueAttempt,
    Move,
    Republish,
    Resend,
    Rest,
    Terms,
    Timing,
    clock_after,
    next_attempt_move,
    next_message_move,
)
from hermes.core.state import AttemptState, MessageState
from hermes.core.units import TrafficClass
from tests.unit.core.rows import EXPIRES, NOW, attempt

Q, U, S = AttemptState.QUEUED, AttemptState.UNCERTAIN, AttemptState.SENT
UNKNOWN, FAILED = AttemptState.UNKNOWN, AttemptState.FAILED
UNDELIVERED, DELIVERED = AttemptState.UNDELIVERED, AttemptState.DELIVERED
RECEIPT_BY = EXPIRES + timedelta(hours=1)
EXPIRE_AT = EXPIRES + timedelta(seconds=30)
SOON = NOW + timedelta(seconds=7)


def after(
    owned: Sequence[AttemptState],
    now_is: Clock = STOPPED,
    *,
    traffic: TrafficClass = "transactional",
    awaits_receipt: bool = True,
    was_uncertain: bool = False,
    retry_in_s: float | None = None,
    left_s: float = 86400.0,
) -> Clock:
    terms = Terms(
        now=EXPIRES - timedelta(seconds=left_s),
        traffic=traffic,
        expires_at=EXPIRES,
        awaits_receipt=awaits_receipt,
        timing=Timing(),
    )
    retry_at = None if retry_in_s is None else terms.now + timedelta(seconds=retry_in_s)
    row = attempt(next_at=now_is[0], next_action=now_is[1])
    return clock_after(row, owned, terms, was_uncertain=was_uncertain, retry_at=retry_at)


@pytest.mark.parametrize("owned", [(), (DELIVERED,), (FAILED,), (S, UNDELIVERED), (UNKNOWN, S)])
def test_what_is_decided_or_not_its_own_has_no_clock(owned: Sequence[AttemptState]) -> None:
    assert after(owned, (SOON, "receipt_timeout")) == STOPPED


@pytest.mark.parametrize("owned", [(S,), (S, S), (S, DELIVERED)])
def test_what_was_sent_waits_for_receipts_where_there_are_any(
    owned: Sequence[AttemptState],
) -> None:
    assert after(owned, (SOON, "expire")) == (RECEIPT_BY, "receipt_timeout")
    assert after(owned, (SOON, "receipt_timeout")) == (SOON, "receipt_timeout")
    assert after(owned, awaits_receipt=False) == STOPPED


@pytest.mark.parametrize(
    ("traffic", "left_s", "wait_s"),
    [("otp", 3600, 10), ("transactional", 3600, 90), ("marketing", 3600, 90), ("otp", 4, 4)],
)
def test_grace_is_by_class_and_never_beyond_expiry(
    traffic: TrafficClass, left_s: float, wait_s: float
) -> None:
    at = EXPIRES - timedelta(seconds=left_s - wait_s)
    assert after((U,), traffic=traffic, left_s=left_s) == (at, "resolve_uncertain")


def test_grace_runs_from_the_first_time_it_was_asked() -> None:
    clock: Clock = (SOON, "resolve_uncertain")
    assert after((U,), clock, was_uncertain=True) == clock
    assert after((S, Q), clock) == clock, "the uncertain event ended the job: the rest is open too"


def test_an_uncertain_event_that_came_late_still_opens_what_was_not_sent() -> None:
    assert after((S, Q), (SOON, "expire"), was_uncertain=True)[1] == "resolve_uncertain"
    assert after((S, S), (SOON, "expire"), was_uncertain=True)[1] == "receipt_timeout"


def test_the_latest_retry_counts_but_not_beyond_expiry() -> None:
    retry = NOW + timedelta(seconds=60)
    assert after((Q,), (SOON, "expire"), retry_in_s=60) == (retry, "retry")
    assert after((Q,), (SOON, "retry"), retry_in_s=60) == (retry, "retry")
    late = NOW + timedelta(seconds=90)
    assert after((Q,), (late, "retry"), retry_in_s=60) == (late, "retry")
    assert after((Q,), left_s=5, retry_in_s=60) == (EXPIRES, "retry")
    assert after((U,), retry_in_s=60)[1] == "resolve_uncertain"


@pytest.mark.parametrize("action", ["republish", "retry", "expire"])
def test_what_is_queued_keeps_its_clock(action: AttemptAction) -> None:
    assert after((Q,), (SOON, action)) == (SOON, action)
    assert after((S, Q), (SOON, action)) == (SOON, action)


def test_what_is_queued_without_a_clock_gets_one() -> None:
    assert after((Q,)) == (EXPIRE_AT, "expire")
    assert after((DELIVERED, Q), (SOON, "receipt_timeout")) == (EXPIRE_AT, "expire")


@pytest.mark.parametrize(
    ("state", "is_taken", "has_body", "is_expired", "move"),
    [
        ("accepted", False, True, False, Admit()),
        ("processing", False, True, False, Admit()),  # for an engine that never started
        ("accepted", False, True, True, Conclude("expired", (), EXPIRED)),
        ("accepted", False, False, True, Conclude("expired", (), EXPIRED)),
        ("accepted", False, False, False, Conclude("failed", (), ERASED)),
        ("processing", True, True, False, Rest()),
        ("processing", True, True, True, Rest()),  # its attempts have clocks of their own
        ("cancelled", False, True, False, Rest()),
        ("delivered", True, True, True, Rest()),
    ],
)
def test_the_table_of_due_messages(
    state: MessageState, is_taken: bool, has_body: bool, is_expired: bool, move: Move
) -> None:
    assert (
        next_message_move(state, is_taken=is_taken, has_body=has_body, is_expired=is_expired)
        == move
    )


def due(
    action: AttemptAction,
    *owned: AttemptState,
    traffic: TrafficClass = "transactional",
    state: MessageState = "processing",
    is_expired: bool = False,
    has_body: bool = True,
    resends: int = 0,
) -> Move:
    found = DueAttempt(
        action=action,
        owned=dict(enumerate(owned)),
        traffic=traffic,
        message_state=state,
        is_expired=is_expired,
        has_body=has_body,
        resends=resends,
    )
    return next_attempt_move(found, max_resends=3)


ACTIONS: list[AttemptAction] = [
    "republish",
    "retry",
    "resolve_uncertain",
    "receipt_timeout",
    "expire",
]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_decided_rests_whatever_was_due(action: AttemptAction) -> None:
    assert due(action) == Rest()
    assert due(action, DELIVERED) == Rest()
    assert due(action, S, FAILED) == Rest()
    assert due(action, Q, state="delivered") == Rest()
    assert due(action, U, state="cancelled", is_expired=True) == Rest()


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (due("republish", Q), Republish()),
        (due("republish", S, Q), Republish()),
        (due("republish", S), Rest()),
        (due("republish", Q, is_expired=True), Conclude("expired", (0,), EXPIRED)),
        (due("republish", Q, has_body=False), Conclude("failed", (0,), ERASED)),
        (due("retry", Q), Resend((0,), False, RETRY)),
        (due("retry", S, Q, Q), Resend((1, 2), False, RETRY)),
        (due("retry", Q, is_expired=True), Conclude("expired", (0,), EXPIRED)),
        (due("retry", Q, has_body=False), Conclude("failed", (0,), ERASED)),
        (due("expire", S, Q), Conclude("expired", (1,), EXPIRED)),
        (due("expire", S, S), Rest()),
        (due("receipt_timeout", S), Conclude("unknown", (0,), NO_RECEIPT)),
        (due("receipt_timeout", DELIVERED, S), Conclude("unknown", (1,), NO_RECEIPT)),
        (due("receipt_timeout", S, traffic="marketing"), Conclude("unknown", (0,), NO_RECEIPT)),
    ],
)
def test_the_table_of_due_attempts(move: Move, expected: Move) -> None:
    assert move == expected


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (due("resolve_uncertain", U, traffic="otp"), Resend((0,), True, RESEND)),
        (due("resolve_uncertain", U), Resend((0,), True, RESEND)),
        (due("resolve_uncertain", S, U, Q), Resend((1, 2), True, RESEND)),
        (due("resolve_uncertain", U, traffic="marketing"), None),
        (due("resolve_uncertain", U, is_expired=True), None),
        (due("resolve_uncertain", U, has_body=False), None),
        (due("resolve_uncertain", U, resends=2), Resend((0,), True, RESEND)),
        (due("resolve_uncertain", U, resends=3), None),
        # What was open got its answer meanwhile: the rest was never written, so nothing doubles.
        (due("resolve_uncertain", S, Q), Resend((1,), False, RETRY)),
        (due("resolve_uncertain", S, Q, traffic="marketing"), Resend((1,), False, RETRY)),
        (due("resolve_uncertain", S, Q, is_expired=True), Conclude("expired", (1,), EXPIRED)),
        (due("resolve_uncertain", S, Q, has_body=False), Conclude("failed", (1,), ERASED)),
        (due("resolve_uncertain", S, S), Rest()),
    ],
)
def test_an_open_outcome_is_sent_again_or_ends_unknown(move: Move, expected: Move | None) -> None:
    assert move == (expected or Conclude("unknown", (0,), OUTCOME_UNKNOWN))
