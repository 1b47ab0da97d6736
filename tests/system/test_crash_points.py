"""A crash at each named point: nothing lost, duplicates marked, the ledger right after recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes import crash
from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.judgement import judge

COUNT = 60
WINDOW = 10
WITHIN = 40.0


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=30, receipt_delay_ms=50) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    env = {**SCALED, "HERMES_TEST_BUILD": "1", "HERMES_SUPERVISION__LEAF_RESTARTS": "100"}
    with running_daemon(env, config=carrier.configure(WINDOW)) as running:
        yield running


@pytest.mark.daemon
@pytest.mark.parametrize("point", crash.POINTS)
async def test_a_crash_at_this_point_loses_nothing(
    carrier: CarrierProcess, daemon: DaemonProcess, point: str
) -> None:
    folder = Path(daemon.wiring["run_dir"]) / "crash"
    (folder / point).write_text("20")
    first = 4_700_000_000 + crash.POINTS.index(point) * 1_000_000
    async with client_of(daemon) as client:
        await asyncio.wait_for(client.send_many(COUNT, first), WITHIN)
        views = await client.wait_final(WITHIN)
        verdict = judge(carrier, client, views, most_extra=WINDOW)
    assert (folder / f"{point}.done").exists(), "the process did not crash there"
    assert verdict.faults() == []
