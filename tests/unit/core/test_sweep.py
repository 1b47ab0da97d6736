"""What a sweep hands out, and what it leaves behind in the rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hermes.core.attempt import Attempt, AttemptAction
from hermes.core.clock import ERASED, EXPIRED, NO_RECEIPT, OUTCOME_UNKNOWN
from hermes.core.event import Source, event_id
from hermes.core.outcome import MessageRow, Rules
from hermes.core.plan import Plan, Step
from hermes.core.state import AttemptState
from hermes.core.sweep import StreamWatch, Sweep, SweptMessage, lost_job
from tests.unit.core.rows import EXPIRES, NAME, NOW, attempt, swept

SWEEPER = Source(host="h1", actor="sweeper")
RULES = Rules(now=NOW)
LATE = Rules(now=EXPIRES + timedelta(seconds=31))
LEASED = NOW + timedelta(seconds=30)
TWO_STEPS = Plan((Step("sms"), Step("sms")))
Q, U, S = AttemptState.QUEUED, AttemptState.UNCERTAIN, AttemptState.SENT


def sweep(
    message: SweptMessage, *attempts: Attempt, rules: Rules = RULES
) -> tuple[Sweep, MessageRow, tuple[Attempt, ...]]:
    made = Sweep(rules, SWEEPER)
    row, rows = made.on_attempts(message, attempts, [a for a in attempts if a.next_at == NOW])
    return made, row, rows


def test_an_admitted_message_is_leased_and_keeps_its_action() -> None:
    made = Sweep(RULES, SWEEPER)
    waiting = swept(state="accepted", next_at=NOW, next_action="start")
    row = made.on_message(waiting)
    assert made.admit == [waiting.message()]
    assert (row.next_at, row.next_action, row.state) == (LEASED, "start", "accepted")


def test_a_message_that_somebody_has_rests() -> None:
    made = Sweep(RULES, SWEEPER)
    row = made.on_message(swept(next_at=NOW, next_action="admit", is_taken=True))
    assert (made.admit, made.events, row.next_at, row.next_action) == ([], [], None, None)


def test_a_message_that_expired_is_told_and_belongs_to_nobody() -> None:
    made = Sweep(LATE, SWEEPER)
    row = made.on_message(swept(next_at=NOW, next_action="admit"))
    (told,) = made.events
    assert (told.kind, told.reason, told.source) == ("expired", EXPIRED, SWEEPER)
    assert told.id == event_id(f"{NAME}.0.0", "expired", None)
    assert row.state == "accepted"


def test_an_erased_message_fails() -> None:
    made = Sweep(RULES, SWEEPER)
    made.on_message(swept(state="accepted", text=None, next_at=NOW, next_action="admit"))
    assert [(e.kind, e.reason) for e in made.events] == [("failed", ERASED)]


def test_a_republished_job_has_no_place_until_it_is_recorded() -> None:
    lost = lost_job(attempt(next_at=NOW, stream_created=NOW, job_seq=7))
    made, _, (after,) = sweep(swept(), lost)
    assert [job.attempt for job in made.jobs] == [f"{NAME}.0.0"]
    assert (after.stream_created, after.job_seq, after.next_action) == (None, None, "republish")
    assert after.next_at == NOW + timedelta(seconds=240)


def test_a_resend_is_minted_with_its_events_and_the_first_falls_silent() -> None:
    open_one = attempt(
        state=U,
        segment_states=(U,),
        next_at=NOW,
        next_action="resolve_uncertain",
        price_amount="0.05",
        price_currency="EUR",
        token="t",
    )
    made, row, (first, second) = sweep(swept(), open_one)
    assert (first.next_at, second.next_action) == (None, "republish")
    assert (second.n, second.queued_at, second.only_segments) == (1, NOW, None)
    assert (second.price, second.token) == (open_one.price, "t")
    assert [(e.kind, e.attempt_n) for e in made.told] == [("queued", 1), ("possible_duplicate", 1)]
    assert [job.attempt for job in made.jobs] == [second.id]
    assert (row.possible_duplicate, made.events) == (True, [])


def test_resends_are_counted_by_step() -> None:
    marks = {"possible_duplicate": True, "segment_states": (U,), "state": U}
    rows = [attempt(n=n, **(marks if n else {})) for n in range(4)]
    rows[3] = attempt(n=3, next_at=NOW, next_action="resolve_uncertain", **marks)
    made, _, after = sweep(swept(), *rows)
    assert len(after) == 4
    assert [(e.kind, e.reason) for e in made.events] == [("unknown", OUTCOME_UNKNOWN)]
    other_step = [attempt(step=0, n=n, **marks) for n in range(3)]
    due = attempt(step=1, next_at=NOW, next_action="resolve_uncertain", **marks)
    made, _, after = sweep(swept(plan=TWO_STEPS), *other_step, due)
    assert len(after) == 5


@pytest.mark.parametrize(
    ("state", "action", "kind"),
    [
        (Q, "retry", "cancelled"),
        (Q, "republish", "cancelled"),
        (U, "resolve_uncertain", "unknown"),
    ],
)
def test_a_step_the_cascade_has_left_is_not_sent_again(
    state: AttemptState, action: AttemptAction, kind: str
) -> None:
    left = attempt(state=state, segment_states=(state,), next_at=NOW, next_action=action)
    made, _, after = sweep(swept(plan=TWO_STEPS), left, attempt(step=1))
    assert [event.kind for event in made.events] == [kind]
    assert (made.jobs, len(after)) == ([], 2)


def test_two_due_attempts_of_one_message_do_not_mint_the_same_number() -> None:
    rows = [
        attempt(segments=2, segment_states=(S, None), next_at=NOW, next_action="retry"),
        attempt(
            n=1, segments=2, only_segments=(0,), segment_states=(U, None), state=U,
            next_at=NOW, next_action="resolve_uncertain",
        ),
    ]  # fmt: skip
    made, _, after = sweep(swept(segments=2), *rows)
    assert [(a.n, a.only_segments) for a in after[2:]] == [(2, (1,)), (3, (0,))]
    assert [job.only_segments for job in made.jobs] == [(1,), (0,)]


def test_a_conclusion_about_some_segments_is_told_for_each() -> None:
    states = (AttemptState.DELIVERED, S, S)
    row = attempt(segments=3, segment_states=states, state=S, next_at=NOW,
                  next_action="receipt_timeout")  # fmt: skip
    made, _, (after,) = sweep(swept(segments=3), row)
    assert [(e.kind, e.segment, e.reason) for e in made.events] == [
        ("unknown", 1, NO_RECEIPT),
        ("unknown", 2, NO_RECEIPT),
    ]
    assert (after.next_at, after.next_action) == (LEASED, "receipt_timeout")


def test_what_waited_too_long_expires_under_the_id_a_bind_would_give() -> None:
    made, _, (after,) = sweep(swept(), attempt(next_at=NOW), rules=LATE)
    (told,) = made.events
    assert told.id == event_id(f"{NAME}.0.0", "expired", None)
    assert after.next_action == "expire"


def test_what_is_finished_rests() -> None:
    made, row, (after,) = sweep(swept(state="cancelled"), attempt(next_at=NOW))
    assert (made.jobs, made.events, after.next_at) == ([], [], None)
    assert row.next_at is None


def test_a_wiped_stream_is_looked_for_at_a_change_and_once_a_minute() -> None:
    watch = StreamWatch()
    streams = {"sim": NOW}
    assert not watch.is_due({}, NOW)
    assert watch.is_due(streams, NOW)
    watch.looked(streams, NOW)
    assert not watch.is_due(streams, NOW + timedelta(seconds=59))
    assert watch.is_due(streams, NOW + timedelta(seconds=60))
    assert watch.is_due({"sim": NOW + timedelta(seconds=1)}, NOW)
