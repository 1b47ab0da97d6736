"""Stores that somebody else runs go away: what goes on, what stops, and that nothing is lost.

Judged from the carrier's log against the client's list of 202s; no process may end.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.degraded import ROWS, Outage
from tests.system.front_door import wait_for
from tests.system.outage import QUICK_MS, Stand, judged, loaded, queue_up, until
from tests.system.outside import How, running_outside

pytestmark = pytest.mark.daemon

STOPPED = {"postgres": 4.0, "valkey": 3.0, "nats": 3.0}
PAUSED = 2.0
WINDOW = 10
WITHIN = 60.0
# what the sweeper fails to hand over would wait for the end of its lease, 30 s
RECOVERED = 28.0
QUEUED = 200
SILENT = 1.5
STAGE = "root/main/mesh/sim/stage"
ENVIRONMENT = {**SCALED, "HERMES_SMPP__ENQUIRE_EVERY": "0.5"}
WAITS = {
    "postgres": "waiting for the ledger",
    "nats": "waiting for the belt",
    "valkey": "waiting for memory",
}


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the daemon said while it waited, one line per store that was missing."""
    return []


@pytest.fixture(scope="module")
def stand(said: list[str]) -> Iterator[Stand]:
    """A daemon that was started before any of its stores was."""
    with (
        running_carrier(latency_ms=20, receipt_delay_ms=100, retry_ms=300) as carrier,
        running_outside(start=False) as outside,
        running_daemon(
            {**ENVIRONMENT, **outside.environment()}, config=carrier.configure(WINDOW), start=False
        ) as daemon,
        ThreadPoolExecutor(1) as pool,
    ):
        starting = pool.submit(daemon.start)
        said += wait_for(lambda: waiting(daemon), WITHIN)
        for store in WAITS:
            assert not starting.done()
            outside.runner.start(store)
        starting.result()
        yield Stand(outside, carrier, daemon)


def waiting(daemon: DaemonProcess) -> list[str] | None:
    """Give what the daemon says it waits for, once that is every store."""
    lines = daemon.said().splitlines() if daemon.output_file.exists() else []
    found = [next((line for line in lines if words in line), "") for words in WAITS.values()]
    return found if all(found) else None


def test_a_start_waits_for_every_store_and_says_so(stand: Stand, said: list[str]) -> None:
    assert all(words in line for words, line in zip(WAITS.values(), said, strict=True))
    assert "hermes ready" in stand.daemon.said()


@pytest.mark.parametrize("store", list(ROWS))
async def test_a_store_away_ends_no_process_and_loses_nothing(stand: Stand, store: str) -> None:
    first = 4_610_000_000 + list(ROWS).index(store) * 1_000_000
    async with loaded(stand, first, RECOVERED) as load:
        await ROWS[store](stand, load, Outage(store, How.STOPPED, STOPPED[store]))
        await ROWS[store](stand, load, Outage(store, How.PAUSED, PAUSED))
        with stand.outside.without(store, How.KILLED):
            pass


async def test_restate_away_leaves_plans_of_one_step_alone(stand: Stand) -> None:
    assert stand.daemon.wiring["restate_ingress_url"]
    async with loaded(stand, 4_620_000_000, WITHIN) as load:
        await until(lambda: len(load.client.accepted) >= 3, WITHIN)


async def test_a_silent_carrier_with_a_long_queue_leaves_the_sweeper_nothing_to_do(
    stand: Stand,
) -> None:
    async with client_of(stand.daemon) as client:
        await queue_up(stand, client, 4_630_000_000, QUEUED, WITHIN)
        before = stand.swept()
        stand.control("POST", "/faults/black_hole", what="submits")
        stage = stand.pid_of(STAGE)
        os.kill(stage, signal.SIGKILL)
        await until(lambda: stand.pid_of(STAGE) != stage, WITHIN)
        await asyncio.sleep(SILENT)
        assert stand.swept() == before
        stand.control("DELETE", "/faults/black_hole")
        stand.control("PUT", "/settings", latency_ms=QUICK_MS)
        verdict = await judged(stand, client, WITHIN, most_extra=WINDOW)
    assert verdict.faults() == []
