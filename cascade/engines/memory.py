"""A cascade engine in memory: the policy on an event loop; it survives nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, assert_never

from cascade.actions import Action, Dispatch, Finish, Result, StartTimer, TakeOver
from cascade.engine import EngineStatus, Health, OutcomeFate, Parked, Retries, StartResult
from cascade.engines.handles import Handle, decided, merged
from cascade.events import Cancelled, Dispatched, Event, Outcome, TimerFired
from cascade.policy import START, next_action
from cascade.state import Phase
from cascade.steps import CascadeSteps
from cascade.token import LateToken, StepToken
from hermes.core.errors import StoreUnavailable
from hermes.core.plan import Plan
from hermes.core.units import Reason

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)  # noqa: TID251 - the shell's clock


@dataclass(eq=False)
class Cascade:
    """One start of one message."""

    mid: str
    plan: Plan
    owner: str
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    tokens: dict[int, str] = field(default_factory=dict)
    resumed: asyncio.Event = field(default_factory=asyncio.Event)
    walk: asyncio.Task[None] | None = None
    timer: asyncio.Task[None] | None = None
    has_begun: bool = False
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    left: list[asyncio.Task[Any]] = field(default_factory=list)
    parked: Parked | None = None
    result: Result | None = None

    @property
    def is_over(self) -> bool:
        """Say whether it runs no more."""
        return self.walk is not None and self.walk.done()

    @property
    def status(self) -> EngineStatus:
        """What is remembered of it."""
        if self.result is not None or self.is_over:
            return EngineStatus("done", self.result)
        return EngineStatus("running")


class MemoryEngine:
    """CascadeEngine and CascadeOperations; `sleep` takes seconds, `now` gives aware UTC.

    Make it inside the loop it runs in, and `close` it there.
    """

    def __init__(
        self,
        steps: CascadeSteps,
        retries: Retries | None = None,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.steps, self.sleep, self.now = steps, sleep, now
        self.retries = retries or Retries()
        self.cascades: dict[tuple[str, bool], Cascade] = {}
        self.handles: dict[str, Cascade] = {}
        self.serial = 0

    async def start(self, mid: str, plan: Plan, *, after: timedelta | None = None) -> StartResult:
        """Start, once for each of the two kinds."""
        key = (mid, after is not None)
        if key in self.cascades:
            return "duplicate"
        cascade = Cascade(mid, plan, self._mint("owner"))
        self.cascades[key] = cascade
        delay = 0.0 if after is None else after.total_seconds()
        cascade.walk = asyncio.create_task(self._walk(cascade, delay))
        return "accepted"

    async def outcome(self, token: str, event: Outcome) -> OutcomeFate:
        """Put an outcome where its handle leads, once."""
        handle = decided(token, event)
        if not isinstance(handle, Handle):
            return handle
        cascade = self.handles.pop(handle.text, None)
        if cascade is not None:
            cascade.events.put_nowait(event)
        return "told"

    async def cancel(self, mid: str, reason: str) -> bool:
        """Cancel what runs of it and drop what had not begun."""
        found = [c for c in self._of(mid) if not c.is_over]
        for cascade in found:
            if not cascade.has_begun:
                self._drop(cascade)
                continue
            cascade.events.put_nowait(Cancelled(Reason("cancelled", reason)))
            cascade.cancelled.set()
        return bool(found)

    async def status(self, mid: str) -> EngineStatus:
        """Give what is remembered of both kinds of start."""
        return merged([cascade.status for cascade in self._of(mid)])

    async def health(self) -> Health:
        """It is up as long as it exists."""
        return Health(is_up=True)

    async def parked(self, limit: int = 100) -> list[Parked]:
        """Give what gave up trying."""
        found = [c.parked for c in self.cascades.values() if c.parked is not None]
        return sorted(found, key=lambda parked: parked.since)[:limit]

    async def resume(self, mid: str) -> bool:
        """Try again at once."""
        found = [c for c in self._of(mid) if c.parked is not None]
        for cascade in found:
            cascade.resumed.set()
        return bool(found)

    async def fail(self, mid: str, reason: str) -> bool:
        """Tell the ledger first: then no crash leaves the message without an outcome."""
        found = [c for c in self._of(mid) if c.parked is not None]
        for cascade in found:
            why = Reason("failed_by_operator", reason)
            await self.steps.finished(mid, Result(status="failed", reason=why))
            cascade.parked = None
            await asyncio.gather(*self._stop(cascade), return_exceptions=True)
        return bool(found)

    async def close(self) -> None:
        """Forget everything."""
        tasks = [task for c in self.cascades.values() for task in self._stop(c)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _of(self, mid: str) -> list[Cascade]:
        keys = ((mid, False), (mid, True))
        return [self.cascades[key] for key in keys if key in self.cascades]

    def _stop(self, cascade: Cascade) -> list[asyncio.Task[None]]:
        tasks = [task for task in (cascade.walk, cascade.timer) if task is not None]
        tasks += cascade.left
        for task in tasks:
            task.cancel()
        return tasks

    def _drop(self, cascade: Cascade) -> None:
        self._stop(cascade)
        self.cascades = {k: c for k, c in self.cascades.items() if c is not cascade}

    async def _walk(self, cascade: Cascade, delay: float) -> None:
        if delay > 0:
            await self.sleep(delay)
        cascade.has_begun = True
        state, actions = START
        while True:
            event: Event | None = None
            for action in actions:
                event = await self._perform(cascade, action)
            if state.phase is Phase.DONE:
                break
            event = event or await cascade.events.get()
            state, actions = next_action(cascade.plan, state, event)
        for task in cascade.left:
            task.cancel()
        cascade.result, cascade.parked = state.result, None

    async def _perform(self, cascade: Cascade, action: Action) -> Event | None:
        steps, mid = self.steps, cascade.mid
        match action:
            case TakeOver():
                successes = tuple(step.success for step in cascade.plan.steps)
                late = str(LateToken(successes, self._handle(cascade)))
                return await self._unless_cancelled(
                    cascade, lambda: steps.take_over(mid, cascade.owner, late)
                )
            case Dispatch(number):
                token = self._token(cascade, number)
                result = await self._unless_cancelled(
                    cascade, lambda: steps.dispatch(mid, number, token)
                )
                return None if result is None else Dispatched(number, result)
            case StartTimer(number, _, after_s):
                self._start_timer(cascade, number, after_s)
            case Finish(result=ending):
                if cascade.timer is not None:
                    cascade.timer.cancel()
                await self._patiently(cascade, lambda: steps.finished(mid, ending))
            case _:
                assert_never(action)
        return None

    def _start_timer(self, cascade: Cascade, number: int, after_s: float) -> None:
        async def ring() -> None:
            await self.sleep(after_s)
            cascade.events.put_nowait(TimerFired(number))

        if cascade.timer is not None:
            cascade.timer.cancel()
        cascade.timer = asyncio.create_task(ring())

    async def _unless_cancelled(
        self, cascade: Cascade, call: Callable[[], Coroutine[Any, Any, T]]
    ) -> T | None:
        """Call until it succeeds; None once it was cancelled: the cancel is among its events."""
        if cascade.cancelled.is_set():  # it has been told, and this is what comes of it
            return await self._patiently(cascade, call)
        task = asyncio.create_task(self._patiently(cascade, call))
        cancelled = asyncio.create_task(cascade.cancelled.wait())
        cascade.left += [task, cancelled]
        await asyncio.wait({task, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        cancelled.cancel()
        if cascade.cancelled.is_set():
            return None
        cascade.left.clear()
        return task.result()

    async def _patiently(self, cascade: Cascade, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Call until it succeeds; after too many failures wait for an operator."""
        failures = 0
        while True:
            task = asyncio.create_task(call())
            await asyncio.wait({task})
            error = task.exception()
            if error is None:
                return task.result()
            failures += 1
            if failures < self.retries.max_attempts:
                await self.sleep(self.retries.delay(failures))
                continue
            is_outage = isinstance(error, StoreUnavailable)
            cascade.resumed.clear()
            cascade.parked = Parked(
                mid=cascade.mid, since=self.now(), failure=repr(error), is_outage=is_outage
            )
            await cascade.resumed.wait()
            cascade.parked, failures = None, 0

    def _token(self, cascade: Cascade, number: int) -> str:
        if number not in cascade.tokens:
            step = cascade.plan.steps[number]
            final = self._handle(cascade)
            sent = self._handle(cascade) if step.wait_from == "sent" else None
            cascade.tokens[number] = str(StepToken(step.success, final, sent))
        return cascade.tokens[number]

    def _handle(self, cascade: Cascade) -> str:
        handle = self._mint("handle")
        self.handles[handle] = cascade
        return handle

    def _mint(self, what: str) -> str:
        self.serial += 1
        return f"{what}{self.serial}"
