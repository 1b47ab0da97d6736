"""Texts of several segments survive kills and lost links: every part arrives, doubles are marked.

Judged from the simulated carrier's log against the client's list of 202s.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.test_kill import find

pytestmark = pytest.mark.daemon

COUNT, PARTS, WINDOW = 60, 4, 5
TEXT = "x" * (153 * (PARTS - 1) + 40)
BLOWS = 3
WITHIN = 60.0


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=30, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(SCALED, config=carrier.configure(WINDOW)) as running:
        yield running


async def kill_the_bind(_carrier: CarrierProcess, daemon: DaemonProcess, dead: set[int]) -> None:
    """End the bind's process, once it is another than the last."""
    async with asyncio.timeout(WITHIN):
        while True:
            node = find(await asyncio.to_thread(daemon.tree), "root/main/mesh/sim/bind-1")
            if node is not None and node.get("pid") and node["pid"] not in dead:
                dead.add(node["pid"])
                os.kill(node["pid"], signal.SIGKILL)
                return
            await asyncio.sleep(0.05)


async def drop_the_link(carrier: CarrierProcess, _daemon: DaemonProcess, _dead: set[int]) -> None:
    """End every session by RST."""
    await asyncio.to_thread(ask_carrier, carrier.control, "POST", "/faults/drop", how="rst")


Strike = Callable[[CarrierProcess, DaemonProcess, set[int]], Awaitable[None]]


@pytest.mark.parametrize(
    ("strike", "first"),
    [(kill_the_bind, 4_700_000_000), (drop_the_link, 4_710_000_000)],
    ids=["bind killed", "link dropped"],
)
async def test_every_part_arrives_and_what_came_twice_is_marked(
    carrier: CarrierProcess, daemon: DaemonProcess, strike: Strike, first: int
) -> None:
    dead: set[int] = set()
    async with client_of(daemon) as client:
        await asyncio.gather(*(client.send(f"+{first + n}0", TEXT) for n in range(COUNT)))
        for blow in range(1, BLOWS + 1):
            await until_accepted(carrier, first, blow * COUNT * PARTS // (BLOWS + 2))
            await strike(carrier, daemon, dead)
        views = await client.wait_final(WITHIN)
    assert len(views) == COUNT
    assert {view["state"] for view in views.values()} == {"delivered"}
    parts = parts_of(carrier, first)
    for number in range(COUNT):
        came = {part: parts[f"{first + number}0", part] for part in range(1, PARTS + 1)}
        assert all(came.values()), f"{first + number}0: {came}"
    twice = {to for (to, _), times in parts.items() if times > 1}
    assert sum(times - 1 for times in parts.values()) <= BLOWS * WINDOW
    assert twice <= marked(client, views)


async def until_accepted(carrier: CarrierProcess, first: int, count: int) -> None:
    """Wait until the carrier has so many parts."""
    async with asyncio.timeout(WITHIN):
        while sum(parts_of(carrier, first).values()) < count:
            await asyncio.sleep(0.02)


def parts_of(carrier: CarrierProcess, first: int) -> Counter[tuple[str, int]]:
    """Count the parts the carrier took, by number and part."""
    return Counter(
        (line["destination"], bytes.fromhex(line["hex"])[5])
        for line in carrier.log()
        if line["event"] == "submit"
        and line.get("message_id")
        and 0 <= int(line["destination"][:-1]) - first < COUNT
    )


def marked(client: Client, views: dict[str, dict[str, Any]]) -> set[str]:
    """Give the numbers whose messages say that they may have come twice."""
    return {
        client.accepted[name][1:] for name, view in views.items() if view.get("possible_duplicate")
    }
