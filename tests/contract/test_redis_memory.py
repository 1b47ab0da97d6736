"""What the connection to Redis adds: a memory that was lost is noticed, and a server too."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes.adapters.claims_redis import RedisClaims, RedisLeases
from hermes.adapters.receipt_store_redis import RedisReceiptStore
from hermes.adapters.redis_memory import MemoryRefusedLogin, RedisMemory
from hermes.core.claim import Claim
from hermes.core.errors import ConfigError, HermesBug, StoreUnavailable
from hermes.embedded.plan import plan_services
from hermes.ports.claims import ClaimRequest, Settled
from hermes.ports.receipt_store import Accepted, Receipt, Target
from hermes.testing.services import ServiceRunner, halt, options_for_tests

pytestmark = pytest.mark.services

ATTEMPT = ClaimRequest("msg_0000000000000000000000000a.0.0", ("written",), 3_600)


@pytest.fixture
def server(public_dir: Callable[[], Path]) -> Iterator[ServiceRunner]:
    """A Valkey of the test's own, to be emptied and killed."""
    with ServiceRunner(plan_services(options_for_tests(("valkey",), public_dir()))) as runner:
        runner.start()
        yield runner


async def test_a_memory_never_used_before_counts_as_lost_and_only_once(
    server: ServiceRunner,
) -> None:
    lost: list[str] = []
    first = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    second = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    assert (first.was_lost, second.was_lost) == (True, False)
    assert lost == [first.epoch] == [second.epoch]
    await first.close()
    await second.close()


async def test_a_memory_emptied_behind_the_connection_is_noticed_by_the_next_renewal(
    server: ServiceRunner,
) -> None:
    lost: list[str] = []
    memory = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    other = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    leases = RedisLeases(memory)
    await leases.replace("host", "bind", "boot", 30)
    assert await leases.renew("boot", 30)
    lost.clear()
    await memory.command("FLUSHALL")
    assert not await leases.renew("boot", 30)
    assert lost == [memory.epoch]
    # the other finds the key there again, but with another value
    assert not await other.check_epoch()
    assert lost == [memory.epoch, memory.epoch]
    assert await other.check_epoch()
    await memory.close()
    await other.close()


async def test_a_memory_lost_with_its_server_is_noticed_before_the_next_call_is_answered(
    server: ServiceRunner,
) -> None:
    lost: list[str] = []
    memory = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    claims = RedisClaims(memory)
    await claims.claim("acme", [ATTEMPT], "h/b/boot")
    lost.clear()
    await memory.command("FLUSHALL")
    server.kill("valkey")
    with pytest.raises(StoreUnavailable):
        await claims.claim("acme", [ATTEMPT], "h/b/boot")
    server.start("valkey")
    async with asyncio.timeout(10):
        while True:
            try:
                assert await claims.claim("acme", [ATTEMPT], "h/b/boot") == [None]
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    assert lost == [memory.epoch]
    await memory.close()


async def test_a_server_killed_and_started_again_remembers_and_is_used_without_an_error(
    server: ServiceRunner,
) -> None:
    lost: list[str] = []
    memory = await RedisMemory.connect(server.endpoints.redis_url, on_lost=lost.append)
    claims = RedisClaims(memory)
    await claims.claim("acme", [ATTEMPT], "h/b/boot")
    lost.clear()
    server.kill("valkey")
    server.start("valkey")
    # scripts are gone with the server, the claim is not
    found = await claims.claim("acme", [ATTEMPT], "h/c/other")
    assert found == [Claim("h/b/boot", ("written",))]
    assert lost == []
    await memory.close()


async def test_a_server_that_does_not_answer_is_unavailable_and_then_not_waited_for(
    server: ServiceRunner,
) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url, timeout_s=0.3)
    claims = RedisClaims(memory)
    pid = server.processes["valkey"].pid
    halt(pid)
    try:
        calls = [claims.claim("acme", [ATTEMPT], "h/b/boot") for _ in range(20)]
        async with asyncio.timeout(2):
            results = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {type(result) for result in results} == {StoreUnavailable}
    async with asyncio.timeout(10):
        while True:
            try:
                await claims.settle("acme", [Settled(ATTEMPT.attempt, 0, "accepted:1")])
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    await memory.close()


async def test_a_call_that_is_cancelled_does_not_spoil_the_next_answer(
    server: ServiceRunner,
) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    await memory.command("SET", "a", "1")
    await memory.command("SET", "b", "2")
    for _ in range(20):
        reading = asyncio.create_task(memory.command("GET", "a"))
        await asyncio.sleep(0)
        reading.cancel()
        assert await memory.command("GET", "b") == b"2"
    await memory.close()


async def test_a_memory_that_is_full_is_unavailable_for_writing(server: ServiceRunner) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    await memory.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        await RedisClaims(memory).claim("acme", [ATTEMPT], "h/b/boot")
    await memory.close()


