"""The cascade as a Restate workflow: the policy decides, the handler performs and journals.

The handler is replayed from its journal, so it may await nothing but the SDK's futures and must
know nothing that is not in its request or its journal. Whatever changes the order or the kind of
journal entries, the policy included, makes a new VERSION; the old one stays served until drained.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Generic, TypeVar

import msgspec
import restate
from restate import RestateDurableFuture, RunOptions, TerminalError, Workflow, WorkflowContext
from restate.serde import Serde

from cascade.actions import Action, Dispatch, Finish, Result, StartTimer, TakeOver
from cascade.engine import Retries
from cascade.events import (
    Cancelled,
    Dispatched,
    DispatchResult,
    Event,
    NotOurs,
    Outcome,
    TakenOver,
    TimerFired,
)
from cascade.policy import START, next_action
from cascade.state import CascadeState, Phase
from cascade.steps import CascadeSteps
from cascade.token import LateToken, StepToken
from hermes.core.plan import Plan
from hermes.core.units import Reason

T = TypeVar("T")
VERSION: Final = 1
SERVICE: Final = "Cascade"
CANCELLED_CODE: Final = 409


class CascadeRequest(msgspec.Struct, frozen=True):
    """What starts a cascade: never the message's text or address beyond what the plan says."""

    mid: str
    plan: Plan


class CascadeReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a start ended; without a result it had not been its turn."""

    result: Result | None = None


class Opening(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose the message is and, if its first step could go at once, how the belt answered."""

    ownership: TakenOver | NotOurs
    answer: DispatchResult | None = None


class WorkflowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What Restate is told at registration; times in seconds.

    An invocation that waits for longer than `inactivity_s` is suspended; till then it holds one of
    the invoker's slots (restatedev/restate#2761), so it must be short: enough for the answer of
    the ledger and the belt, which at 0 costs a replay each. `retention_s` is how long a finished
    cascade is remembered.
    """

    inactivity_s: float = 0.1
    retention_s: float = 1800.0
    retries: Retries = Retries()


class JsonSerde(Serde[T], Generic[T]):
    """JSON of one type. Reading raises msgspec.DecodeError or msgspec.ValidationError."""

    def __init__(self, kind: type[T] | object) -> None:
        self.encoder = msgspec.json.Encoder()
        self.decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)

    def serialize(self, obj: T | None) -> bytes:
        """Write."""
        return self.encoder.encode(obj)

    def deserialize(self, buf: bytes) -> T | None:
        """Read."""
        return self.decoder.decode(buf)


class NewsSerde(JsonSerde[Outcome | None]):
    """An outcome told from outside; None if it cannot be read, as it would be at every replay."""

    def deserialize(self, buf: bytes) -> Outcome | None:
        """Read, if it can be read."""
        try:
            return super().deserialize(buf)
        except msgspec.DecodeError:  # ValidationError is one
            return None


REQUEST: Final = JsonSerde[CascadeRequest](CascadeRequest)
REPLY: Final = JsonSerde[CascadeReply](CascadeReply)
OPENING: Final = RunOptions[Opening](serde=JsonSerde(Opening))
ANSWER: Final = RunOptions[DispatchResult](serde=JsonSerde(DispatchResult))
NEWS: Final = NewsSerde(Outcome | None)


class Journal:
    """Performs actions in one invocation's journal.

    `news` are the futures of outcomes not told yet, in the order they are listened to. Making
    them costs no journal entry, so every step has its token from the beginning.
    """

    def __init__(self, ctx: WorkflowContext, request: CascadeRequest, steps: CascadeSteps) -> None:
        self.ctx, self.request, self.steps = ctx, request, steps
        self.owner = ctx.request().id
        self.news: list[RestateDurableFuture[Outcome | None]] = []
        self.timer: tuple[int, RestateDurableFuture[None]] | None = None
        self.opened: DispatchResult | None = None
        plan = request.plan.steps
        self.late = str(LateToken(tuple(step.success for step in plan), self.handle()))
        self.tokens = [
            str(
                StepToken(
                    step.success,
                    self.handle(),
                    self.handle() if step.wait_from == "sent" else None,
                )
            )
            for step in plan
        ]

    def handle(self) -> str:
        """Make an awakeable and listen to it."""
        handle, future = self.ctx.awakeable(serde=NEWS)
        self.news.append(future)
        return handle

    async def perform(self, action: Action) -> Event | None:
        """Perform an action, give the event that answers it."""
        match action:
            case TakeOver():
                opening = await self.ctx.run_typed("open", self.open, OPENING)
                self.opened = opening.answer
                return opening.ownership
            case Dispatch(number):
                self.timer = None
                if self.opened is not None:
                    answer, self.opened = self.opened, None
                else:
                    answer = await self.ctx.run_typed(
                        f"dispatch-{number}", self.dispatch, ANSWER, number
                    )
                return Dispatched(number, answer)
            case StartTimer(number, name, after_s):
                self.timer = number, self.ctx.sleep(timedelta(seconds=after_s), name=name)
            case Finish():
                pass  # told after the journal's end: at least once, and a round trip less
        return None

    async def open(self) -> Opening:
        """Take over and dispatch the first step: two calls, one journal entry."""
        ownership = await self.take_over()
        _, actions = next_action(self.request.plan, START[0], ownership)
        for action in actions:
            if isinstance(action, Dispatch):
                return Opening(ownership, await self.dispatch(action.step))
        return Opening(ownership)

    async def take_over(self) -> TakenOver | NotOurs:
        """Ask the ledger whose the message is."""
        return await self.steps.take_over(self.request.mid, self.owner, self.late)

    async def dispatch(self, number: int) -> DispatchResult:
        """Put a step on the belt."""
        return await self.steps.dispatch(self.request.mid, number, self.tokens[number])

    async def next_event(self) -> Event | None:
        """Wait for news or the timer; of what came together, news comes first."""
        waiting: list[RestateDurableFuture[Outcome | None] | RestateDurableFuture[None]]
        waiting = [*self.news]
        if self.timer is not None:
            waiting.append(self.timer[1])
        ready, _ = await restate.wait_completed(*waiting)
        first = ready[0]
        if self.timer is not None and first is self.timer[1]:
            number, self.timer = self.timer[0], None
            await first
            return TimerFired(number)
        self.news = [future for future in self.news if future is not first]
        outcome: Outcome | None = await first
        return outcome


async def walk(ctx: WorkflowContext, request: CascadeRequest, steps: CascadeSteps) -> CascadeReply:
    """Walk one message through its plan."""
    journal = Journal(ctx, request, steps)
    state, actions = START
    try:
        while state.phase is not Phase.DONE:
            event = None
            for action in actions:
                event = await journal.perform(action)
            event = event or await journal.next_event()
            if event is not None:
                state, actions = next_action(request.plan, state, event)
            else:
                actions = ()
    except TerminalError as error:
        state = await after_terminal(journal, state, error)
    if state.result is not None:
        await steps.finished(request.mid, state.result)
    return CascadeReply(state.result)


async def after_terminal(
    journal: Journal, state: CascadeState, error: TerminalError
) -> CascadeState:
    """End a cascade that was cancelled, or that the engine gave up; nothing is journaled any more.

    Whether it is ours may not be known yet, so the ledger is asked, as often as it takes.
    """
    is_cancel = error.status_code == CANCELLED_CODE
    reason = Reason("cancelled") if is_cancel else Reason("engine", error.message)
    plan = journal.request.plan
    state, actions = next_action(plan, state, Cancelled(reason))
    for _ in actions:
        if state.phase is Phase.OWNER:
            state, _ = next_action(plan, state, await journal.take_over())
    return state


def build_workflow(steps: CascadeSteps, settings: WorkflowSettings) -> Workflow:
    """Make the workflow of this VERSION around the steps."""
    workflow = Workflow(
        SERVICE,
        inactivity_timeout=timedelta(seconds=settings.inactivity_s),
        journal_retention=timedelta(0),
        invocation_retry_policy=restate.InvocationRetryPolicy(
            initial_interval=timedelta(seconds=settings.retries.initial_s),
            exponentiation_factor=2.0,
            max_interval=timedelta(seconds=settings.retries.max_s),
            max_attempts=settings.retries.max_attempts,
            on_max_attempts="pause",
        ),
    )

    @workflow.main(
        workflow_retention=timedelta(seconds=settings.retention_s),
        input_serde=REQUEST,
        output_serde=REPLY,
    )
    async def run(ctx: WorkflowContext, request: CascadeRequest) -> CascadeReply:
        return await walk(ctx, request, steps)

    return workflow
