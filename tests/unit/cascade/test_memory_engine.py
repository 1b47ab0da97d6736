"""The engine in memory on a clock of the test's own: no time passes but what the test lets pass."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cascade.actions import Result
from cascade.engine import Retries
from cascade.engines.memory import MemoryEngine
from cascade.events import DispatchResult, NotOurs, Outcome, TakenOver
from cascade.policy import SILENT
from hermes.core.errors import StoreUnavailable
from hermes.core.plan import Plan, Step

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.serial = itertools.count()
        self.sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.passed + seconds, next(self.serial), future))
        await future

    async def move(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        until = self.passed + seconds
        await settle()
        while self.sleepers and self.sleepers[0][0] <= until:
            self.passed, _, future = heapq.heappop(self.sleepers)
            if not future.done():
                future.set_result(None)
            await settle()
        self.passed = until


async def settle() -> None:
    """Let every task run until all of them wait for the clock."""
    for _ in range(50):
        await asyncio.sleep(0)


class Recorder:
    """Steps that accept everything and note it with its time."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.done: list[tuple[float, str]] = []
        self.tokens: dict[int, str] = {}
        self.result: Result | None = None
        self.failures = 0

    async def take_over(self, mid: str, owner: str, late: str) -> TakenOver | NotOurs:
        return TakenOver(at=self.clock.now(), expires_at=T0 + DAY)

    async def dispatch(self, mid: str, step: int, token: str) -> DispatchResult:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("belt", "it is down")
        self.tokens[step] = token
        self.done.append((self.clock.passed, f"dispatch {step}"))
        return DispatchResult(answer="accepted", at=self.clock.now())

    async def finished(self, mid: str, result: Result) -> None:
        self.done.append((self.clock.passed, result.status))
        self.result = result


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def recorder(clock: ManualClock) -> Recorder:
    return Recorder(clock)


@pytest.fixture
async def engine(clock: ManualClock, recorder: Recorder) -> AsyncIterator[MemoryEngine]:
    retries = Retries(initial_s=1, max_s=4, max_attempts=5)
    made = MemoryEngine(recorder, retries, clock.sleep, clock.now)
    yield made
    await made.close()


def plan(*waits: float) -> Plan:
    return Plan(tuple(Step("sms", wait_s=wait) for wait in waits))


async def test_each_step_goes_when_its_time_has_come_and_not_a_second_before(
    engine: MemoryEngine, recorder: Recorder, clock: ManualClock
) -> None:
    await engine.start("a", plan(10, 3600))
    await clock.move(9.999)
    assert recorder.done == [(0, "dispatch 0")]
    await clock.move(3599)
    assert recorder.done == [(0, "dispatch 0"), (10, "dispatch 1")]
    await clock.move(2)
    assert recorder.done[2:] == [(3610, "expired")]
    assert recorder.result == Result(status="expired", step=1, reason=SILENT, stop=(0, 1))


async def test_a_start_asked_for_later_begins_to_the_second(
    engine: MemoryEngine, recorder: Recorder, clock: ManualClock
) -> None:
    await engine.start("a", plan(10), after=timedelta(minutes=5))
    await clock.move(299)
    assert recorder.done == []
    await clock.move(1)
    assert recorder.done == [(300, "dispatch 0")]


async def test_a_step_that_fails_is_tried_again_ever_more_seldom_and_then_parked(
    engine: MemoryEngine, recorder: Recorder, clock: ManualClock
) -> None:
    recorder.failures = 5
    await engine.start("a", plan(10))
    await clock.move(1 + 2 + 4 + 4)
    (parked,) = await engine.parked()
    assert (parked.mid, parked.since, parked.is_outage) == ("a", clock.now(), True)
    await clock.move(3600)
    assert recorder.done == []
    assert await engine.resume("a")
    await clock.move(0)
    assert recorder.done == [(3611, "dispatch 0")]
    assert await engine.parked() == []


async def test_an_outcome_is_heard_at_once(
    engine: MemoryEngine, recorder: Recorder, clock: ManualClock
) -> None:
    await engine.start("a", plan(10, 10))
    await clock.move(4)
    await engine.outcome(recorder.tokens[0], Outcome(0, "undelivered", clock.now()))
    await clock.move(0)
    assert recorder.done == [(0, "dispatch 0"), (4, "dispatch 1")]
