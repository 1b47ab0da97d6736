"""A carrier's contract rate: one bucket in memory for its binds on all hosts, taken in slices."""

from __future__ import annotations

from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.ports.rate_limits import RateLimits

BURST_S = 0.05
SHORTEST_WAIT_S = 0.02
RETRY_S = 0.5


class Unlimited:
    """No contract rate: the learned pace decides alone."""

    async def delay(self, _wanted: int) -> float:
        """Give the seconds until one segment may go, 0 for now."""
        return 0.0

    def spend(self) -> None:
        """A segment went out."""


class ContractRate(Unlimited):
    """What one bind may send now; it takes no more than it sends at once.

    In any second all binds together send `max_rate` and one burst (5 % of it) at most. While
    memory is away nothing may go.
    """

    def __init__(self, limits: RateLimits, carrier: str, max_rate: float) -> None:
        self.limits, self.carrier, self.max_rate = limits, carrier, max_rate
        self.burst = max(1, round(max_rate * BURST_S))
        self.left = 0

    async def delay(self, wanted: int) -> float:
        """Give the seconds until one segment may go, 0 for now."""
        if self.left > 0:
            return 0.0
        try:
            self.left, wait_s = await self.limits.take_rate(
                self.carrier, self.max_rate, self.burst, wanted
            )
        except StoreUnavailable:
            return RETRY_S
        return 0.0 if self.left else max(SHORTEST_WAIT_S, wait_s)

    def spend(self) -> None:
        """A segment went out."""
        self.left -= 1


def contract_of(carrier: Carrier, limits: RateLimits) -> Unlimited:
    """Give the contract rate of a carrier."""
    if carrier.max_rate is None:
        return Unlimited()
    return ContractRate(limits, carrier.id, carrier.max_rate)
