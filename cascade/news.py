"""What news of a message mean: tell the engine, stop what is left behind, mark what is too late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cascade.events import Failure, Outcome, rung_of
from hermes.core.attempt import Attempt, step_state
from hermes.core.clock import LEFT
from hermes.core.outcome import Rules, winning_step
from hermes.core.state import FINAL_MESSAGE, AttemptState
from hermes.core.units import Reason, Success
from hermes.ports.cascade_ledger import ANY_STEP, OpenCascade

STATUS: Final[dict[AttemptState, Success | Failure]] = {
    AttemptState.SENT: "sent",
    AttemptState.UNKNOWN: "unknown",
    AttemptState.CANCELLED: "cancelled",
    AttemptState.EXPIRED: "expired",
    AttemptState.FAILED: "failed",
    AttemptState.REJECTED: "rejected",
    AttemptState.UNDELIVERED: "undelivered",
    AttemptState.DELIVERED: "delivered",
}
WON: Final = Reason("superseded", "another step reached the recipient")
CANCELLED: Final = Reason("cancelled", "by the tenant")
ENDED: Final = Reason("superseded", "the message has its outcome")


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the engine what became known of a step."""

    token: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Start the cascade, so many seconds from now."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class CancelEngine:
    """End the cascade without a word more."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Forbid an attempt at its claim, if nobody claimed it."""

    attempt: Attempt
    reason: Reason


@dataclass(frozen=True, slots=True)
class Supersede:
    """Mark an attempt the carrier has already: whatever comes of it is too late."""

    attempt: Attempt
    reason: Reason


NewsAction = Tell | StartEngine | CancelEngine | Stop | Supersede


def actions_of(cascade: OpenCascade, step: int, rules: Rules) -> list[NewsAction]:
    """Give what is to be done about news of a step (ANY_STEP: of the message).

    It depends on what the ledger knows now, not on what the news was: any order and any number of
    times is the same.
    """
    actions: list[NewsAction] = []
    if cascade.cascade_owner is None:
        actions += _without_engine(cascade)
    elif step != ANY_STEP:
        actions += _told(cascade, step)
    elif cascade.state == "cancelled":
        actions.append(CancelEngine())
    actions += _stopped(cascade, rules)
    return actions


def outcome_of(cascade: OpenCascade, step: int) -> Outcome | None:
    """Give what is known of a step that has begun; None while that decides nothing."""
    attempts = cascade.of_step(step)
    if not attempts:
        return None
    state = step_state(attempts)
    status = STATUS.get(state)
    if status is None:
        return None
    newest = attempts[-1]
    at = newest.sent_at if status == "sent" else newest.done_at
    reason = None if rung_of(status) is not None else newest.reason or Reason(status)
    return Outcome(step, status, at or cascade.now, reason)


def _told(cascade: OpenCascade, step: int) -> Iterator[NewsAction]:
    outcome = outcome_of(cascade, step)
    if outcome is None:
        return
    token = cascade.of_step(step)[-1].token
    if token is not None:
        yield Tell(token, outcome)
    # its own token may be used up by a failure that turned out to be none
    if cascade.cascade_late is not None and rung_of(outcome.status) is not None:
        yield Tell(cascade.cascade_late, outcome)


def _without_engine(cascade: OpenCascade) -> Iterator[NewsAction]:
    """The direct lane has the first step, or an engine could not be reached."""
    if cascade.state in FINAL_MESSAGE:
        yield CancelEngine()
        return
    if cascade.plan is None:
        return
    outcome = outcome_of(cascade, 0)
    if (outcome is not None and rung_of(outcome.status) is None) or not cascade.attempts:
        yield StartEngine()
    else:
        yield StartEngine(wait_left(cascade))


def wait_left(cascade: OpenCascade) -> float:
    """Give the seconds till the first step's wait is over, when it counts from the dispatch."""
    assert cascade.plan is not None
    wait_s = cascade.plan.steps[0].wait_s
    began = cascade.attempts[0].queued_at or cascade.now
    ends = cascade.expires_at if wait_s is None else began + timedelta(seconds=wait_s)
    return max(0.0, (min(ends, cascade.expires_at) - cascade.now).total_seconds())


def _stopped(cascade: OpenCascade, rules: Rules) -> Iterator[NewsAction]:
    is_final = cascade.state in FINAL_MESSAGE
    winner = winning_step(cascade.row(), cascade.attempts, rules)
    for attempt in cascade.attempts:
        is_left = attempt.step < cascade.current
        if attempt.step == winner or not (is_final or is_left):
            continue
        reason = _why(cascade, winner) if is_final else LEFT
        if attempt.state < AttemptState.UNCERTAIN:
            yield Stop(attempt, reason)
        elif attempt.state is AttemptState.SENT and (winner is not None or reason is CANCELLED):
            yield Supersede(attempt, reason)


def _why(cascade: OpenCascade, winner: int | None) -> Reason:
    if winner is not None:
        return WON
    return CANCELLED if cascade.state == "cancelled" else ENDED
