"""What claims and leases promise, kept by Redis and by the memory twin alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from hermes.adapters.claims_redis import RedisClaims, RedisLeases
from hermes.adapters.redis_memory import RedisMemory
from hermes.core.claim import Claim
from hermes.core.errors import Unreadable
from hermes.embedded.endpoints import Endpoints
from hermes.ports.claims import Advance, ClaimRequest, Claims, Found, Leases, Settled
from hermes.testing.memory_claims import MemoryClaims, MemoryLeases

ME, OTHER = "host/one/boot1", "host/two/boot2"
A, B, C = (f"msg_0000000000000000000000000{x}.0.0" for x in "abc")


@dataclass
class Memory:
    """Both ports, and a carrier of the test's own."""

    claims: Claims
    leases: Leases
    carrier: str


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Memory]:
    carrier = uuid4().hex
    if request.param == "memory":
        yield Memory(MemoryClaims(time.monotonic), MemoryLeases(time.monotonic), carrier)
        return
    redis = await RedisMemory.connect(request.getfixturevalue("services").redis_url)
    yield Memory(RedisClaims(redis), RedisLeases(redis), carrier)
    await redis.close()


def ask(attempt: str, segments: int = 1) -> ClaimRequest:
    return ClaimRequest(attempt, ("written",) * segments, 60)


async def found(memory: Memory, attempt: str) -> Found:
    """Look at a claim by asking for it as somebody else."""
    return (await memory.claims.claim(memory.carrier, [ask(attempt)], "host/x/look"))[0]


async def test_a_claim_is_mine_where_there_was_none_and_else_shows_what_is_there(
    memory: Memory,
) -> None:
    first = await memory.claims.claim(
        memory.carrier, [ask(A), ClaimRequest(B, ("written", "new", "elsewhere"), 60)], ME
    )
    second = await memory.claims.claim(memory.carrier, [ask(B), ask(C), ask(A)], OTHER)
    assert first == [None, None]
    assert second == [
        Claim(ME, ("written", "new", "elsewhere")),
        None,
        Claim(ME, ("written",)),
    ]


async def test_one_attempt_twice_in_a_batch_is_claimed_once(memory: Memory) -> None:
    answers = await memory.claims.claim(memory.carrier, [ask(A), ask(A)], ME)
    assert answers == [None, Claim(ME, ("written",))]


async def test_the_same_attempt_on_two_carriers_is_two_claims(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ask(A)], ME)
    assert await memory.claims.claim(memory.carrier + "b", [ask(A)], OTHER) == [None]


async def test_a_claim_ends_with_its_time(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ClaimRequest(A, ("written",), 1)], ME)
    async with asyncio.timeout(5):
        while await memory.claims.claim(memory.carrier, [ask(A)], OTHER) != [None]:
            await asyncio.sleep(0.05)


async def test_outcomes_are_noted_by_segment_and_an_accepted_one_stays(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ask(A, 2), ask(B)], ME)
    await memory.claims.settle(
        memory.carrier,
        [
            Settled(A, 0, "accepted:17"),
            Settled(B, 0, "refused", "0x0B"),
            Settled(A, 0, "refused", "late"),
            Settled(A, 1, "new"),
            Settled(A, 2, "refused"),
            Settled(C, 0, "accepted:18"),
        ],
    )
    assert await found(memory, A) == Claim(ME, ("accepted:17", "new"))
    assert await found(memory, B) == Claim(ME, ("refused",), reason="0x0B")
    assert await found(memory, C) is None


async def test_settling_keeps_the_time_of_the_claim(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ClaimRequest(A, ("written",), 1)], ME)
    await memory.claims.settle(memory.carrier, [Settled(A, 0, "accepted:1")])
    async with asyncio.timeout(5):
        while await memory.claims.claim(memory.carrier, [ask(A)], OTHER) != [None]:
            await asyncio.sleep(0.05)


async def test_cancelling_wins_where_nothing_was_claimed(memory: Memory) -> None:
    assert await memory.claims.cancel(memory.carrier, A, 60)
    assert await memory.claims.cancel(memory.carrier, A, 60)
    assert await found(memory, A) == Claim("", (), "cancelled")
    await memory.claims.settle(memory.carrier, [Settled(A, 0, "accepted:1")])
    await memory.claims.drop(memory.carrier, [A], "")
    assert await found(memory, A) == Claim("", (), "cancelled")


async def test_cancelling_loses_against_a_claim(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ask(A)], ME)
    assert not await memory.claims.cancel(memory.carrier, A, 60)
    assert await found(memory, A) == Claim(ME, ("written",))


async def test_dropping_undoes_only_my_own_untouched_claims(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ask(A), ask(B, 2)], ME)
    await memory.claims.claim(memory.carrier, [ask(C)], OTHER)
    await memory.claims.settle(memory.carrier, [Settled(B, 0, "accepted:1")])
    await memory.claims.drop(memory.carrier, [A, B, C], ME)
    assert await memory.claims.cancel(memory.carrier, A, 60)
    assert await found(memory, B) == Claim(ME, ("accepted:1", "written"))
    assert await found(memory, C) == Claim(OTHER, ("written",))


