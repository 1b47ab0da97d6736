"""A bind that every host holds makes more sessions than the profile has binds: same contract."""

from __future__ import annotations

import asyncio

import pytest

from hermes.testing.daemon_process import client_of
from tests.system.hosts import most_in_a_second, running_hosts
from tests.system.outage import WALL, judged

pytestmark = pytest.mark.chaos

MAX_RATE = 60.0
EACH = 300
WITHIN = 60.0
SLACK = 1.15
EXTRA = 4


async def test_binds_of_every_host_keep_the_contract_rate_in_sum_and_use_it() -> None:
    with running_hosts(((),), MAX_RATE) as hosts:
        began = WALL()
        async with client_of(hosts.a.daemon) as at_a, client_of(hosts.b.daemon) as at_b:
            await asyncio.gather(
                at_a.send_many(EACH, 4_680_000_000), at_b.send_many(EACH, 4_681_000_000)
            )
            at_b.accepted |= at_a.accepted
            verdict = await judged(hosts.b, at_b, WITHIN)
        submits = hosts.a.lines("submit", began, WALL())
    assert verdict.faults() == []
    assert len({line["session"] for line in submits}) == 2
    times = [line["at"] for line in submits]
    assert most_in_a_second(times) <= MAX_RATE * SLACK + EXTRA
    assert len(times) / (times[-1] - times[0]) >= MAX_RATE * 0.8
