"""Whether a step may go on the belt, and what goes."""

from __future__ import annotations

from dataclasses import replace as replace_lanes
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from cascade.dispatch import Go, Lanes, decide
from cascade.events import DispatchResult
from cascade.token import StepToken
from hermes.core.attempt import Attempt
from hermes.core.carrier import Carrier, Price
from hermes.core.cost import over_budget
from hermes.core.plan import Content, Plan, Step
from hermes.core.quiet import QuietHours
from hermes.core.state import AttemptState
from hermes.core.units import Money
from hermes.ports.cascade_ledger import OpenCascade
from hermes.routing.table import RouteTable
from tests.unit.cascade.test_news import cascade, step
from tests.unit.core.rows import EXPIRES, NAME, NOW

SMS = Carrier(id="sim", price=(Price("", "0.05", "EUR"),), prefixes=("49",))
MUTE = Carrier(id="mute", receipts="none", prefixes=("45",))
MAIL = Carrier(id="mail", kind="smtp")
LANES = Lanes(RouteTable((SMS, MUTE, MAIL)), frozenset({"mute"}))
TOKEN = str(StepToken("delivered", "final"))


def with_plan(*steps: Step, max_cost: Money | None = None) -> OpenCascade:
    return replace(cascade(), plan=Plan(steps, max_cost=max_cost), segments=3)


def go(open_cascade: OpenCascade, number: int = 0) -> Go:
    decided = decide(open_cascade, number, TOKEN, LANES)
    assert isinstance(decided, Go)
    return decided


def answer(open_cascade: OpenCascade | None, number: int = 0) -> DispatchResult:
    decided = decide(open_cascade, number, TOKEN, LANES)
    assert isinstance(decided, DispatchResult)
    return decided


def refusal(open_cascade: OpenCascade | None, number: int = 0) -> str:
    decided = answer(open_cascade, number)
    assert decided.answer == "refused"
    assert decided.reason is not None
    return decided.reason.code


def test_a_step_goes_to_its_own_recipient_with_its_own_words() -> None:
    words = Content(text="by mail", subject="hello", html="<p>by mail</p>")
    plan = (Step("sms"), Step("email", to="a@example.net", content=words))
    job = go(with_plan(*plan), 1).job
    assert (job.attempt, job.channel, job.carrier, job.to) == (
        f"{NAME}.1.0",
        "email",
        "mail",
        "a@example.net",
    )
    assert (job.text, job.content, job.segments) == ("by mail", replace(words, text=None), 1)
    first = go(with_plan(*plan)).job
    assert (first.to, first.text, first.segments, first.token) == (
        "+491700000001",
        "hello",
        3,
        TOKEN,
    )


def test_a_carrier_without_receipts_is_not_waited_for() -> None:
    placed = go(with_plan(Step("sms", to="+4512345678"), Step("sms"))).placement
    assert (placed.carrier, placed.token) == ("mute", str(StepToken("sent", "final")))


@pytest.mark.parametrize(
    ("open_cascade", "code"),
    [
        (None, "absent"),
        (cascade(state="delivered"), "has_outcome"),
        (replace(cascade(), now=EXPIRES), "expired"),
        (replace(cascade(), text=None), "erased"),
        (with_plan(Step("sms", to="+15551234567")), "no_route"),
        (with_plan(Step("push", to="token")), "no_route"),
        (with_plan(Step("sms"), max_cost=Money("0.14", "EUR")), "max_cost"),
        (with_plan(Step("sms"), max_cost=Money("9", "USD")), "max_cost"),
    ],
)
def test_what_can_never_go_is_refused(open_cascade: OpenCascade | None, code: str) -> None:
    assert refusal(open_cascade) == code


def test_the_cost_of_all_attempts_counts() -> None:
    bound, price = Money("0.15", "EUR"), Money("0.05", "EUR")
    assert over_budget(bound, (), price, 3) == ""
    spent = step(0, AttemptState.FAILED, price_amount="0.05", price_currency="EUR")
    why = "it would cost 0.20 EUR in all, max_cost is 0.15"
    assert over_budget(bound, (spent,), price, 3) == why
    assert over_budget(None, (spent,), price, 30) == over_budget(bound, (spent,), None, 30) == ""


@pytest.mark.parametrize(
    "known",
    [
        step(0, AttemptState.QUEUED, job_seq=7, next_action="expire"),
        step(0, AttemptState.SENT, next_action="receipt_timeout"),
        step(0, AttemptState.QUEUED, n=1, next_action="republish"),
    ],
)
def test_what_is_on_the_belt_already_is_accepted_as_of_then(known: Attempt) -> None:
    then = NOW - timedelta(seconds=9)
    found = answer(cascade(replace(known, queued_at=then)))
    assert found == DispatchResult(answer="accepted", at=then)


def test_marketing_goes_when_the_recipients_night_is_over() -> None:
    quiet = replace(with_plan(Step("sms")), traffic="marketing", now=NOW)
    wall = NOW.astimezone(ZoneInfo("Europe/Berlin")).time().replace(second=0, microsecond=0)
    lanes = replace_lanes(LANES, quiet=QuietHours(wall, time((wall.hour + 2) % 24, wall.minute)))
    later = decide(quiet, 0, TOKEN, lanes)
    assert isinstance(later, DispatchResult)
    assert later.answer == "later"
    assert 7100 <= later.retry_after_s <= 7200
    assert isinstance(decide(replace(quiet, traffic="otp"), 0, TOKEN, lanes), Go)


def test_an_attempt_whose_place_is_not_known_goes_again_as_it_was() -> None:
    made = step(0, AttemptState.QUEUED, next_action="republish", token="first")
    again = go(replace(cascade(replace(made, carrier="mute")), plan=Plan((Step("sms"),))))
    assert (again.job.carrier, again.job.token) == ("mute", "first")
