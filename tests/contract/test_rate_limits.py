"""What shared rates, pressure and credits promise, kept by Redis and by the memory twin alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from hermes.adapters.rate_limits_redis import RedisRateLimits
from hermes.adapters.redis_memory import RedisMemory
from hermes.ports.rate_limits import CreditRequest, Grant, Pressure, RateLimits
from hermes.testing.memory_rate_limits import MemoryRateLimits

GRANTED = Grant(granted=True)


@dataclass
class Memory:
    """The port under test and a carrier of the test's own."""

    limits: RateLimits
    carrier: str

    async def take(self, *requests: tuple[str, int]) -> list[Grant]:
        return await self.limits.take([CreditRequest(self.carrier, *r) for r in requests])


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    carrier = uuid4().hex
    if request.param == "memory":
        yield Memory(MemoryRateLimits(time.monotonic), carrier)
        return
    redis = await RedisMemory.connect(request.getfixturevalue("services").redis_url)
    yield Memory(RedisRateLimits(redis), carrier)
    await redis.close()


async def test_a_bucket_gives_its_burst_then_says_how_long_to_wait(memory: Memory) -> None:
    first = await memory.limits.take_rate(memory.carrier, 0.5, 10, 8)
    second = await memory.limits.take_rate(memory.carrier, 0.5, 10, 8)
    third = await memory.limits.take_rate(memory.carrier, 0.5, 10, 8)
    assert (first.granted, second.granted, third.granted) == (8, 2, 0)
    assert 1.0 < third.retry_after_s <= 2.0


async def test_a_bucket_fills_with_its_rate(memory: Memory) -> None:
    assert (await memory.limits.take_rate(memory.carrier, 50.0, 5, 5)).granted == 5
    taken, start = 0, time.monotonic()
    while taken < 10:
        taken += (await memory.limits.take_rate(memory.carrier, 50.0, 5, 5)).granted
        await asyncio.sleep(0.01)
    assert time.monotonic() - start > 0.15


async def test_what_a_host_told_is_read_by_all(memory: Memory) -> None:
    here = Pressure(memory.carrier, "host-a", 120, 45.5, "slow")
    there = Pressure(memory.carrier, "host-b", 0, 0.0, "down")
    for told in (here, there, here):
        await memory.limits.publish_pressure(told)
    found = [p for p in await memory.limits.pressures() if p.carrier == memory.carrier]
    assert found == [here, there]


async def test_without_credits_nobody_is_admitted(memory: Memory) -> None:
    assert await memory.take(("t1", 1)) == [Grant(granted=False, retry_after_s=5.0)]
    assert await memory.limits.take([]) == []


async def test_credits_are_taken_in_order_until_none_is_left(memory: Memory) -> None:
    await memory.limits.refill(memory.carrier, "host-a", 5, 2.0)
    grants = await memory.take(("t1", 2), ("t1", 2), ("t1", 1), ("t1", 1))
    assert grants == [GRANTED] * 3 + [Grant(granted=False, retry_after_s=1.0)]


async def test_the_last_one_admitted_may_overdraw_and_the_next_refill_pays(memory: Memory) -> None:
    await memory.limits.refill(memory.carrier, "host-a", 2, 0.5)
    overdrawn = await memory.take(("t1", 4), ("t1", 1))
    assert overdrawn == [GRANTED, Grant(granted=False, retry_after_s=6.0)]
    await memory.limits.refill(memory.carrier, "host-a", 2, 0.5)
    assert await memory.take(("t2", 1)) == [Grant(granted=False, retry_after_s=2.0)]
    await memory.limits.refill(memory.carrier, "host-a", 3, 0.5)
    assert await memory.take(("t2", 1)) == [GRANTED]


async def test_what_is_left_of_one_second_is_not_added_to_the_next(memory: Memory) -> None:
    for _ in range(3):
        await memory.limits.refill(memory.carrier, "host-a", 2, 1.0)
    grants = await memory.take(*[("t1", 1)] * 3)
    assert [grant.granted for grant in grants] == [True, True, False]


async def test_the_credits_of_several_hosts_add_up(memory: Memory) -> None:
    await memory.limits.refill(memory.carrier, "host-a", 2, 1.0)
    await memory.limits.refill(memory.carrier, "host-b", 1, 1.0)
    grants = await memory.take(*[("t1", 1)] * 4)
    assert [grant.granted for grant in grants] == [True, True, True, False]


async def test_a_tenant_alone_has_everything_and_half_beside_another(memory: Memory) -> None:
    await memory.limits.refill(memory.carrier, "host-a", 8, 1.0)
    alone = await memory.take(*[("t1", 1)] * 6)
    assert all(grant.granted for grant in alone)
    other = memory.carrier
    memory.carrier += "-b"
    await memory.limits.refill(memory.carrier, "host-a", 8, 1.0)
    beside = await memory.take(*[("t1", 1)] * 6, ("t2", 1))
    assert [grant.granted for grant in beside] == [True] * 4 + [False] * 2 + [True]
    assert beside[4] == Grant(granted=False, retry_after_s=1.0)
    memory.carrier = other


async def test_requests_for_several_carriers_are_answered_in_their_order(memory: Memory) -> None:
    there, nowhere = memory.carrier + "-a", memory.carrier + "-b"
    await memory.limits.refill(there, "host-a", 1, 1.0)
    grants = await memory.limits.take(
        [
            CreditRequest(nowhere, "t1", 1),
            CreditRequest(there, "t1", 1),
            CreditRequest(nowhere, "t1", 1),
            CreditRequest(there, "t1", 1),
        ]
    )
    assert [grant.granted for grant in grants] == [False, True, False, False]


async def test_credits_that_nobody_renews_end(memory: Memory) -> None:
    await memory.limits.refill(memory.carrier, "host-a", 1_000, 1.0)
    start = time.monotonic()
    async with asyncio.timeout(10):
        while (await memory.take(("t1", 1)))[0].granted:
            await asyncio.sleep(0.1)
    assert time.monotonic() - start > 1.5
