"""What news of a cascade lead to, from nothing but what the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from msgspec.structs import replace

from cascade.events import Outcome
from cascade.news import (
    CANCELLED,
    ENDED,
    WON,
    CancelEngine,
    NewsAction,
    StartEngine,
    Stop,
    Supersede,
    Tell,
    actions_of,
    outcome_of,
)
from hermes.core.attempt import Attempt
from hermes.core.clock import LEFT
from hermes.core.outcome import Rules
from hermes.core.plan import Plan, Step
from hermes.core.state import AttemptState, MessageState
from hermes.core.units import Reason
from hermes.ports.cascade_ledger import ANY_STEP, OpenCascade
from tests.unit.core.rows import EXPIRES, NOW, attempt, swept

PLAN = Plan((Step("email", wait_s=10), Step("sms", wait_s=30)))
RULES = Rules(now=NOW)
Q, S, D = AttemptState.QUEUED, AttemptState.SENT, AttemptState.DELIVERED
U, C, F = AttemptState.UNCERTAIN, AttemptState.CANCELLED, AttemptState.FAILED


def step(number: int, state: AttemptState, **more: object) -> Attempt:
    fields: dict[str, object] = {"state": state, "segment_states": (state,), "token": f"t{number}"}
    return attempt(step=number, carrier="sim", **(fields | more))


def cascade(
    *attempts: Attempt, state: MessageState = "processing", owner: str | None = "inv"
) -> OpenCascade:
    base = swept(plan=PLAN, state=state, success="delivered,delivered")
    fields = {name: getattr(base, name) for name in base.__struct_fields__}
    late = None if owner is None else "late"
    return OpenCascade(**fields, now=NOW, cascade_owner=owner, cascade_late=late, attempts=attempts)


def test_a_failure_is_told_to_the_steps_own_token_alone() -> None:
    open_cascade = cascade(step(0, F, reason_code="smtp-550", done_at=NOW))
    told = Outcome(0, "failed", NOW, Reason("smtp-550"))
    assert actions_of(open_cascade, 0, RULES) == [Tell("t0", told)]


def test_a_success_is_told_to_the_late_token_too() -> None:
    open_cascade = cascade(step(0, D, done_at=NOW), state="delivered")
    told = Outcome(0, "delivered", NOW)
    assert actions_of(open_cascade, 0, RULES) == [Tell("t0", told), Tell("late", told)]


@pytest.mark.parametrize("state", [Q, AttemptState.SUBMITTING, U])
def test_what_decides_nothing_is_not_told(state: AttemptState) -> None:
    assert actions_of(cascade(step(0, state)), 0, RULES) == []


def test_the_success_of_a_step_stops_the_other_if_nobody_has_it_yet() -> None:
    queued, won = step(1, Q), step(0, D, done_at=NOW)
    assert Stop(queued, WON) in actions_of(cascade(won, queued, state="delivered"), 0, RULES)
    sent = step(1, S, sent_at=NOW)
    assert actions_of(cascade(won, sent, state="delivered"), ANY_STEP, RULES) == [
        Supersede(sent, WON)
    ]
    uncertain = step(1, U)
    assert actions_of(cascade(won, uncertain, state="delivered"), ANY_STEP, RULES) == []


def test_a_step_that_was_left_is_stopped_while_the_message_is_open() -> None:
    left, current = step(0, Q), step(1, Q)
    assert actions_of(cascade(left, current), ANY_STEP, RULES) == [Stop(left, LEFT)]
    assert actions_of(cascade(step(0, S, sent_at=NOW), current), ANY_STEP, RULES) == []


def test_a_cancelled_message_ends_its_engine_and_stops_what_can_be_stopped() -> None:
    queued, sent = step(1, Q), step(0, S, sent_at=NOW)
    assert actions_of(cascade(sent, queued, state="cancelled"), ANY_STEP, RULES) == [
        CancelEngine(),
        Supersede(sent, CANCELLED),
        Stop(queued, CANCELLED),
    ]
    assert actions_of(cascade(queued, state="expired"), ANY_STEP, RULES) == [Stop(queued, ENDED)]


@dataclass
class Lazy:
    name: str
    attempts: tuple[Attempt, ...]
    state: MessageState
    expected: list[NewsAction]


@pytest.mark.parametrize(
    "case",
    [
        Lazy("nothing began: the engine was away", (), "processing", [StartEngine()]),
        Lazy("the first step failed", (step(0, F, token=None),), "processing", [StartEngine()]),
        Lazy("it waits", (step(0, S, queued_at=NOW),), "processing", [StartEngine(10.0)]),
        Lazy("it won", (step(0, D, token=None, done_at=NOW),), "delivered", [CancelEngine()]),
    ],
    ids=lambda case: case.name,
)
def test_without_an_engine_it_is_started_or_what_waits_for_it_is_ended(case: Lazy) -> None:
    open_cascade = cascade(*case.attempts, state=case.state, owner=None)
    assert actions_of(open_cascade, 0, RULES) == case.expected


def test_a_wait_ends_with_the_message_at_the_latest() -> None:
    patient = replace(PLAN, steps=(Step("email"), Step("sms")))
    open_cascade = replace(cascade(step(0, S, queued_at=NOW), owner=None), plan=patient)
    life = (EXPIRES - NOW).total_seconds()
    assert actions_of(open_cascade, 0, RULES) == [StartEngine(life)]
    late = replace(open_cascade, now=EXPIRES + timedelta(seconds=1))
    assert actions_of(late, 0, RULES) == [StartEngine(0.0)]


def test_a_step_sent_again_is_as_its_newest_attempt_is() -> None:
    again = cascade(step(0, U, n=0), step(0, Q, n=1))
    assert outcome_of(again, 0) is None
    assert outcome_of(again, 1) is None
    delivered = cascade(step(0, U, n=0), step(0, D, n=1, done_at=NOW))
    assert outcome_of(delivered, 0) == Outcome(0, "delivered", NOW)
