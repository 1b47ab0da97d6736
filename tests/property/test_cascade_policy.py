"""The cascade's policy under any plan, any world, and any order and repetition of events."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from cascade.actions import Action, Dispatch, Finish, StartTimer, TakeOver
from cascade.events import (
    LADDER,
    Cancelled,
    Dispatched,
    DispatchResult,
    Event,
    Failure,
    NotOurs,
    Outcome,
    TakenOver,
    TimerFired,
    rung_of,
)
from cascade.policy import START, next_action
from cascade.state import CascadeState, Phase
from hermes.core.plan import Plan, Step

T0 = datetime(2026, 1, 1, tzinfo=UTC)
FAILURES = get_args(Failure)
EXAMPLES = settings(max_examples=500, deadline=None)

seconds = st.floats(0, 200).map(lambda s: round(s, 3))
moments = seconds.map(lambda s: T0 + timedelta(seconds=s))
steps = st.builds(
    Step,
    channel=st.sampled_from(["sms", "email", "push"]),
    wait_s=st.none() | seconds,
    wait_from=st.sampled_from(["dispatch", "sent"]),
    success=st.sampled_from(LADDER),
    on_full=st.sampled_from(["wait", "next"]),
)
plans = st.lists(steps, min_size=1, max_size=4).map(lambda found: Plan(tuple(found)))
outcomes = st.builds(
    Outcome,
    step=st.integers(-1, 4),
    status=st.sampled_from((*LADDER, *FAILURES)),
    at=moments,
)
answers = st.builds(
    DispatchResult,
    answer=st.sampled_from(["accepted", "full", "later", "refused"]),
    at=moments,
    retry_after_s=st.floats(0.001, 5),
    reports=st.sampled_from(LADDER),
)
events = st.one_of(
    outcomes,
    st.builds(Dispatched, st.integers(0, 3), answers),
    st.builds(TimerFired, st.integers(0, 6)),
    st.builds(Cancelled),
    st.just(NotOurs()),
    st.builds(
        TakenOver,
        at=moments,
        expires_at=st.just(T0 + timedelta(seconds=100)),
        first=st.integers(0, 2),
        earlier=st.lists(outcomes, max_size=2).map(tuple),
    ),
)


@dataclass
class Walk:
    """A cascade fed with events, and all that it did."""

    plan: Plan
    state: CascadeState = START[0]
    done: list[tuple[Event | None, Action]] = field(default_factory=lambda: [(None, START[1][0])])

    def feed(self, event: Event) -> tuple[Action, ...]:
        self.state, actions = next_action(self.plan, self.state, event)
        self.done += [(event, action) for action in actions]
        return actions

    def is_done(self) -> bool:
        return self.state.phase is Phase.DONE

    def all(self, kind: type[Action]) -> list[Action]:
        return [action for _, action in self.done if isinstance(action, kind)]


def taken(**more: object) -> TakenOver:
    return TakenOver(at=T0, expires_at=T0 + timedelta(seconds=100), **more)  # type: ignore[arg-type]


@EXAMPLES
@given(plans, st.lists(events, max_size=25), st.booleans())
def test_any_order_and_repetition_of_events_gives_at_most_one_action_each_and_one_end(
    plan: Plan, told: list[Event], is_ours: bool
) -> None:
    walk = Walk(plan)
    for event in [taken(), *told] if is_ours else told:
        was_done = walk.state.phase is Phase.DONE
        actions = walk.feed(event)
        assert len(actions) <= (0 if was_done else 1)
    if walk.state.phase is Phase.OWNER:
        walk.feed(taken())
    walk.feed(Cancelled())
    assert walk.state.phase is Phase.DONE
    finishes = walk.all(Finish)
    assert len(finishes) == (0 if walk.state.result is None else 1)
    if finishes:
        assert walk.done[-1][1] == finishes[0] == Finish(walk.state.result)  # type: ignore[arg-type]


@EXAMPLES
@given(plans, st.lists(outcomes, min_size=1, max_size=6), st.data())
def test_whatever_the_order_of_the_outcomes_one_of_their_successes_wins_or_none(
    plan: Plan, told: list[Outcome], data: st.DataObject
) -> None:
    order = data.draw(st.permutations([*told, *told]))
    walk = Walk(plan)
    walk.feed(taken())
    for event in order:
        for action in walk.feed(event):
            if isinstance(action, Dispatch):
                walk.feed(Dispatched(action.step, DispatchResult(answer="accepted", at=T0)))
    walk.feed(Cancelled())
    result = walk.state.result
    assert result is not None
    assert len(walk.all(Finish)) == 1
    if result.status in LADDER and result.step is not None:
        proof = [o.status for o in told if o.step == result.step]
        wanted = plan.steps[result.step].success
        assert result.status in proof
        assert LADDER.index(result.status) >= LADDER.index(wanted)
    else:
        assert result.status in ("cancelled", "failed")


@EXAMPLES
@given(plans, st.lists(events, max_size=25), st.integers(0, 2))
def test_no_step_comes_before_its_turn_and_none_is_dispatched_twice_at_a_time(
    plan: Plan, told: list[Event], first: int
) -> None:
    walk = Walk(plan)
    current, is_asked = first - 1, False
    for event in [taken(first=first), *told]:
        before = walk.state
        for action in walk.feed(event):
            if isinstance(action, Finish):
                has_winner = action.result.status in LADDER
                assert not has_winner or action.result.step in range(current + 1)
            if not isinstance(action, Dispatch):
                continue
            assert not is_asked or isinstance(event, Dispatched)
            if action.step == current:  # again, because the belt had been full
                assert before.phase is Phase.ROOM
                assert event == TimerFired(before.timer)
            else:
                assert action.step == current + 1
                assert current < first or ended(plan, current, event, before)
            current = action.step
        is_asked = walk.state.phase is Phase.ANSWER


def ended(plan: Plan, step: int, event: Event, before: CascadeState) -> bool:
    """Say whether the event was a reason to leave this step."""
    match event:
        case Outcome():
            return event.step == step and rung_of(event.status) is None
        case TimerFired(number):
            return before.phase is Phase.OUTCOME and number == before.timer
        case Dispatched(answered, result):
            full = result.answer == "full" and plan.steps[step].on_full == "next"
            has_failed = step in before.failed
            return answered == step and (full or has_failed or result.answer == "refused")
        case _:
            return False


class World:
    """A ledger, a belt and carriers with a clock: every dispatch is answered, every timer fires."""

    def __init__(self, plan: Plan, life_s: float, answers: Sequence[DispatchResult]) -> None:
        self.walk = Walk(plan)
        self.answers = iter(answers)
        self.expires_at = T0 + timedelta(seconds=life_s)
        self.now = T0
        self.serial = itertools.count()
        self.agenda: list[tuple[datetime, int, Event]] = []

    def later(self, after_s: float, event: Event) -> None:
        at = self.now + timedelta(seconds=after_s)
        heapq.heappush(self.agenda, (at, next(self.serial), event))

    def perform(self, action: Action) -> None:
        match action:
            case TakeOver():
                self.later(0.01, TakenOver(at=self.now, expires_at=self.expires_at))
            case Dispatch(step):
                answer = next(self.answers, None)
                kind = "accepted" if answer is None else answer.answer
                if self.now >= self.expires_at:
                    kind = "refused"
                reports = "read" if answer is None else answer.reports
                result = DispatchResult(answer=kind, at=self.now, retry_after_s=2, reports=reports)
                self.later(0.01, Dispatched(step, result))
            case StartTimer(number, _, after_s):
                self.later(after_s, TimerFired(number))
            case Finish():
                pass

    def run(self) -> int:
        """Run to the end; gives the number of events it took."""
        for action in START[1]:
            self.perform(action)
        for count in itertools.count():
            if self.walk.is_done() or not self.agenda:
                return count
            self.now, _, event = heapq.heappop(self.agenda)
            if isinstance(event, Outcome):
                event = structs.replace(event, at=self.now)
            for action in self.walk.feed(event):
                self.perform(action)
        raise AssertionError


@EXAMPLES
@given(
    plans,
    st.floats(0.1, 90_000),
    st.lists(answers, max_size=12),
    st.lists(st.tuples(seconds, outcomes, st.integers(1, 3)), max_size=8),
)
def test_every_cascade_ends_by_its_expiry_whatever_the_world_does(
    plan: Plan,
    life_s: float,
    answers: list[DispatchResult],
    news: list[tuple[float, Outcome, int]],
) -> None:
    world = World(plan, life_s, answers)
    for after_s, outcome, times in news:
        for _ in range(times):
            world.later(after_s, outcome)
    world.run()
    assert world.walk.state.phase is Phase.DONE
    assert len(world.walk.all(Finish)) == 1
    assert world.now <= world.expires_at + timedelta(seconds=1)


@settings(max_examples=40, deadline=None)  # each walks through days
@given(plans, st.floats(1, 172_800))
def test_a_belt_that_stays_full_is_asked_ever_more_seldom(plan: Plan, life_s: float) -> None:
    full = [DispatchResult(answer="full", at=T0)] * 20_000
    world = World(plan, life_s, full)
    count = world.run()
    assert world.walk.state.result is not None
    assert world.walk.state.result.status in ("expired", "failed")
    assert count <= 40 + life_s / 64 * 2 * len(plan.steps)


@EXAMPLES
@given(plans, st.data())
def test_a_late_success_of_an_earlier_step_wins_and_stops_the_later_ones(
    plan: Plan, data: st.DataObject
) -> None:
    plan = Plan((*plan.steps, Step("sms")))
    walk = Walk(plan)
    walk.feed(taken())
    current = data.draw(st.integers(1, len(plan.steps) - 1))
    for step in range(current):
        walk.feed(Dispatched(step, DispatchResult(answer="accepted", at=T0)))
        if plan.steps[step].wait_s is None or data.draw(st.booleans()):
            walk.feed(Outcome(step, data.draw(st.sampled_from(FAILURES)), T0))
        else:
            if plan.steps[step].wait_from == "sent":
                walk.feed(Outcome(step, "sent", T0))
            walk.feed(TimerFired(walk.state.timer))
        if walk.is_done():  # sent was enough, or the wait lasted till expiry
            return
    assert walk.state.step == current
    failed = walk.state.failed
    if data.draw(st.booleans()):
        walk.feed(Dispatched(current, DispatchResult(answer="accepted", at=T0)))
    if walk.is_done():
        return
    earlier = data.draw(st.integers(0, current - 1))
    walk.feed(Outcome(earlier, "read", T0))
    result = walk.state.result
    assert result is not None
    assert (result.status, result.step) == ("read", earlier)
    others = set(range(current + 1)) - {earlier, *failed}
    assert set(result.stop) == others
