"""A cascade as its tenant sees it: each step's state, and what the message waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.core.attempt import Attempt
from hermes.core.event import EventKind
from hermes.core.plan import ONE_SMS, Plan, Step
from hermes.core.state import FINAL_MESSAGE, AttemptState, MessageState
from hermes.frontdoor.cascade_view import WaitsFor, step_states, waits_for
from hermes.frontdoor.view import message_body
from hermes.ports.message_store import EventView, MessageView

ID = UUID(int=7)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGAN + timedelta(seconds=5)
ENDS = BEGAN + timedelta(days=1)
PLAN = Plan((Step("email", to="a@example.net", wait_s=10.0), Step("sms", wait_s=30.0), Step("sms")))
TOKEN = "prom_1secret"

Queued, Sent = AttemptState.QUEUED, AttemptState.SENT
Delivered, Undelivered = AttemptState.DELIVERED, AttemptState.UNDELIVERED


def attempt(step: int, state: AttemptState, n: int = 0) -> Attempt:
    """Give an attempt that was queued when the message came."""
    return Attempt(
        message=ID,
        step=step,
        n=n,
        tenant="acme",
        expires_at=ENDS,
        state=state,
        carrier="sim",
        queued_at=BEGAN,
        sent_at=BEGAN + timedelta(seconds=2) if state >= Sent else None,
        token=TOKEN,
    )


def event(step: int, kind: EventKind) -> EventView:
    """Give one line of the trail."""
    return EventView(
        id=ID,
        step=step,
        n=0,
        kind=kind,
        at=BEGAN,
        recorded_at=BEGAN,
        host="a",
        actor="outcome",
        reason_code="superseded",
    )


def seen(state: MessageState, *attempts: Attempt, plan: Plan = PLAN, **more: Any) -> MessageView:
    """Give a message with these attempts."""
    fields = {
        "id": ID,
        "tenant": "acme",
        "state": state,
        "traffic": "otp",
        "segments": 1,
        "success": ",".join(step.success for step in plan.steps),
        "accepted_at": BEGAN,
        "expires_at": ENDS,
        "to": "+4512345678",
        "plan": plan,
        "attempts": attempts,
        **more,
    }
    return MessageView(**fields)


@pytest.mark.parametrize(
    ("view", "states"),
    [
        (seen("accepted"), "waiting waiting waiting"),
        (seen("processing", attempt(0, Queued)), "current waiting waiting"),
        (seen("processing", attempt(0, Sent)), "current waiting waiting"),
        (seen("processing", attempt(0, Undelivered)), "failed waiting waiting"),
        (seen("processing", attempt(0, Sent), attempt(1, Queued)), "silent current waiting"),
        # the first was refused: it has no attempt
        (seen("processing", attempt(1, Sent)), "skipped current waiting"),
        (seen("delivered", attempt(0, Delivered)), "won skipped skipped"),
        (seen("delivered", attempt(0, Sent), attempt(1, Delivered)), "superseded won skipped"),
        # a late success of a step that was left
        (
            seen("delivered", attempt(0, Delivered), attempt(1, AttemptState.CANCELLED)),
            "won cancelled skipped",
        ),
        (
            seen(
                "delivered",
                attempt(0, Delivered),
                attempt(1, Sent),
                events=(event(1, "superseded"),),
            ),
            "won superseded skipped",
        ),
        (
            seen("failed", attempt(0, Sent), attempt(1, Sent), attempt(2, Undelivered)),
            "expired expired failed",
        ),
        (seen("expired", attempt(0, Undelivered), attempt(1, Sent)), "failed expired skipped"),
        (seen("expired", attempt(0, AttemptState.EXPIRED)), "expired skipped skipped"),
        (seen("cancelled", attempt(0, Queued)), "cancelled skipped skipped"),
        (seen("cancelled"), "skipped skipped skipped"),
        (seen("processing", attempt(0, AttemptState.UNKNOWN)), "failed waiting waiting"),
        (
            seen("processing", attempt(0, Undelivered), attempt(0, Sent, n=1)),
            "current waiting waiting",
        ),
    ],
)
def test_each_step_has_a_state(view: MessageView, states: str) -> None:
    assert step_states(view, frozenset()) == states.split()


def test_sent_is_enough_where_the_step_or_the_carrier_says_so() -> None:
    plan = Plan((Step("sms", success="sent"), Step("sms")))
    view = seen("sent", attempt(0, Sent), plan=plan)
    assert step_states(view, frozenset()) == ["won", "skipped"]
    view = seen("sent", attempt(0, Sent))
    assert step_states(view, frozenset({"sim"})) == ["won", "skipped", "skipped"]


attempts_of_plan = st.lists(
    st.builds(attempt, st.integers(0, 2), st.sampled_from(AttemptState), st.integers(0, 2)),
    unique_by=lambda one: (one.step, one.n),
).map(lambda found: tuple(sorted(found, key=lambda one: (one.step, one.n))))
messages = st.builds(
    lambda state, attempts: seen(state, *attempts),
    st.sampled_from([*sorted(FINAL_MESSAGE), "processing"]),
    attempts_of_plan,
)


@given(messages)
def test_whatever_the_ledger_holds_every_step_has_one_state(view: MessageView) -> None:
    states = step_states(view, frozenset())
    assert len(states) == 3
    assert states.count("won") <= 1
    assert states.count("current") <= 1
    if view.state in FINAL_MESSAGE:
        assert not {"waiting", "current", "silent"} & set(states)
        assert waits_for(view, NOW) is None
    else:
        assert waits_for(view, NOW) is not None


LATER = BEGAN + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("view", "now", "expected"),
    [
        (seen("accepted"), NOW, WaitsFor("dispatch", 0)),
        (
            seen("accepted", next_action="start", next_at=LATER, send_at=LATER),
            NOW,
            WaitsFor("start", until=LATER),
        ),
        (seen("accepted", next_action="admit", next_at=LATER), NOW, WaitsFor("dispatch", 0)),
        (seen("processing", attempt(0, Sent)), NOW, WaitsFor("outcome", 0, LATER)),
        # it failed, or its wait is over: the next one has no room yet, or rests in quiet hours
        (seen("processing", attempt(0, Undelivered)), NOW, WaitsFor("dispatch", 1)),
        (seen("processing", attempt(0, Sent)), LATER, WaitsFor("dispatch", 1)),
        (
            seen("processing", attempt(0, Sent), attempt(1, Sent), attempt(2, Sent)),
            NOW,
            WaitsFor("outcome", 2, ENDS),
        ),
        (seen("processing", attempt(0, Sent), plan=ONE_SMS), NOW, None),
        (
            seen("accepted", plan=ONE_SMS, next_action="admit", next_at=LATER),
            NOW,
            WaitsFor("admit", until=LATER),
        ),
        (seen("delivered", attempt(0, Delivered)), NOW, None),
    ],
)
def test_what_it_waits_for(view: MessageView, now: datetime, expected: WaitsFor | None) -> None:
    assert waits_for(view, now) == expected


def test_a_wait_from_the_submit_begins_with_it() -> None:
    plan = Plan((Step("sms", wait_s=10.0, wait_from="sent"), Step("sms")))
    view = seen("processing", attempt(0, Sent), plan=plan)
    assert waits_for(view, NOW) == WaitsFor("outcome", 0, BEGAN + timedelta(seconds=12))
    view = seen("processing", attempt(0, Queued), plan=plan)
    assert waits_for(view, NOW) == WaitsFor("outcome", 0, ENDS)


def test_the_body_shows_each_step_with_its_attempts_and_no_token() -> None:
    view = seen("processing", attempt(0, Sent), attempt(1, Queued))
    body = message_body(view, frozenset(), NOW)
    assert body["waits_for"] == {
        "action": "outcome",
        "step": 1,
        "until": "2026-01-01T00:00:30.000000Z",
    }
    first, second, third = body["cascade"]
    assert first == {
        "step": 0,
        "channel": "email",
        "to": "a@example.net",
        "wait": 10.0,
        "wait_from": "dispatch",
        "success": "delivered",
        "on_full": "wait",
        "state": "silent",
        "attempts": [attempt(0, Sent).id],
    }
    assert (second["to"], second["state"]) == ("+4512345678", "current")
    assert (third["wait"], third["state"], third["attempts"]) == (None, "waiting", [])
    assert TOKEN not in msgspec.json.encode(body).decode()


def test_a_plain_sms_has_no_steps_to_show() -> None:
    body = message_body(seen("processing", attempt(0, Sent), plan=ONE_SMS), frozenset(), NOW)
    assert "cascade" not in body