async def test_a_claim_is_taken_over_once(memory: Memory) -> None:
    await memory.claims.claim(memory.carrier, [ClaimRequest(A, ("written", "new", "new"), 60)], ME)
    await memory.claims.settle(memory.carrier, [Settled(A, 0, "accepted:1")])
    wanted = [Advance(A, ME, (1,)), Advance(B, ME, (0,))]
    assert await memory.claims.advance(memory.carrier, wanted, OTHER) == [True, False]
    assert await memory.claims.advance(memory.carrier, wanted, "host/three/boot3") == [False, False]
    assert await memory.claims.advance(memory.carrier, [Advance(A, ME, (2,))], ME) == [False]
    assert await found(memory, A) == Claim(OTHER, ("accepted:1", "written", "new"))


async def test_going_on_marks_only_what_is_new(memory: Memory) -> None:
    words = ("written", "new", "elsewhere")
    await memory.claims.claim(memory.carrier, [ClaimRequest(A, words, 60)], ME)
    await memory.claims.settle(memory.carrier, [Settled(A, 0, "uncertain")])
    wanted = [Advance(A, ME, (0, 1, 2, 9))]
    assert await memory.claims.advance(memory.carrier, wanted, ME) == [True]
    assert await found(memory, A) == Claim(ME, ("uncertain", "written", "elsewhere"))


BROKEN: list[tuple[str, bytes]] = [
    ("newer", b'{"owner":"host/one/boot1","segments":["written"],"v":2}'),
    ("truncated", b'{"owner":"host/one/boot1","segm'),
    ("no_object", b"[1,2]"),
    ("other_types", b'{"owner":"host/one/boot1","segments":"written"}'),
    ("numbers", b'{"owner":"host/one/boot1","segments":[7]}'),
    ("nothing", b""),
    ("no_text", b"\xff\xfe\x00"),
    ("deep", b'{"owner":' + b"[" * 5000 + b"]" * 5000 + b"}"),
]


@pytest.mark.services
@pytest.mark.parametrize("value", [value for _, value in BROKEN], ids=[name for name, _ in BROKEN])
async def test_a_claim_nobody_can_read_is_told_apart_and_stays(
    services: Endpoints, value: bytes
) -> None:
    redis = await RedisMemory.connect(services.redis_url)
    claims, carrier = RedisClaims(redis), uuid4().hex
    key = f"claim:{{{carrier}}}:{A}"
    await redis.command("SET", key, value)
    one, two = await claims.claim(carrier, [ask(A), ask(B)], ME)
    assert isinstance(one, Unreadable)
    assert two is None, "the others of the batch are claimed"
    if b'"v":2' not in value:
        await claims.settle(carrier, [Settled(A, 0, "accepted:1"), Settled(B, 0, "accepted:2")])
        await claims.drop(carrier, [A], ME)
        assert await claims.advance(carrier, [Advance(A, ME, (0,))], OTHER) == [False]
        assert await claims.claim(carrier, [ask(B)], OTHER) == [Claim(ME, ("accepted:2",))]
    assert not await claims.cancel(carrier, A, 60), "the carrier may have it"
    assert await redis.command("GET", key) == value
    await redis.close()


@pytest.mark.services
async def test_a_key_of_another_type_is_an_unreadable_claim(services: Endpoints) -> None:
    redis = await RedisMemory.connect(services.redis_url)
    claims, carrier = RedisClaims(redis), uuid4().hex
    await redis.command("RPUSH", f"claim:{{{carrier}}}:{A}", "x")
    one, two = await claims.claim(carrier, [ask(A), ask(B)], ME)
    assert isinstance(one, Unreadable)
    assert two is None
    await claims.settle(carrier, [Settled(A, 0, "refused")])
    assert not await claims.cancel(carrier, A, 60)
    await redis.close()


async def test_nothing_to_do_is_done(memory: Memory) -> None:
    assert await memory.claims.claim(memory.carrier, [], ME) == []
    await memory.claims.settle(memory.carrier, [])
    assert await memory.claims.advance(memory.carrier, [], ME) == []
    await memory.claims.drop(memory.carrier, [], ME)
    assert await memory.leases.owners_alive([]) == set()


async def test_a_lease_lives_until_it_is_given_back(memory: Memory) -> None:
    one, two = uuid4().hex, uuid4().hex
    await memory.leases.replace("host", one, one, 30)
    await memory.leases.replace("host", two, two, 30)
    assert await memory.leases.owners_alive([one, two, "nobody"]) == {one, two}
    await memory.leases.release(one)
    assert await memory.leases.owners_alive([one, two]) == {two}


async def test_a_new_incarnation_ends_the_lease_of_the_one_before(memory: Memory) -> None:
    bind, old, new = uuid4().hex, uuid4().hex, uuid4().hex
    await memory.leases.replace("host", bind, old, 30)
    await memory.leases.replace("host", bind, new, 30)
    assert await memory.leases.owners_alive([old, new]) == {new}
    assert not await memory.leases.renew(old, 30)
    assert await memory.leases.renew(new, 30)
    await memory.leases.replace("host", bind, new, 30)
    assert await memory.leases.owners_alive([old, new]) == {new}


async def test_a_lease_that_is_not_renewed_ends(memory: Memory) -> None:
    boot = uuid4().hex
    await memory.leases.replace("host", boot, boot, 0.2)
    async with asyncio.timeout(5):
        while await memory.leases.owners_alive([boot]):
            await asyncio.sleep(0.02)
    assert not await memory.leases.renew(boot, 30)
    assert await memory.leases.owners_alive([boot]) == set()
