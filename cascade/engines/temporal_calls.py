"""What goes in and out of a cascade on Temporal: request, calls of its steps, handles of tokens."""

from __future__ import annotations

import cascade.engines.temporal_install  # noqa: F401 - first: it says what is missing

# isort: split
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from temporalio import activity

from cascade.actions import Dispatch, Result
from cascade.engine import Retries
from cascade.events import DispatchResult, NotOurs, Outcome, TakenOver
from cascade.policy import START, next_action
from cascade.steps import CascadeSteps
from hermes.core.plan import Plan

MARK: Final = "~"


class CascadeRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What starts a cascade: never the message's text or address beyond what the plan says.

    `secret` is what makes its tokens impossible to guess, `after_s` how long after its start it is
    to begin, `call_timeout_s` bounds one call of a step.
    """

    mid: str
    plan: Plan
    secret: str
    after_s: float = 0.0
    call_timeout_s: float = 30.0
    retries: Retries = Retries()


class CascadeReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a start ended; without a result it had not been its turn."""

    result: Result | None = None


class News(msgspec.Struct, frozen=True):
    """An outcome told from outside, by the handle of the token it came with."""

    secret: str
    slot: str
    outcome: Outcome


class TakeOverCall(msgspec.Struct, frozen=True):
    """Arguments of CascadeSteps.take_over."""

    mid: str
    owner: str
    late: str


class OpenCall(msgspec.Struct, frozen=True):
    """Arguments of taking over and dispatching the first step, whichever that is."""

    take_over: TakeOverCall
    plan: Plan
    tokens: tuple[str, ...]


class Opening(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose the message is and, if its first step could go at once, how the belt answered."""

    ownership: TakenOver | NotOurs
    answer: DispatchResult | None = None


class DispatchCall(msgspec.Struct, frozen=True):
    """Arguments of CascadeSteps.dispatch."""

    mid: str
    step: int
    token: str


class FinishedCall(msgspec.Struct, frozen=True):
    """Arguments of CascadeSteps.finished."""

    mid: str
    result: Result


class ParkedReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a cascade is parked."""

    mid: str
    failure: str
    is_outage: bool = False


class CascadeActivities:
    """The steps as Temporal calls them."""

    def __init__(self, steps: CascadeSteps) -> None:
        self.steps = steps

    @activity.defn
    async def open(self, call: OpenCall) -> Opening:
        """Take over and dispatch the first step: two calls of the steps, one of Temporal."""
        ownership = await self.take_over(call.take_over)
        _, actions = next_action(call.plan, START[0], ownership)
        for action in actions:
            if isinstance(action, Dispatch):
                number, mid = action.step, call.take_over.mid
                dispatch = DispatchCall(mid, number, call.tokens[number])
                return Opening(ownership, await self.dispatch(dispatch))
        return Opening(ownership)

    @activity.defn
    async def take_over(self, call: TakeOverCall) -> TakenOver | NotOurs:
        """Ask the ledger whose the message is."""
        return await self.steps.take_over(call.mid, call.owner, call.late)

    @activity.defn
    async def dispatch(self, call: DispatchCall) -> DispatchResult:
        """Put a step on the belt."""
        return await self.steps.dispatch(call.mid, call.step, call.token)

    @activity.defn
    async def finished(self, call: FinishedCall) -> None:
        """Tell the ledger the result."""
        await self.steps.finished(call.mid, call.result)


def handle_text(key: str, secret: str, slot: str) -> str:
    """Write a handle: which workflow, its secret, and which of its slots."""
    return MARK.join((quote(key, safe="").replace(MARK, "%7E"), secret, slot))


def read_handle(text: str) -> tuple[str, str, str] | None:
    """Read a handle: key, secret, slot; None if it is none."""
    parts = text.split(MARK)
    if len(parts) != 3 or not all(parts):
        return None
    return unquote(parts[0]), parts[1], parts[2]
