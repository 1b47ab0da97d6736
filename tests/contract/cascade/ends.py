"""What the end of the process that runs the steps must not change, whatever the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from time import monotonic

from cascade.actions import Result
from hermes.testing.services import ServiceRunner
from tests.contract.cascade.rig import (
    BELT_FIRST,
    LONG,
    Rig,
    deliver,
    plan,
    settled,
    start_herd,
    told,
)


async def no_cascade_is_lost(rig: Rig, mid: str, kill: Callable[[], None]) -> None:
    """A kill in the middle of many loses no cascade, no timer and no outcome."""
    herd = await start_herd(rig, mid, BELT_FIRST)
    for one in herd[::3]:
        await deliver(rig, one, 0)
    kill()
    expected = {}
    for number, one in enumerate(herd):
        step = int(number % 3 != 0)  # the others' timers fire, before the kill or after
        if step:
            await deliver(rig, one, 1)
        expected[one] = ("delivered", step)
    ends = {one: await rig.ledger.ended(one) for one in herd}
    assert {one: (end.status, end.step) for one, end in ends.items()} == expected
    for one in herd:
        await settled(rig, one)
        assert Counter(rig.ledger.calls(one, "finished"))["noted"] == 1


async def what_is_told_meanwhile_is_kept(
    rig: Rig, mid: str, runner: ServiceRunner, name: str
) -> None:
    """An outcome told while the process is gone is there when it is back."""
    rig.ledger.message(mid)
    await rig.engine.start(mid, plan(LONG, LONG))
    token = await rig.ledger.dispatched(mid, 0)
    runner.kill(name)
    assert await rig.engine.outcome(token, told(0, "delivered")) == "told"
    runner.start(name)
    assert await rig.ledger.ended(mid) == Result(status="delivered", step=0)


async def sigterm_is_heard_and_the_next_goes_on(
    rig: Rig, mid: str, runner: ServiceRunner, name: str, within_s: float
) -> None:
    """A stop in the middle of the work is clean and soon, and loses nothing."""
    herd = [rig.ledger.message(f"{mid}-{number}") for number in range(200)]
    starts = [asyncio.create_task(rig.engine.start(one, plan(LONG, LONG))) for one in herd]
    await rig.ledger.until(lambda: sum(map(bool, map(rig.ledger.dispatches, herd))) > 20)
    began = monotonic()
    code = runner.stop(name)[name]
    assert (code, monotonic() - began < within_s) == (0, True)
    runner.start(name)
    await asyncio.gather(*starts)
    for one in herd:
        await deliver(rig, one, 0)
    for one in herd:
        assert await rig.ledger.ended(one) == Result(status="delivered", step=0)
        assert set(rig.ledger.calls(one, "dispatch")) <= {"?", "0 accepted"}
