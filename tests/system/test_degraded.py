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

from hermes.testing.daemon_process import SCALED, DaemonProcess, running_carrier, running_daemon
from tests.system.front_door import wait_for
from tests.system.outage import WALL, Outage, Stand, live_through, loaded, until
from tests.system.outside import How, running_outside

pytestmark = pytest.mark.daemon

AWAY = 4.0
WINDOW = 10
WITHIN = 60.0
SLOW_MS = 250.0
QUEUED = 1000
TEMPORARY = 0x64
# in flight and in hand go out before a bind hears that a store is gone
SETTLED = 1.5
ENVIRONMENT = {
    **SCALED,
    "HERMES_SMPP__ENQUIRE_EVERY": "0.5",
    "HERMES_SMPP__RESPONSE_TIMEOUT": "60",
}
WAITS = {
    "postgres": "waiting for the ledger",
    "nats": "waiting for the belt",
    "valkey": "waiting for memory",
}


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the daemon said while it waited, one entry per store that was missing."""
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
        for store, words in WAITS.items():
            said.append(wait_for(lambda words=words: progress(daemon, words), WITHIN))
            outside.runner.start(store)
        starting.result()
        yield Stand(outside, carrier, daemon)


def progress(daemon: DaemonProcess, words: str) -> str | None:
    """Find the line of progress that has these words."""
    lines = daemon.said().splitlines() if daemon.output_file.exists() else []
    return next((line for line in lines if words in line), None)


def test_a_start_waits_for_every_store_and_says_which(stand: Stand, said: list[str]) -> None:
    assert [next(s for s, words in WAITS.items() if words in line) for line in said] == list(WAITS)
    assert "hermes ready" in stand.daemon.said()


async def test_postgres_away(stand: Stand) -> None:
    for how in (How.STOPPED, How.PAUSED, How.KILLED):
        first = 4_610_000_000 + list(How).index(how) * 1_000_000
        async with loaded(stand, first, before=200) as load:
            stand.control("PUT", "/settings", latency_ms=SLOW_MS)
            stand.control("POST", "/faults/pause_receipts")
            outage = await live_through(
                stand, "postgres", how, AWAY, lambda: owed_receipts_come(stand)
            )
