"""Every store that somebody else runs away for a minute, and a carrier silent for as long."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from hermes.testing.daemon_process import SCALED, client_of, running_carrier, running_daemon
from tests.system.degraded import ROWS, Outage
from tests.system.outage import QUICK_MS, WALL, Stand, judged, loaded, queue_up, until
from tests.system.outside import How, running_outside

pytestmark = pytest.mark.chaos

AWAY = 60.0
WINDOW = 10
WITHIN = 180.0
QUEUED = 4000
STAGE = "root/main/mesh/sim/stage"
KILLS = 6
EVERY = 10.0
RESPONSE_TIMEOUT = float(SCALED["HERMES_SMPP__RESPONSE_TIMEOUT"])


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A daemon on servers of somebody else, who may take any of them away."""
    with (
        running_carrier(latency_ms=QUICK_MS, receipt_delay_ms=100, retry_ms=1000) as carrier,
        running_outside() as outside,
        running_daemon(
            {**SCALED, **outside.environment(), "HERMES_SMPP__ENQUIRE_EVERY": "0.5"},
            config=carrier.configure(WINDOW),
        ) as daemon,
    ):
        yield Stand(outside, carrier, daemon)


@pytest.mark.parametrize("how", list(How))
@pytest.mark.parametrize("store", list(ROWS))
async def test_a_minute_without_a_store_ends_no_process_and_loses_nothing(
    stand: Stand, store: str, how: How
) -> None:
    number = list(ROWS).index(store) * len(How) + list(How).index(how)
    async with loaded(stand, 4_670_000_000 + number * 1_000_000, WITHIN) as load:
        await ROWS[store](stand, load, Outage(store, how, AWAY))


async def test_a_minute_of_silence_with_thousands_queued_gives_the_sweeper_only_what_was_in_flight(
    stand: Stand,
) -> None:
    async with client_of(stand.daemon) as client:
        await queue_up(stand, client, 4_690_000_000, QUEUED, WITHIN)
        before = stand.swept()
        began = WALL()
        stand.control("POST", "/faults/black_hole", what="submits")
        for _ in range(KILLS):
            stage = stand.pid_of(STAGE)
            os.kill(stage, signal.SIGKILL)
            await until(partial(is_replaced, stand, stage), WITHIN)
            await asyncio.sleep(EVERY)
        after, rounds = stand.swept(), (WALL() - began) / RESPONSE_TIMEOUT + 1
        stand.control("DELETE", "/faults/black_hole")
        stand.control("PUT", "/settings", latency_ms=QUICK_MS)
        verdict = await judged(stand, client, WITHIN, most_extra=WINDOW)
    assert verdict.faults() == []
    assert after["admitted"] == before["admitted"]
    # a submit that got no answer in time is uncertain and makes room for the next: a window each
    assert after["jobs"] - before["jobs"] <= WINDOW * rounds


def is_replaced(stand: Stand, gone: int) -> bool:
    """Say whether the carrier stage is up again."""
    return stand.pid_of(STAGE) != gone
