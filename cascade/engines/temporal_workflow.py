"""The cascade as a Temporal workflow: the policy decides, the workflow performs.

One workflow per message. It is replayed from its history, so it may know nothing that is not in
its request or its history. Its calls are local activities: they run in the worker that holds the
workflow's task and their answers are written down with that task. Whatever changes the order or
the kind of what is written down, the policy included, either asks `workflow.patched` first or makes
a new VERSION; a worker goes on registering the old one until nothing runs on it.
"""

from __future__ import annotations

import cascade.engines.temporal_install  # noqa: F401 - first: it says what is missing

# isort: split
import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar, assert_never

from temporalio import exceptions, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import msgspec

    from cascade.actions import Action, Dispatch, Finish, StartTimer, TakeOver
    from cascade.engines.temporal_calls import (
        CascadeActivities,
        CascadeReply,
        CascadeRequest,
        DispatchCall,
        FinishedCall,
        News,
        OpenCall,
        ParkedReport,
        TakeOverCall,
        handle_text,
    )
    from cascade.events import (
        Cancelled,
        Dispatched,
        DispatchResult,
        Event,
        NotOurs,
        TakenOver,
        TimerFired,
    )
    from cascade.policy import START, next_action
    from cascade.state import Phase
    from cascade.token import LateToken, StepToken
    from hermes.core.units import Reason

T = TypeVar("T")
VERSION: Final = 1
WORKFLOW: Final = f"Cascade.v{VERSION}"
PARKED: Final = "ParkedCascade"
PARKED_SUFFIX: Final = ".parked"
NOT_BEGUN: Final = "NotBegun"
STORE_DOWN: Final = "StoreUnavailable"
# a longer pause between two tries becomes a timer of the server and frees the worker's slot
LOCAL_PAUSE: Final = timedelta(seconds=1)
LATE: Final = "late"


