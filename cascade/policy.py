"""The cascade's policy: what comes next, decided from plan, state and event alone.

| waiting for | event | next |
|---|---|---|
| owner | ours | an earlier success wins; past expiry: expired; else dispatch the first step |
| owner | not ours | done, without a result |
| owner | cancelled | ask again whose it is: only the owner may tell the ledger |
| answer | accepted | the step's `wait` begins |
| answer | full | `on_full = wait`: ask again later, ever more seldom; `next`: the next step |
| answer | later | ask again at the time it names |
| answer | refused | the next step |
| room | timer | dispatch the same step again |
| outcome | timer | the next step, or expired |
| any of these three | success of this or an earlier step | it wins, the others are stopped |
| | | (`accepted` is reached when it was sent: the belt is no success) |
| any of these three | final failure of this step | the next step, at once |
| any of these three | cancelled | cancelled |

After the last step comes the end: `expired` after silence, `failed` else. What is not in the
table changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, assert_never

from cascade.actions import Action, Dispatch, Ending, Finish, Result, StartTimer, TakeOver
from cascade.events import (
    LADDER,
    SENT,
    Cancelled,
    Dispatched,
    DispatchResult,
    Event,
    NotOurs,
    Outcome,
    TakenOver,
    TimerFired,
    rung_of,
)
from cascade.state import CascadeState, Phase
from hermes.core.plan import Plan
from hermes.core.units import Reason, Success

Move = tuple[CascadeState, tuple[Action, ...]]

START: Final[Move] = (CascadeState(), (TakeOver(),))
MAX_FULL_FACTOR: Final = 32  # a journal must not grow by an entry every two seconds for a day
SILENT: Final = Reason("silent", "no outcome within the step's wait")
EXPIRED: Final = Reason("expired", "the message expired")


def next_action(plan: Plan, state: CascadeState, event: Event) -> Move:
    """Give the state after an event and what is to be done; begin with START.

    There is at most one action, and none after Finish. Events may come in any order and any
    number of times.
    """
    if state.phase is Phase.DONE:
        return state, ()
    match event:
        case NotOurs():
            if state.phase is not Phase.OWNER:
                return state, ()
            return replace(state, phase=Phase.DONE), ()
        case TakenOver():
            return _begin(plan, state, event) if state.phase is Phase.OWNER else (state, ())
        case Cancelled():
            if state.phase is Phase.OWNER:
                ask = () if state.cancelled else (TakeOver(),)
                return replace(state, cancelled=event), ask
            return _end(state, "cancelled", state.step, event.reason)
        case Dispatched(step, result):
            if state.phase is not Phase.ANSWER or step != state.step:
                return state, ()
            return _answered(plan, state, result)
        case TimerFired(number):
            return _timer_fired(plan, state, number)
        case Outcome():
            return _outcome(plan, state, event)
        case _:
            assert_never(event)


def _begin(plan: Plan, state: CascadeState, event: TakenOver) -> Move:
    first = max(0, min(event.first, len(plan.steps)))
    earlier = [outcome for outcome in event.earlier if 0 <= outcome.step < first]
    failed = {outcome.step for outcome in earlier if rung_of(outcome.status) is None}
    state = replace(
        state,
        step=first,
        expires_at=event.expires_at,
        under_way=tuple(i for i in range(first) if i not in failed),
        failed=tuple(sorted(failed)),
    )
    if state.cancelled is not None:
        return _end(state, "cancelled", None, state.cancelled.reason)
    for outcome in earlier:
        if won := _rung_that_wins(plan, state, outcome):
            return _end(state, won, outcome.step, None)
    if event.at >= event.expires_at:
        return _end(state, "expired", None, EXPIRED)
    if first < len(plan.steps):
        return _dispatch(state, first)
    last = first - 1
    if last not in failed:
        return _end(state, "expired", last, SILENT)
    why = next(outcome.reason for outcome in earlier if outcome.step == last)
    return _end(state, "failed", last, why)


def _answered(plan: Plan, state: CascadeState, result: DispatchResult) -> Move:
    step = plan.steps[state.step]
    if result.answer != "accepted":  # so it is not on the belt
        state = replace(state, phase=Phase.ROOM)
        if _remaining(state, result.at) <= 0:
            return _end(state, "expired", state.step, result.reason or EXPIRED)
    match result.answer:
        case _ if state.step in state.failed:  # the failure was faster than the answer
            return _advance(plan, state, state.why, "failed")
        case "accepted":
            under_way = (*state.under_way, state.step)
            state = replace(state, phase=Phase.OUTCOME, under_way=under_way)
            limit = LADDER.index(result.reports)
            if limit < LADDER.index(step.success):
                state = replace(state, limits=(*state.limits, (state.step, limit)))
                if state.sent_at is not None and limit <= SENT:
                    return _end(state, "sent", state.step, None)
            if step.wait_from == "sent":
                if state.sent_at is None:
                    return _timer(state, "sent", None, result.at)
                return _timer(state, "wait", step.wait_s, max(result.at, state.sent_at))
            return _timer(state, "wait", step.wait_s, result.at)
        case "full" if step.on_full == "wait":
            factor = min(2**state.fulls, MAX_FULL_FACTOR)
            state = replace(state, fulls=state.fulls + 1)
            return _timer(state, "full", result.retry_after_s * factor, result.at)
        case "later":
            return _timer(state, "later", result.retry_after_s, result.at)
        case "full" | "refused":
            return _advance(plan, state, result.reason, "failed")
        case _:
            assert_never(result.answer)


def _timer_fired(plan: Plan, state: CascadeState, number: int) -> Move:
    if number != state.timer or state.phase not in (Phase.ROOM, Phase.OUTCOME):
        return state, ()
    if state.ends_life:
        return _end(state, "expired", state.step, EXPIRED)
    if state.phase is Phase.ROOM:
        return replace(state, phase=Phase.ANSWER), (Dispatch(state.step),)
    return _advance(plan, state, SILENT, "expired")


def _outcome(plan: Plan, state: CascadeState, outcome: Outcome) -> Move:
    if state.phase is Phase.OWNER or not 0 <= outcome.step <= state.step:
        return state, ()
    if won := _rung_that_wins(plan, state, outcome):
        return _end(state, won, outcome.step, None)
    rung = rung_of(outcome.status)
    if rung is None:
        return _failed(plan, state, outcome)
    if outcome.step != state.step or rung < SENT or state.sent_at is not None:
        return state, ()
    state = replace(state, sent_at=outcome.at)
    step = plan.steps[outcome.step]
    if step.wait_from == "sent" and state.phase is Phase.OUTCOME:
        return _timer(state, "wait", step.wait_s, outcome.at)
    return state, ()


def _failed(plan: Plan, state: CascadeState, outcome: Outcome) -> Move:
    if outcome.step in state.failed:
        return state, ()
    under_way = tuple(i for i in state.under_way if i != outcome.step)
    state = replace(state, under_way=under_way, failed=(*state.failed, outcome.step))
    if outcome.step != state.step:
        return state, ()
    if state.phase is Phase.ANSWER:
        return replace(state, why=outcome.reason), ()
    return _advance(plan, state, outcome.reason, "failed")


def _rung_that_wins(plan: Plan, state: CascadeState, outcome: Outcome) -> Success | None:
    rung = rung_of(outcome.status)
    enough = LADDER.index(plan.steps[outcome.step].success)
    if rung is None or rung < min(enough, dict(state.limits).get(outcome.step, enough)):
        return None
    return LADDER[rung]


def _advance(
    plan: Plan, state: CascadeState, reason: Reason | None, status: Literal["failed", "expired"]
) -> Move:
    if state.step + 1 < len(plan.steps):
        return _dispatch(state, state.step + 1)
    return _end(state, status, state.step, reason)


def _dispatch(state: CascadeState, step: int) -> Move:
    state = replace(state, phase=Phase.ANSWER, step=step, fulls=0, sent_at=None, why=None)
    return state, (Dispatch(step),)


def _timer(state: CascadeState, name: str, wait_s: float | None, at: datetime) -> Move:
    """Start the only timer that counts: the wait (None: as long as it lives), or the expiry."""
    remaining = max(0.0, _remaining(state, at))
    ends_life = wait_s is None or remaining <= wait_s
    after = remaining if wait_s is None or ends_life else wait_s
    state = replace(state, timer=state.timer + 1, ends_life=ends_life)
    return state, (StartTimer(state.timer, f"{name}-{state.step}", after),)


def _remaining(state: CascadeState, at: datetime) -> float:
    assert state.expires_at is not None  # set when the message was taken over
    return (state.expires_at - at).total_seconds()


def _end(state: CascadeState, status: Ending, step: int | None, reason: Reason | None) -> Move:
    # a dispatch without an answer may be on the belt all the same
    asked = (state.step,) if state.phase is Phase.ANSWER else ()
    winner = step if status in LADDER else None
    may_run = {*state.under_way, *asked} - {*state.failed, winner}
    result = Result(status=status, step=step, reason=reason, stop=tuple(sorted(may_run)))
    return replace(state, phase=Phase.DONE, result=result), (Finish(result),)