async def test_a_memory_that_takes_no_writes_for_now_is_unavailable(server: ServiceRunner) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    await memory.command("CONFIG", "SET", "min-replicas-to-write", "1")
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await RedisClaims(memory).claim("acme", [ATTEMPT], "h/b/boot")
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await memory.command("SET", "key", "value")
    await memory.close()


async def test_a_password_refused_to_who_runs_already_is_one_more_way_to_be_away(
    server: ServiceRunner,
) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    other = await RedisMemory.connect(server.endpoints.redis_url)
    await memory.command("CONFIG", "SET", "requirepass", "new")
    await memory.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(StoreUnavailable, match="credentials"):
        await other.command("PING")
    await memory.command("CONFIG", "SET", "requirepass", "")
    async with asyncio.timeout(5):
        while not await is_there(other):
            await asyncio.sleep(0.05)
    await memory.close()
    await other.close()


async def is_there(memory: RedisMemory) -> bool:
    """Say whether memory answers."""
    try:
        return bool(await memory.command("PING") == b"PONG")
    except StoreUnavailable:
        return False


async def test_a_refused_password_is_told_to_the_operator(server: ServiceRunner) -> None:
    url = server.endpoints.redis_url
    memory = await RedisMemory.connect(url)
    await memory.command("CONFIG", "SET", "requirepass", "right")
    await memory.close()
    for wrong in (url, f"{url}?password=wrong"):
        with pytest.raises(MemoryRefusedLogin):
            await RedisMemory.connect(wrong)
    await (await RedisMemory.connect(f"{url}?password=right")).close()


async def test_an_address_that_is_none_is_told_to_the_operator() -> None:
    with pytest.raises(ConfigError):
        await RedisMemory.connect("tcp://127.0.0.1:6379")


async def test_a_server_that_is_not_there_is_unavailable(public_dir: Callable[[], Path]) -> None:
    with pytest.raises(StoreUnavailable):
        await RedisMemory.connect(f"unix://{public_dir()}/nobody.sock", timeout_s=0.5)


async def test_a_command_the_server_does_not_know_is_our_fault(server: ServiceRunner) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    with pytest.raises(HermesBug):
        await memory.command("NONSENSE")
    assert await memory.command("PING") == b"PONG"
    await memory.close()


async def test_everything_kept_has_an_end(server: ServiceRunner) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    claims, store = RedisClaims(memory, settled_ttl_s=600), RedisReceiptStore(memory)
    await claims.claim("acme", [ATTEMPT], "h/b/boot")
    await RedisLeases(memory).replace("h", "b", "boot", 10)
    target = Target("0xABC", "Shop", "447700900123", ATTEMPT.attempt, "t1")
    await store.accepted("acme", [Accepted(target, 7_200)])
    receipts = [
        Receipt("2748", "447700900123", "Shop", "in-1", is_final=False),
        Receipt("77", "447700900123", "Shop", "in-2", is_final=True),
    ]
    await store.receipt("acme", receipts)
    lives = {
        name.decode(): await memory.command("TTL", name)
        for name in await memory.command("KEYS", "*")
    }
    assert lives.pop("epoch") == -1
    assert min(lives.values()) > 0
    assert lives["dlr:{acme}:0xABC"] > 7_000
    assert lives["orphan:{acme}:77"] > 20_000
    await store.receipt("acme", [Receipt("0xABC", "", "", "in-3", is_final=True)])
    assert await memory.command("TTL", "dlr:{acme}:0xABC") <= 3_600
    await claims.settle("acme", [Settled(ATTEMPT.attempt, 0, "accepted:0xABC")])
    assert await memory.command("TTL", f"claim:{{acme}}:{ATTEMPT.attempt}") <= 600
    await memory.close()


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("same", {"4711"}),
        ("strip-zeros", {"4711", "0x4711"}),
        ("hex-dec", {"4711", "0x4711", "1267"}),
        ("dec-hex", {"4711", "0x4711", "18193"}),
    ],
)
async def test_a_carrier_whose_form_is_given_is_not_searched_in_others(
    server: ServiceRunner, form: str, found: set[str]
) -> None:
    memory = await RedisMemory.connect(server.endpoints.redis_url)
    store = RedisReceiptStore(memory, {"acme": form})
    target = Target("4711", "Shop", "447700900123", ATTEMPT.attempt, "t1")
    await store.accepted("acme", [Accepted(target, 60)])
    asked = ["4711", "0x4711", "1267", "18193"]
    answers = await store.receipt(
        "acme", [Receipt(i, "447700900123", "Shop", "in", is_final=True) for i in asked]
    )
    assert {i for i, answer in zip(asked, answers, strict=True) if answer is not None} == found
    await memory.close()