@workflow.defn(name=WORKFLOW)
class Cascade:
    """Walks one message through its plan."""

    @workflow.init
    def __init__(self, request: CascadeRequest) -> None:
        self.request = request
        self.info = workflow.info()
        self.events: deque[Event] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.slots: set[str] = set()  # that no outcome has used yet
        plan = request.plan.steps
        self.late = str(LateToken(tuple(step.success for step in plan), self.handle(LATE)))
        self.opened: DispatchResult | None = None
        self.is_cancelled = False
        self.tokens = tuple(
            str(
                StepToken(
                    step.success,
                    self.handle(f"{i}"),
                    self.handle(f"{i}s") if step.wait_from == "sent" else None,
                )
            )
            for i, step in enumerate(plan)
        )

    def handle(self, slot: str) -> str:
        """Make a handle good for one outcome."""
        self.slots.add(slot)
        return handle_text(self.info.workflow_id, self.request.secret, slot)

    @workflow.signal
    def outcome(self, news: News) -> None:
        """Take an outcome; the first of a handle counts."""
        if news.secret == self.request.secret and news.slot in self.slots:
            self.slots.remove(news.slot)
            self.events.append(news.outcome)

    @workflow.signal
    def cancel(self, text: str) -> None:
        """Take a cancel; what is being called meanwhile is not waited for."""
        self.events.append(Cancelled(Reason("cancelled", text)))

    def ring(self, number: int) -> None:
        """Take the end of a timer."""
        self.events.append(TimerFired(number))

    def has_cancel(self) -> bool:
        """Say whether a cancel is among the events not yet looked at."""
        return any(isinstance(event, Cancelled) for event in self.events)

    @workflow.run
    async def run(self, request: CascadeRequest) -> CascadeReply:
        """Walk, and take a cancel of Temporal's own as one of ours."""
        # a signal ends the delay of a start; once it is over, a task that was lost may have begun
        due = self.info.start_time + timedelta(seconds=request.after_s)
        if self.has_cancel() and workflow.now() < due:
            raise ApplicationError("cancelled before its time", type=NOT_BEGUN, non_retryable=True)
        walk = asyncio.create_task(self.walk())
        try:
            return await asyncio.shield(walk)
        except asyncio.CancelledError:
            self.cancel("")
            return await walk

    async def walk(self) -> CascadeReply:
        """Do what the policy says until it is done."""
        state, actions = START
        while True:
            event: Event | None = None
            for action in actions:
                event = await self.perform(action)
            if state.phase is Phase.DONE:
                return CascadeReply(state.result)
            event = event or await self.next_event()
            state, actions = next_action(self.request.plan, state, event)

    async def perform(self, action: Action) -> Event | None:
        """Perform an action, give the event that answers it; None if a cancel came first."""
        mid = self.request.mid
        if not isinstance(action, TakeOver) and self.timer is not None:
            self.timer.cancel()
            self.timer = None
        match action:
            case TakeOver():
                return await self.take_over(TakeOverCall(mid, self.info.run_id, self.late))
            case Dispatch(number):
                if self.opened is not None:
                    opened, self.opened = self.opened, None
                    return Dispatched(number, opened)
                dispatch = DispatchCall(mid, number, self.tokens[number])
                answer = await self.unless_cancelled(CascadeActivities.dispatch, dispatch)
                return None if answer is None else Dispatched(number, answer)
            case StartTimer(number, _, after_s):
                self.timer = asyncio.get_running_loop().call_later(after_s, self.ring, number)
            case Finish(result=ending):
                await self.patiently(CascadeActivities.finished, FinishedCall(mid, ending))
            case _:
                assert_never(action)
        return None

    async def next_event(self) -> Event:
        """Wait for news, a cancel or the timer."""
        await workflow.wait_condition(lambda: bool(self.events))
        event = self.events.popleft()
        self.is_cancelled = self.is_cancelled or isinstance(event, Cancelled)
        return event

    async def take_over(self, call: TakeOverCall) -> TakenOver | NotOurs | None:
        """Ask whose the message is; once it is cancelled nothing may be dispatched with that."""
        if self.is_cancelled:
            return await self.patiently(CascadeActivities.take_over, call)
        plan = self.request.plan
        opening = await self.unless_cancelled(
            CascadeActivities.open, OpenCall(call, plan, self.tokens)
        )
        if opening is None:
            return None
        self.opened = opening.answer
        return opening.ownership

    async def unless_cancelled(
        self, method: Callable[[Any, Any], Coroutine[Any, Any, T]], call: msgspec.Struct
    ) -> T | None:
        """Call until it succeeds; None if a cancel is among the events by then."""
        if self.has_cancel():
            return None
        task = asyncio.create_task(self.patiently(method, call))
        await workflow.wait_condition(lambda: task.done() or self.has_cancel())
        if not self.has_cancel():
            return task.result()
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        task.cancel()
        return None

    async def patiently(
        self, method: Callable[[Any, Any], Coroutine[Any, Any, T]], call: msgspec.Struct
    ) -> T:
        """Call until it succeeds; after too many failures wait for an operator."""
        retries = self.request.retries
        policy = RetryPolicy(
            initial_interval=timedelta(seconds=retries.initial_s),
            maximum_interval=timedelta(seconds=retries.max_s),
            maximum_attempts=retries.max_attempts,
        )
        while True:
            try:
                return await workflow.execute_local_activity_method(
                    method,
                    call,
                    start_to_close_timeout=timedelta(seconds=self.request.call_timeout_s),
                    retry_policy=policy,
                    local_retry_threshold=LOCAL_PAUSE,
                )
            except exceptions.FailureError as error:
                if exceptions.is_cancelled_exception(error):
                    raise
                report = report_of(self.request.mid, error)
            # an own workflow, because workflows can be listed by their type and nothing else
            await workflow.execute_child_workflow(
                ParkedCascade.run, report, id=self.info.workflow_id + PARKED_SUFFIX
            )


def report_of(mid: str, error: exceptions.FailureError) -> ParkedReport:
    """Say why a call failed for the last time; what never answers is an outage too."""
    cause = error.cause if isinstance(error, exceptions.ActivityError) else error
    match cause:
        case ApplicationError():
            return ParkedReport(mid, f"{cause.type}: {cause.message}", cause.type == STORE_DOWN)
        case exceptions.TimeoutError():
            return ParkedReport(mid, f"TimeoutError: {cause.message}", is_outage=True)
        case _:
            return ParkedReport(mid, repr(cause))


@workflow.defn(name=PARKED)
class ParkedCascade:
    """Stands for a parked cascade until an operator resumes it."""

    def __init__(self) -> None:
        self.is_resumed = False

    @workflow.signal
    def resume(self) -> None:
        """Let the cascade try again."""
        self.is_resumed = True

    @workflow.run
    async def run(self, report: ParkedReport) -> None:
        """Wait."""
        del report  # for whoever lists it
        await workflow.wait_condition(lambda: self.is_resumed)
