"""A paused carrier is sent nothing, stays paused when its stage is killed, and then goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.judgement import judge

pytestmark = pytest.mark.daemon
STAGE = "root/main/mesh/sim/stage"


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=5, receipt_delay_ms=20) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(SCALED, config=carrier.configure(window=10)) as running:
        yield running


def stage_of(daemon: DaemonProcess) -> dict[str, Any]:
    """Give the carrier stage's node."""

    def find(node: dict[str, Any]) -> dict[str, Any] | None:
        if node["path"] == STAGE:
            return node
        return next((n for n in map(find, node.get("children", [])) if n is not None), None)

    return find(daemon.tree()) or {}


async def wait_paused(daemon: DaemonProcess, other_than: int | None = None) -> int:
    """Wait until the stage says that it is paused; give its pid."""
    async with asyncio.timeout(20):
        while True:
            node = await asyncio.to_thread(stage_of, daemon)
            if node.get("facts", {}).get("paused") and node["pid"] != other_than:
                return int(node["pid"])
            await asyncio.sleep(0.1)


async def test_a_paused_carrier_stays_paused_when_its_stage_is_killed(
    carrier: CarrierProcess, daemon: DaemonProcess
) -> None:
    said = daemon.run("carrier", "pause", "sim", "--reason", "maintenance")
    assert (said.returncode, said.stdout.strip()) == (0, "carrier sim is paused")
    pid = await wait_paused(daemon)
    async with client_of(daemon) as client:
        await client.send_many(60, 4_800_000_000)
        os.kill(pid, signal.SIGKILL)
        await wait_paused(daemon, other_than=pid)
        assert [line for line in carrier.log() if line["event"] == "submit"] == []
        said = daemon.run("carrier", "resume", "sim")
        assert (said.returncode, said.stdout.strip()) == (0, "carrier sim is going on")
        views = await client.wait_final(30)
        assert judge(carrier, client, views, most_extra=0).faults() == []


def test_a_carrier_nobody_configured_cannot_be_paused(daemon: DaemonProcess) -> None:
    said = daemon.run("carrier", "pause", "nobody")
    assert (said.returncode, said.stderr.strip()) == (
        1,
        "hermes: no carrier nobody is configured",
    )
