"""The cascade's policy, move by move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from cascade.actions import Action, Dispatch, Finish, Result, StartTimer, TakeOver
from cascade.engines.restate_workflow import VERSION
from cascade.events import (
    Answer,
    Cancelled,
    Dispatched,
    DispatchResult,
    Event,
    Failure,
    NotOurs,
    Outcome,
    TakenOver,
    TimerFired,
)
from cascade.policy import EXPIRED, SILENT, START, next_action
from cascade.state import CascadeState, Phase
from hermes.core.plan import Plan, Step
from hermes.core.units import Reason, Success

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(seconds=100)
WHY = Reason("carrier_says", "no")
EMAIL_SMS = Plan((Step("email", wait_s=10), Step("sms", wait_s=30)))
# What version 1 of the workflow does; a journal written by it must replay.
VERSION_1 = "0903d8b8b75ccee60ce8e2fd32bd64639fe52b02e7b8f258536288dcb35f3699"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def ours(first: int = 0, earlier: tuple[Outcome, ...] = (), seconds: float = 0) -> TakenOver:
    return TakenOver(at=at(seconds), expires_at=T0 + LIFE, first=first, earlier=earlier)


def told(step: int, status: Success | Failure, seconds: float = 0) -> Outcome:
    return Outcome(step, status, at(seconds), None if status in ("delivered", "sent") else WHY)


def answered(step: int, answer: Answer, seconds: float = 0) -> Dispatched:
    reason = None if answer == "accepted" else Reason(answer)
    return Dispatched(step, DispatchResult(answer=answer, at=at(seconds), reason=reason))


def moves(plan: Plan, *events: Event) -> list[Action]:
    """Give every action after START, in order."""
    state, done = START[0], list[Action]()
    for event in events:
        state, actions = next_action(plan, state, event)
        done += actions
    return done


def end(status: str, step: int | None, *stop: int, reason: Reason | None = None) -> Finish:
    return Finish(Result(status=status, step=step, stop=stop, reason=reason))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # silence: each step after the wait of the one before
        (
            [ours(), answered(0, "accepted"), TimerFired(1), answered(1, "accepted")],
            [Dispatch(0), StartTimer(1, "wait-0", 10), Dispatch(1), StartTimer(2, "wait-1", 30)],
        ),
        # and at the end
        (
            [ours(1), answered(1, "accepted"), TimerFired(1)],
            [
                Dispatch(1),
                StartTimer(1, "wait-1", 30),
                end("expired", 1, 0, 1, reason=SILENT),
            ],
        ),
        # a timer that is not the last one started is nothing
        (
            [ours(), answered(0, "accepted"), told(0, "failed"), TimerFired(1), TimerFired(2)],
            [Dispatch(0), StartTimer(1, "wait-0", 10), Dispatch(1)],
        ),
        # the wait ends with the message's life, and so does the cascade
        (
            [ours(), answered(0, "accepted", 95), TimerFired(1)],
            [Dispatch(0), StartTimer(1, "wait-0", 5), end("expired", 0, 0, reason=EXPIRED)],
        ),
        # a failure faster than the belt's answer
        (
            [ours(), told(0, "rejected"), answered(0, "accepted"), answered(1, "refused")],
            [Dispatch(0), Dispatch(1), end("failed", 1, reason=Reason("refused"))],
        ),
        # a success faster than the belt's answer
        (
            [ours(), told(0, "delivered"), answered(0, "accepted")],
            [Dispatch(0), end("delivered", 0)],
        ),
        # full: asked again, each time after twice as long
        (
            [ours(), answered(0, "full"), TimerFired(1), answered(0, "full"), TimerFired(2)],
            [
                Dispatch(0),
                StartTimer(1, "full-0", 2),
                Dispatch(0),
                StartTimer(2, "full-0", 4),
                Dispatch(0),
            ],
        ),
        # quiet hours: asked again when they end, never the next step instead
        (
            [ours(), answered(0, "later"), TimerFired(1), answered(0, "accepted")],
            [
                Dispatch(0),
                StartTimer(1, "later-0", 2),
                Dispatch(0),
                StartTimer(2, "wait-0", 10),
            ],
        ),
        # the belt's acceptance is no success
        (
            [ours(), answered(0, "accepted"), told(0, "sent"), told(0, "delivered")],
            [Dispatch(0), StartTimer(1, "wait-0", 10), end("delivered", 0)],
        ),
        # refused because it expired
        (
            [ours(), answered(0, "refused", 100)],
            [Dispatch(0), end("expired", 0, reason=Reason("refused"))],
        ),
        # an earlier step failed before: nothing of it is under way
        (
            [ours(1, (told(0, "failed"),)), answered(1, "accepted"), Cancelled(WHY)],
            [Dispatch(1), StartTimer(1, "wait-1", 30), end("cancelled", 1, 1, reason=WHY)],
        ),
        # cancelled before it is known whose it is: the owner alone tells the ledger
        ([Cancelled(WHY), ours()], [TakeOver(), end("cancelled", None, reason=WHY)]),
        ([Cancelled(WHY), NotOurs()], [TakeOver()]),
        ([NotOurs(), ours(), told(0, "delivered")], []),
        ([ours(seconds=100)], [end("expired", None, reason=EXPIRED)]),
        ([ours(2, (told(1, "failed"),))], [end("failed", 1, 0, reason=WHY)]),
        ([ours(2)], [end("expired", 1, 0, 1, reason=SILENT)]),
        ([ours(2, (told(0, "failed"), told(1, "delivered")))], [end("delivered", 1)]),
    ],
)
def test_each_move(events: list[Event], expected: list[Action]) -> None:
    assert moves(EMAIL_SMS, *events) == expected


def test_a_wait_from_sent_runs_till_expiry_and_from_the_moment_it_was_sent() -> None:
    plan = Plan((Step("email", wait_s=10, wait_from="sent"), Step("sms")))
    sent = told(0, "sent", 20)
    expiry, wait = StartTimer(1, "sent-0", 95), StartTimer(2, "wait-0", 10)
    assert moves(plan, ours(), answered(0, "accepted", 5), sent, sent) == [
        Dispatch(0),
        expiry,
        wait,
    ]
    early = moves(plan, ours(), sent, answered(0, "accepted", 5))
    assert early == [Dispatch(0), StartTimer(1, "wait-0", 10)]


def test_what_a_carrier_never_tells_is_not_waited_for() -> None:
    sent = told(0, "sent", 3)
    mute = Dispatched(0, DispatchResult(answer="accepted", at=at(1), reports="sent"))
    assert moves(EMAIL_SMS, ours(), mute, sent)[-1] == end("sent", 0)
    assert moves(EMAIL_SMS, ours(), sent, mute)[-1] == end("sent", 0)
    later = moves(EMAIL_SMS, ours(), mute, TimerFired(1), answered(1, "accepted", 20), sent)
    assert later[-1] == end("sent", 0, 1)


def test_a_step_without_a_wait_waits_till_the_message_expires() -> None:
    plan = Plan((Step("email"), Step("sms")))
    assert moves(plan, ours(), answered(0, "accepted", 40), TimerFired(1)) == [
        Dispatch(0),
        StartTimer(1, "wait-0", 60),
        end("expired", 0, 0, reason=EXPIRED),
    ]


def test_what_the_policy_does_is_frozen_by_the_workflows_version() -> None:
    """If this fails, journals of cascades that wait would not replay: make a new version of the
    workflow with the changed policy, and keep the old one served until it is drained."""
    seen = sha256()
    for plan in frozen_plans():
        for actions in runs(plan, START[0], (ours(), NotOurs(), Cancelled()), 5):
            seen.update(repr([journaled(action) for action in actions]).encode())
    assert (VERSION, seen.hexdigest()) == (1, VERSION_1)


def journaled(action: Action) -> object:
    """Give what of an action the journal holds: not the result, which ends it."""
    return "finish" if isinstance(action, Finish) else action


def frozen_plans() -> Iterator[Plan]:
    yield EMAIL_SMS
    yield Plan((Step("sms", success="accepted"), Step("sms")))
    yield Plan((Step("email", wait_s=10, on_full="next"), Step("sms", success="sent")))
    yield Plan(
        (Step("email", wait_s=10, wait_from="sent", success="read"), Step("sms", wait_s=200))
    )


def runs(
    plan: Plan, state: CascadeState, events: tuple[Event, ...], depth: int
) -> Iterator[tuple[Action, ...]]:
    """Walk every sequence of events up to a depth; give the actions of each move."""
    for event in events:
        after, actions = next_action(plan, state, event)
        yield actions
        if depth and after.phase is not Phase.DONE and after != state:
            yield from runs(plan, after, alphabet(after), depth - 1)


def alphabet(state: CascadeState) -> tuple[Event, ...]:
    step = state.step
    if state.phase is Phase.OWNER:
        return (ours(), ours(1), NotOurs())
    return (
        *(answered(step, answer, 5) for answer in ("accepted", "full", "refused")),
        TimerFired(state.timer),
        Cancelled(),
        *(told(step, status, 6) for status in ("sent", "delivered", "read", "undelivered")),
        told(0, "delivered", 7),
    )
