"""kill -9 of any one process: 200 messages in flight reach final states, none is lost.

Judged from the simulated carrier's log against the client's list of 202s.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    client_of,
    pause,
    running_carrier,
    running_daemon,
)
from tests.system.judgement import judge

COUNT = 200
WINDOW = 10
WITHIN = 30.0

# What is killed: the path of a node in the tree, and whether it is the actor or its OS process.
VICTIMS = {
    "bind": ("root/main/mesh/sim/bind-1", "actor"),
    "carrier-stage": ("root/main/mesh/sim/stage", "actor"),
    "receipt-stage": ("root/main/receipts/receipt-0", "actor"),
    "intake": ("root/main/stages/intake", "actor"),
    "recorder": ("root/main/stages/recorder", "actor"),
    "sweeper": ("root/main/stages/sweeper", "actor"),
    "front-door": ("root/main/frontdoor/frontdoor-1", "process"),
    "front-door-port": ("root/main/frontdoor/frontdoor-1", "actor"),
    "carrier-supervisor": ("root/main/mesh/sim", "actor"),
    "main-supervisor": ("root/main", "actor"),
    "nats": ("root/services/nats", "process"),
    "valkey": ("root/services/valkey", "process"),
    "postgres": ("root/services/postgres", "process"),
    "admin": ("root", "parent"),
}


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=30, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(SCALED, config=carrier.configure(WINDOW)) as running:
        yield running


@pytest.mark.daemon
@pytest.mark.parametrize("kind", list(VICTIMS))
async def test_no_kill_loses_a_message(
    carrier: CarrierProcess, daemon: DaemonProcess, kind: str
) -> None:
    first = 4_600_000_000 + list(VICTIMS).index(kind) * 1_000_000
    victim = await asyncio.to_thread(pid_of, daemon, kind)
    assert victim is not None
    async with client_of(daemon) as client:
        sending = asyncio.create_task(client.send_many(COUNT, first))
        async with asyncio.timeout(WITHIN):
            while len(client.accepted) < COUNT // 4 and not sending.done():
                await asyncio.sleep(0.005)
        os.kill(victim, signal.SIGKILL)
        await asyncio.wait_for(sending, WITHIN)
        views = await client.wait_final(WITHIN)
        verdict = judge(carrier, client, views, most_extra=2 * WINDOW)
    assert verdict.accepted == COUNT
    assert verdict.faults() == []
    await asyncio.to_thread(wait_up, daemon, kind, victim)


def find(node: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Find a node of the tree."""
    if node["path"] == path:
        return node
    found = (find(child, path) for child in node.get("children", []))
    return next((node for node in found if node is not None), None)


def pid_of(daemon: DaemonProcess, kind: str) -> int | None:
    """Give the pid of a victim now."""
    path, what = VICTIMS[kind]
    node = find(daemon.tree(), path)
    if node is None or not node.get("pid"):
        return None
    if what == "process":
        process = node.get("facts", {}).get("process")
        return int(process) if process else None
    return parent_of(node["pid"]) if what == "parent" else int(node["pid"])


def parent_of(pid: int) -> int:
    """Give the parent of a process: of the root supervisor that is Thespian's Admin."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_up(daemon: DaemonProcess, kind: str, pid: int) -> None:
    """Wait until everything is up again, the victim under another pid."""
    for _ in range(300):
        status = daemon.admin("/v1/status")
        if status is not None and status["healthy"]:
            now = pid_of(daemon, kind)
            if now is not None and now != pid:
                return
        pause(0.1)
    pytest.fail(f"{kind} did not come back")
