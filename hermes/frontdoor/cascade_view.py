"""A cascade as its tenant sees it: each step's state, and what it waits for now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from hermes.core.attempt import Attempt, step_state
from hermes.core.outcome import MessageRow, Rules, winning_step
from hermes.core.plan import Step
from hermes.core.state import FINAL_MESSAGE, AttemptState, MessageState
from hermes.ports.message_store import MessageView

StepState = Literal[
    "waiting", "current", "silent", "won", "failed", "expired", "cancelled", "superseded", "skipped"
]
FAILED = frozenset(
    (
        AttemptState.UNKNOWN,
        AttemptState.FAILED,
        AttemptState.REJECTED,
        AttemptState.UNDELIVERED,
    )
)
OVER = FAILED | {AttemptState.EXPIRED, AttemptState.CANCELLED}
LEFT_BY: dict[MessageState, StepState] = {
    "delivered": "superseded",
    "sent": "superseded",
    "cancelled": "cancelled",
}
"""What a step is that was still under way when the message ended so; else its wait was over."""


class WaitsFor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message waits for: an action, of a step where it has one, until when at most."""

    action: str
    step: int | None = None
    until: datetime | None = None


def step_states(view: MessageView, receiptless: frozenset[str]) -> list[StepState]:
    """Give the state of each step of a plan, by its attempts and what became of the message.

    waiting: its turn may come. current: under way. silent: left when its wait was over; it may
    still win. superseded: with its carrier when another step won. skipped: its turn never came.
    """
    assert view.plan is not None
    row = MessageRow(
        id=view.id,
        tenant=view.tenant,
        traffic=view.traffic,
        success=view.success,
        expires_at=view.expires_at,
        state=view.state,
    )
    rules = Rules(now=view.accepted_at, receiptless=receiptless)
    winner = winning_step(row, view.attempts, rules)
    superseded = {event.step for event in view.events if event.kind == "superseded"}
    return [
        state_of(view, index, is_winner=index == winner, is_superseded=index in superseded)
        for index in range(len(view.plan.steps))
    ]


def state_of(view: MessageView, step: int, *, is_winner: bool, is_superseded: bool) -> StepState:
    """Give the state of one step."""
    attempts = attempts_of(view, step)
    is_final = view.state in FINAL_MESSAGE
    current = current_step(view.attempts)
    if not attempts:  # refused before it began, if a later one has begun
        return "skipped" if is_final or step < current else "waiting"
    if is_winner:
        return "won"
    state = step_state(attempts)
    if state in FAILED:
        return "failed"
    if state is AttemptState.EXPIRED:
        return "expired"
    if state is AttemptState.CANCELLED:
        return "cancelled"
    if is_superseded:
        return "superseded"
    if is_final:
        return LEFT_BY.get(view.state, "expired")
    return "current" if step == current else "silent"


def attempts_of(view: MessageView, step: int) -> list[Attempt]:
    """Give the attempts of a step."""
    return [attempt for attempt in view.attempts if attempt.step == step]


def current_step(attempts: tuple[Attempt, ...]) -> int:
    """Give the step begun last, -1 before the first."""
    return max((attempt.step for attempt in attempts), default=-1)


def waits_for(view: MessageView, now: datetime) -> WaitsFor | None:
    """Say what a message waits for, None when it is final.

    `dispatch`: for the belt to take a step (room in a carrier's queue, the end of quiet hours).
    `outcome`: for news of a step, until its wait is over. The others are the ledger clock's.
    """
    if view.state in FINAL_MESSAGE:
        return None
    if view.next_action is not None and view.next_action != "admit":
        return WaitsFor(view.next_action, until=view.next_at)
    if view.plan is None or view.plan.is_direct:
        if view.next_action is None:
            return None
        return WaitsFor(view.next_action, until=view.next_at)
    step = current_step(view.attempts)
    if step < 0:
        return WaitsFor("dispatch", 0)
    until = ends_at(view, view.plan.steps[step], step)
    is_over = until <= now or step_state(attempts_of(view, step)) in OVER
    if is_over and step + 1 < len(view.plan.steps):
        return WaitsFor("dispatch", step + 1)
    return WaitsFor("outcome", step, until)


def ends_at(view: MessageView, spec: Step, step: int) -> datetime:
    """Give when a step's wait is over; one that begins when it was sent lasts till the expiry."""
    first = attempts_of(view, step)[0]
    began = first.queued_at if spec.wait_from == "dispatch" else first.sent_at
    if spec.wait_s is None or began is None:
        return view.expires_at
    return min(began + timedelta(seconds=spec.wait_s), view.expires_at)
