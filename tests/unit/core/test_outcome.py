"""What events make of rows, case by case; that order does not count is a property test."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from hermes.core.attempt import Attempt, job_of_attempt, owned_segments, step_state
from hermes.core.event import Event
from hermes.core.outcome import MessageRow, Rules, fold
from hermes.core.state import AttemptState, MessageState
from hermes.core.units import Money
from tests.unit.core.rows import EXPIRES, NAME, NOW, attempt, event, reason, row, swept

RULES = Rules(now=NOW)
Q, U, S = AttemptState.QUEUED, AttemptState.UNCERTAIN, AttemptState.SENT
FAILED, DELIVERED = AttemptState.FAILED, AttemptState.DELIVERED


def told(*events: Event, rules: Rules = RULES, **fields: object) -> tuple[MessageRow, Attempt]:
    message, attempts = fold(row(), [attempt(**fields)], events, rules)
    return message, attempts[0]


def test_a_sent_segment_keeps_place_time_and_the_carriers_id() -> None:
    _, after = told(event("sent", segment=0, carrier_message_id="7f"))
    assert after == attempt(
        state=S,
        bind="sim-1",
        host="h1",
        segment_states=(S,),
        segment_ids=("7f",),
        sent_at=NOW,
        next_at=EXPIRES + timedelta(hours=1),
        next_action="receipt_timeout",
    )


def test_an_attempt_no_event_speaks_of_stays_as_it_is() -> None:
    untouched = attempt(n=1)
    _, attempts = fold(row(), [attempt(), untouched], [event("sent")], RULES)
    assert attempts[1] is untouched


@pytest.mark.parametrize("kind", ["enroute", "inbound", "parked"])
def test_an_event_without_a_state_changes_none(kind: str) -> None:
    before = row(), (attempt(),)
    assert fold(*before, [event(kind)], RULES) == before  # type: ignore[arg-type]
    assert fold(row(), (), [event(kind)], RULES) == (row(), ())  # type: ignore[arg-type]


def test_the_reason_is_that_of_the_state() -> None:
    events = [
        event("uncertain", reason=reason("link_lost")),
        event("undelivered", reason=reason("absent")),
        event("undelivered", reason=reason("absentee")),
    ]
    message, after = told(*events)
    assert after.reason == reason("absentee"), "of two, any fixed one; the greater"
    assert (message.reason_code, message.reason_text) == ("absentee", "because of absentee")
    message, after = told(*events, event("delivered"))
    assert (after.reason, message.reason_code) == (None, None)


def test_a_failed_segment_gives_its_reason_to_the_whole() -> None:
    events = [event("delivered", segment=0), event("rejected", segment=1, reason=reason("spam"))]
    message, after = told(*events, segments=2)
    assert (message.state, after.state) == ("failed", AttemptState.REJECTED)
    assert after.reason == reason("spam")


def test_the_bind_says_how_many_segments_there_are_and_a_receipt_does_not() -> None:
    _, after = told(event("delivered", segment=0), segments=3)
    assert after.segments == 3
    _, after = told(event("sent", segment=0, segments=2), segments=3)
    assert after.segments == 2
    _, after = told(event("sent", segment=3, segments=4), segments=3)
    assert after.segments == 4
    _, after = told(event("sent", segment=0), segments=3, only_segments=(0, 2))
    assert after.segments == 3, "a resend knows"


def test_one_pdu_for_the_whole_text_counts_for_all_segments() -> None:
    _, after = told(event("sent", carrier_message_id="7f"), segments=2)
    assert (after.state, after.segment_ids) == (S, ("7f", "7f"))
    message, _ = told(event("sent"), event("delivered"), segments=2)
    assert message.state == "delivered"


def test_an_attempt_the_ledger_misses_is_made_from_its_events() -> None:
    events = [event("sent", n=2, segment=1, segments=2), event("deferred", step=1)]
    _, attempts = fold(row(success="delivered,sent"), (), events, RULES)
    assert [(a.step, a.n, a.segments, a.carrier) for a in attempts] == [
        (0, 2, 2, "sim"),
        (1, 0, 1, "sim"),
    ]
    assert all(a.expires_at == EXPIRES for a in attempts)


@pytest.mark.parametrize(
    ("success", "receiptless", "state"),
    [
        ("delivered", frozenset[str](), "processing"),
        ("sent", frozenset[str](), "sent"),
        ("accepted", frozenset[str](), "sent"),
        ("delivered", frozenset({"sim"}), "sent"),
        ("delivered", frozenset({"another"}), "processing"),
    ],
)
def test_sent_is_final_where_nothing_more_is_to_come(
    success: str, receiptless: frozenset[str], state: MessageState
) -> None:
    rules = Rules(now=NOW, receiptless=receiptless)
    message, attempts = fold(row(success=success), [attempt()], [event("sent")], rules)
    assert message.state == state
    assert (attempts[0].next_at is None) == (state == "sent")
    assert (message.done_at == NOW) == (state == "sent")


def test_half_a_message_sent_is_not_sent() -> None:
    rules = Rules(now=NOW, receiptless=frozenset({"sim"}))
    half = [event("sent", segment=0, segments=2)]
    message, attempts = fold(row(), [attempt(segments=2)], half, rules)
    assert message.state == "processing"
    assert attempts[0].next_action == "expire"


def test_the_newest_attempt_speaks_unless_an_older_one_delivered() -> None:
    both = [attempt(), attempt(n=1)]
    message, _ = fold(row(), both, [event("failed"), event("sent", n=1)], RULES)
    assert message.state == "processing"
    message, attempts = fold(row(), both, [event("delivered"), event("sent", n=1)], RULES)
    assert message.state == "delivered"
    assert [a.next_at for a in attempts] == [None, None]


def test_a_resend_of_everything_leaves_the_first_nothing_to_answer_for() -> None:
    first, second = attempt(segments=3), attempt(n=1, segments=2)
    assert owned_segments(first, [first, second]) == ()
    delivered = replace(second, segment_states=(DELIVERED, DELIVERED), state=DELIVERED)
    assert step_state([first, delivered]) is DELIVERED, "the first had an estimate of three"


def test_segments_of_a_step_may_come_from_different_attempts() -> None:
    first = attempt(segments=2, segment_states=(DELIVERED, U), state=U)
    second = attempt(n=1, segments=2, only_segments=(1,), segment_states=(None, S), state=S)
    assert owned_segments(first, [first, second]) == (0,)
    assert owned_segments(second, [first, second]) == (1,)
    assert step_state([first, second]) is S
    done = replace(second, segment_states=(None, DELIVERED))
    assert step_state([done, first]) is DELIVERED
    late = replace(first, segment_states=(DELIVERED, DELIVERED))
    assert step_state([late, second]) is DELIVERED


def test_a_cascade_ends_by_a_success_or_by_its_engine() -> None:
    cascade = row(success="delivered,sent")
    steps = [attempt(carrier="mail"), attempt(step=1)]
    message, _ = fold(cascade, steps, [event("failed"), event("failed", step=1)], RULES)
    assert message.state == "processing"
    message, _ = fold(cascade, steps, [event("failed"), event("sent", step=1)], RULES)
    assert message.state == "sent"
    message, _ = fold(cascade, steps, [event("delivered"), event("sent", step=1)], RULES)
    assert message.state == "delivered"
    ended = row(success="delivered,sent", state="failed", reason_code="engine", done_at=NOW)
    assert fold(ended, steps, [event("failed")], RULES)[0] == ended


def test_a_cascade_no_engine_started_ends_by_its_only_event() -> None:
    waiting = row(success="delivered,sent", state="accepted", next_at=NOW, next_action="admit")
    message, _ = fold(waiting, (), [event("expired", reason=reason("expired"))], RULES)
    assert (message.state, message.reason_code) == ("expired", "expired")
    assert (message.next_at, message.next_action) == (None, None)


def test_a_job_asks_for_what_is_not_with_the_carrier() -> None:
    message = swept(segments=3).message()
    assert message is not None
    whole = job_of_attempt(message, attempt(segments=3, queued_at=NOW))
    assert (whole.attempt, whole.only_segments) == (f"{NAME}.0.0", ())
    known = attempt(segments=3, segment_states=(S, None, U))
    assert job_of_attempt(message, known).only_segments == (1,)
    resend = attempt(n=1, segments=3, only_segments=(0, 2), possible_duplicate=True, token="t")
    job = job_of_attempt(message, resend)
    assert (job.only_segments, job.possible_duplicate, job.token) == ((0, 2), True, "t")
    priced = attempt(price_amount="0.05", price_currency="EUR")
    assert job_of_attempt(message, priced).price == Money("0.05", "EUR")
