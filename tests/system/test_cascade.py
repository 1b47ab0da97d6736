"""Plans of several steps on the whole daemon: the next step on failure or silence, and no other."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes import crash
from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)

pytestmark = [pytest.mark.daemon, pytest.mark.services]

WITHIN = 40.0
DELIVERED, UNDELIVERED, SILENT = "0", "3", "4"
"""Last digits of numbers: what the simulated carrier makes of them."""
ENV = {
    **SCALED,
    "HERMES_RESTATE__ENABLED": "true",
    "HERMES_TEST_BUILD": "1",
    "HERMES_SUPERVISION__LEAF_RESTARTS": "100",
}


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=10, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module", params=["plain", "lazy"])
def daemon(carrier: CarrierProcess, request: pytest.FixtureRequest) -> Iterator[DaemonProcess]:
    """One daemon for each way to start: at once, or when the first step failed or was silent."""
    lazy = {"HERMES_RESTATE__LAZY_START": "true"} if request.param == "lazy" else {}
    config = carrier.configure(window=10)
    with running_daemon({**ENV, **lazy}, config=config) as running:
        yield running


@pytest.fixture
async def client(daemon: DaemonProcess) -> AsyncIterator[Client]:
    await registered(daemon)
    async with client_of(daemon) as found:
        yield found


async def registered(daemon: DaemonProcess) -> None:
    """Wait until the engine knows the endpoint."""
    async with asyncio.timeout(WITHIN):
        while True:
            found = await asyncio.to_thread(daemon.admin, "/v1/cascades/versions")
            if found and found["versions"]:
                return
            await asyncio.sleep(0.1)


class Numbers:
    """Gives numbers nobody used before."""

    next = 4_810_000_000

    @classmethod
    def new(cls, fate: str) -> str:
        cls.next += 1
        return f"+{cls.next}{fate}"


def sms(fate: str, wait: float | None = None, **more: Any) -> dict[str, Any]:
    """Give a step to a number of its own."""
    waits = {} if wait is None else {"wait": wait}
    return {"channel": "sms", "to": Numbers.new(fate), **waits, **more}


async def send(client: Client, *steps: dict[str, Any], **more: Any) -> str:
    """Send a cascade; give its id."""
    body = {"text": "hello", "cascade": list(steps), **more}
    async with client.session.post(f"{client.url}/v1/messages", json=body) as answer:
        found = await answer.json()
        assert answer.status == 202, found
        return str(found["id"])


async def final(client: Client, name: str) -> dict[str, Any]:
    """Wait until a message is final."""
    ended: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(WITHIN):
        while not await client.look([name], ended):
            await asyncio.sleep(0.02)
    return ended[name]


def submits(carrier: CarrierProcess, *steps: dict[str, Any]) -> list[int]:
    """Count what came for the numbers of the steps."""
    came = Counter(
        line["destination"]
        for line in carrier.log()
        if line["event"] == "submit" and line.get("message_id")
    )
    return [came[step["to"].removeprefix("+")] for step in steps]


def at_carrier(carrier: CarrierProcess, step: dict[str, Any]) -> float:
    """Give when a step came to the carrier."""
    number = step["to"].removeprefix("+")
    return next(
        float(line["at"])
        for line in carrier.log()
        if line["event"] == "submit" and line["destination"] == number
    )


async def test_a_failed_step_is_followed_at_once(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(UNDELIVERED, 600), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 1]
    assert at_carrier(carrier, second) - at_carrier(carrier, first) < 5
    assert [step["state"] for step in view["cascade"]] == ["failed", "won"]


async def test_a_silent_step_is_followed_after_its_wait(
    carrier: CarrierProcess, client: Client
) -> None:
    first, second = sms(SILENT, 2), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 1]
    assert 1.8 < at_carrier(carrier, second) - at_carrier(carrier, first) < 7


async def test_a_step_that_won_is_the_last(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(DELIVERED, 2), sms(DELIVERED, 600)
    name = await send(client, first, second)
    assert (await final(client, name))["state"] == "delivered"
    # the wait of the first passes with nothing
    last = sms(SILENT, 2), sms(DELIVERED, 600)
    assert (await final(client, await send(client, *last)))["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 0]
    view = await client.view(name)
    assert [step["state"] for step in view["cascade"]] == ["won", "skipped"]


async def test_all_fail_and_the_last_one_says_why(carrier: CarrierProcess, client: Client) -> None:
    steps = [sms(UNDELIVERED, 600), sms(UNDELIVERED, 600), sms(UNDELIVERED, 600)]
    view = await final(client, await send(client, *steps))
    assert (view["state"], view["reason"]["code"]) == ("failed", "undeliv")
    assert submits(carrier, *steps) == [1, 1, 1]


async def test_silence_to_the_end_is_expired(carrier: CarrierProcess, client: Client) -> None:
    steps = [sms(SILENT, 1), sms(SILENT, 1)]
    view = await final(client, await send(client, *steps))
    assert (view["state"], view["reason"]["code"]) == ("expired", "silent")
    assert submits(carrier, *steps) == [1, 1]


async def test_what_was_sent_is_enough_where_the_step_says_so(
    carrier: CarrierProcess, client: Client
) -> None:
    first, second = sms(SILENT, 600, success="sent"), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "sent"
    assert submits(carrier, first, second) == [1, 0]


async def test_a_cancelled_cascade_goes_no_further(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(SILENT, 2), sms(DELIVERED, 600)
    name = await send(client, first, second)
    async with asyncio.timeout(WITHIN):
        while submits(carrier, first) == [0]:
            await asyncio.sleep(0.02)
    async with client.session.delete(f"{client.url}/v1/messages/{name}") as answer:
        assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")
    other = sms(SILENT, 3), sms(DELIVERED, 600)
    await final(client, await send(client, *other))
    assert submits(carrier, first, second) == [1, 0]
    view = await client.view(name)
    assert view["state"] == "cancelled"
    assert "superseded" in [event["kind"] for event in view["events"]]


async def test_a_bound_on_the_cost_refuses_a_step_and_the_next_is_tried(
    carrier: CarrierProcess, client: Client
) -> None:
    # the simulated carrier has no price: nothing is refused, and the bound is shown
    first = sms(DELIVERED, 600)
    cost = {"amount": "0.05", "currency": "EUR"}
    view = await final(client, await send(client, first, sms(DELIVERED), max_cost=cost))
    assert view["state"] == "delivered"


@pytest.mark.parametrize("point", crash.CASCADE_POINTS)
async def test_a_crash_at_this_point_changes_nothing(
    carrier: CarrierProcess, daemon: DaemonProcess, client: Client, point: str
) -> None:
    folder = Path(daemon.wiring["run_dir"]) / "crash"
    (folder / point).write_text("5")
    pairs = [(sms(UNDELIVERED, 600), sms(DELIVERED, 600)) for _ in range(12)]
    names = await asyncio.gather(*(send(client, *pair) for pair in pairs))
    views = await asyncio.gather(*(final(client, name) for name in names))
    assert [view["state"] for view in views] == ["delivered"] * 12
    assert (folder / f"{point}.done").exists(), "the process did not crash there"
    for pair, view in zip(pairs, views, strict=True):
        counts = submits(carrier, *pair)
        assert min(counts) == 1, (view["id"], counts)
        assert max(counts) == 1 or view["possible_duplicate"], (view["id"], counts)


@pytest.mark.parametrize(
    "path", ["root/services/restate", "root/main/stages/cascade", "root/main/stages/outcome"]
)
async def test_a_kill_while_they_wait_loses_no_timer(
    carrier: CarrierProcess, daemon: DaemonProcess, client: Client, path: str
) -> None:
    pairs = [(sms(SILENT, 3), sms(DELIVERED, 600)) for _ in range(10)]
    names = await asyncio.gather(*(send(client, *pair) for pair in pairs))
    async with asyncio.timeout(WITHIN):
        while sum(submits(carrier, *(first for first, _ in pairs))) < 10:
            await asyncio.sleep(0.02)
    node = find(await asyncio.to_thread(daemon.tree), path)
    os.kill(node["facts"].get("process") or node["pid"], signal.SIGKILL)
    views = await asyncio.gather(*(final(client, name) for name in names))
    assert [view["state"] for view in views] == ["delivered"] * 10
    assert [submits(carrier, *pair) for pair in pairs] == [[1, 1]] * 10


def find(node: dict[str, Any], path: str) -> dict[str, Any]:
    """Find a node of the tree."""
    for child in node.get("children", ()):
        if path == child["path"]:
            return dict(child)
        if path.startswith(child["path"] + "/"):
            return find(child, path)
    raise AssertionError(path)
