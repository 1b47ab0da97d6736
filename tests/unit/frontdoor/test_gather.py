"""Concurrent callers share calls; each gets its own answer or the error of its batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from hermes.frontdoor.gather import Gather


async def test_those_who_come_during_a_call_share_the_next_one() -> None:
    gate = asyncio.Event()
    batches: list[list[int]] = []

    async def call(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await gate.wait()
        return [item * 10 for item in items]

    gather = Gather(call, size=100, parallel=1)
    first = asyncio.create_task(gather.submit(0))
    while not batches:
        await asyncio.sleep(0)
    rest = [asyncio.create_task(gather.submit(n)) for n in range(1, 6)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *rest) == [0, 10, 20, 30, 40, 50]
    assert batches == [[0], [1, 2, 3, 4, 5]]


async def test_an_error_reaches_only_the_callers_of_its_batch() -> None:
    async def call(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise ConnectionError("ledger away")
        return list(items)

    gather = Gather(call, size=1, parallel=1)
    good, bad = asyncio.create_task(gather.submit(1)), asyncio.create_task(gather.submit(13))
    assert await good == 1
    with pytest.raises(ConnectionError):
        await bad
    assert await gather.submit(2) == 2


async def test_a_caller_who_left_does_not_hurt_the_others() -> None:
    async def call(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        return list(items)

    gather = Gather(call, size=10, parallel=1)
    tasks = [asyncio.create_task(gather.submit(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    assert await tasks[0] == 0
    assert await tasks[2] == 2
