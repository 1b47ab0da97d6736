"""Binds on several hosts that share a contract rate send it in sum, and no more."""

from __future__ import annotations

import pytest

from actors.contract_rate import BURST_S, ContractRate, Unlimited, contract_of
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.ports.rate_limits import Slice
from hermes.testing.memory_rate_limits import MemoryRateLimits

STEP = 0.005


class Away(MemoryRateLimits):
    """A memory nobody reaches."""

    async def take_rate(self, carrier: str, rate: float, burst: int, wanted: int) -> Slice:
        """Fail."""
        raise StoreUnavailable("redis", "not connected")


async def sent_by(binds: list[ContractRate], clock: list[float], seconds: float) -> list[float]:
    """Give when the binds, each with work at all times, send within so many seconds."""
    sent: list[float] = []
    due = [0.0 for _ in binds]
    while clock[0] < seconds:
        for index, bind in enumerate(binds):
            while due[index] <= clock[0]:
                wait = await bind.delay(10)
                if wait > 0.0:
                    due[index] = clock[0] + wait
                    break
                bind.spend()
                sent.append(clock[0])
        clock[0] += STEP
    return sent


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("rate", [7.0, 60.0, 500.0])
async def test_binds_in_sum_keep_the_contract_rate_and_use_it(rate: float, count: int) -> None:
    clock = [0.0]
    limits = MemoryRateLimits(lambda: clock[0])
    binds = [ContractRate(limits, "sim", rate) for _ in range(count)]
    sent = await sent_by(binds, clock, 5.0)
    starts = [step * 0.1 for step in range(41)]
    most = max(sum(start <= at < start + 1.0 for at in sent) for start in starts)
    assert most <= rate * (1 + BURST_S) + 2
    assert len(sent) >= rate * 5.0 * 0.9


async def test_nothing_goes_while_memory_is_away() -> None:
    assert await ContractRate(Away(lambda: 0.0), "sim", 10.0).delay(1) > 0.0


async def test_a_carrier_without_a_contract_rate_is_not_held_back() -> None:
    contract = contract_of(Carrier(id="sim"), Away(lambda: 0.0))
    assert type(contract) is Unlimited
    assert await contract.delay(1) == 0.0
