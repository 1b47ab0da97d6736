"""A cascade survives the end of any process at any point: no step is lost, none sent twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

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
from tests.system.cascades import (
    DELIVERED,
    SILENT,
    UNDELIVERED,
    WITHIN,
    final,
    find,
    registered,
    send,
    sms,
    submits,
)

pytestmark = [pytest.mark.daemon, pytest.mark.services]


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=10, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    env = {
        **SCALED,
        "HERMES_RESTATE__ENABLED": "true",
        "HERMES_TEST_BUILD": "1",
        "HERMES_SUPERVISION__LEAF_RESTARTS": "100",
    }
    with running_daemon(env, config=carrier.configure(window=10)) as running:
        yield running


@pytest.fixture
async def client(daemon: DaemonProcess) -> AsyncIterator[Client]:
    await registered(daemon)
    async with client_of(daemon) as found:
        yield found


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
