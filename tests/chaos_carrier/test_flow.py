"""A carrier that throttles is sent to as fast as it takes, in order, and delays nobody else."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from tests.chaos_carrier.mesh import Mesh, Tenant, Wanted, numbers, running_mesh, tenant_of

pytestmark = pytest.mark.chaos

DESTINATIONS, EACH = 20, 15
CAPPED, FREE = 4_510_000_000, 4_610_000_000
FREE_RATE = 100.0
FULL_FOR = 30.0
MSGQFUL = 0x14


@pytest.mark.parametrize("engine", ["aiosmpplib", "native"])
@pytest.mark.parametrize(("burst_s", "bound_s"), [(1.0, 17.0), (0.1, 18.0)])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
async def test_a_carrier_capped_at_20_a_second_takes_300_messages_in_order(
    kind: str, burst_s: float, bound_s: float, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capped: dict[str, float | str] = {
        "tps": 20,
        "tps_kind": kind,
        "burst_s": burst_s,
        "latency_ms": 20,
    }
    wanted = {
        "capped": Wanted(capped, "451", bind=f'engine = "{engine}"'),
        "free": Wanted({"latency_ms": 20}, "461"),
    }
    with running_mesh(wanted) as mesh:
        async with tenant_of(mesh.daemon) as tenant, tenant_of(mesh.daemon) as other:
            stop = asyncio.Event()
            beside = asyncio.create_task(steady(other, stop))
            for round_ in range(EACH):
                for to in numbers(CAPPED, DESTINATIONS):
                    await tenant.send(to, f"number {round_:02d}")
            views = await tenant.final(60)
            stop.set()
            sent = await beside
            assert {view["state"] for view in views.values()} == {"delivered"}
            assert {v["state"] for v in (await other.final(30)).values()} == {"delivered"}
        tries, taken = mesh.submits("capped"), mesh.accepted("capped")
        took = taken[-1]["at"] - tries[0]["at"]
        late = lateness(sent, mesh.accepted("free"))
    p99 = late[-len(late) // 100]
    with capsys.disabled():
        print(
            f"\n{kind}, burst {burst_s:g} s, {engine}: {len(taken)} taken in {took:.1f} s, "
            f"{len(tries) - len(taken)} refused; "
            f"beside it {len(late)} at {FREE_RATE:g}/s, p99 {p99 * 1000:.0f} ms"
        )
    assert len(taken) == DESTINATIONS * EACH
    assert took <= bound_s
    for texts in by_destination(taken).values():
        assert texts == sorted(texts)
        assert len(texts) == EACH
    assert p99 < 1.0, "the other carrier went on at full speed"


async def steady(tenant: Tenant, stop: asyncio.Event) -> dict[str, float]:
    """Send at a steady rate until told to stop; give when each number was accepted."""
    sent: dict[str, float] = {}
    began = time.time()
    for to in numbers(FREE, 100_000):
        await asyncio.sleep(max(0.0, began + len(sent) / FREE_RATE - time.time()))
        if stop.is_set():
            break
        await tenant.send(to)
        sent[to] = time.time()
    return sent


def lateness(sent: dict[str, float], taken: Sequence[dict[str, Any]]) -> list[float]:
    """Give the seconds from each acceptance to the submit, sorted."""
    at = {line["destination"]: line["at"] for line in taken}
    return sorted(at[to[1:]] - when for to, when in sent.items())


def by_destination(lines: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Give the texts to each destination in the carrier's order."""
    texts: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        texts[line["destination"]].append(line["text"])
    return texts


@pytest.mark.parametrize("cap", [0, 50])
async def test_a_full_queue_at_the_carrier_costs_15_seconds_more_than_it_lasts(
    cap: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"full": Wanted({"latency_ms": 50, "tps": cap})}
    with running_mesh(wanted) as mesh:
        async with tenant_of(mesh.daemon) as tenant:
            feed = asyncio.create_task(keep_fed(mesh, tenant))
            await asyncio.sleep(15)
            fault = {"status": MSGQFUL, "seconds": FULL_FOR}
            mesh.control("full", "POST", "/faults/refuse_submits", **fault)
            began = time.time()
            await asyncio.sleep(FULL_FOR + 20)
            feed.cancel()
            at = [line["at"] for line in mesh.accepted("full")]
            tries = [line["at"] for line in mesh.submits("full")]
            views = await tenant.final(120)
    ended = began + FULL_FOR
    before = rate(at, began - 8, began)
    regained = next(t for t in steps(ended, 20) if rate(at, t, t + 2) >= 0.9 * before)
    probes = bisect_left(tries, ended) - bisect_left(tries, began + 1)
    with capsys.disabled():
        print(
            f"\ncap {cap or 'none'}: {before:.0f}/s before, {probes} probes while full, 90 % of it "
            f"{regained - ended:.1f} s after, {rate(at, ended + 15, ended + 20):.0f}/s at the end"
        )
    assert {view["state"] for view in views.values()} == {"delivered"}
    assert regained - ended <= 15
    assert probes <= FULL_FOR / 0.5


async def keep_fed(mesh: Mesh, tenant: Tenant) -> None:
    """Keep a few seconds of work waiting."""
    made = 0
    while True:
        waiting = made - len(mesh.accepted("full"))
        if waiting < 2000:
            await tenant.send_all(numbers(FREE + made, 500))
            made += 500
        await asyncio.sleep(0.5)


def steps(start: float, seconds: float) -> list[float]:
    """Give the tenths of a second from a time on."""
    return [start + n / 10 for n in range(int(seconds * 10))]


def rate(at: Sequence[float], start: float, end: float) -> float:
    """Give what came in a second, of sorted times."""
    assert all(a <= b for a, b in pairwise(at))
    return (bisect_left(at, end) - bisect_left(at, start)) / (end - start)
