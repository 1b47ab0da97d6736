"""Rates, pressure and credits in this process, with a clock that is an argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hermes.ports.rate_limits import (
    CREDIT_LIFE_S,
    LONGEST_RETRY_S,
    NO_CREDITS_RETRY_S,
    PRESSURE_LIFE_S,
    SHARE,
    CreditRequest,
    Grant,
    Pressure,
    Slice,
)


@dataclass(slots=True)
class Credit:
    """One host's credits for a carrier in this second."""

    left: int
    size: int
    rate: float
    at: float


class MemoryRateLimits:
    """Implements RateLimits; `now` gives seconds that never go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}
        self._pressures: dict[tuple[str, str], tuple[Pressure, float]] = {}
        self._credits: dict[tuple[str, str], Credit] = {}
        self._used: dict[tuple[str, str], tuple[int, int]] = {}

    async def take_rate(self, carrier: str, rate: float, burst: int, wanted: int) -> Slice:
        """See `RateLimits.take_rate`."""
        now = self._now()
        tokens, at = self._buckets.get(carrier, (float(burst), now))
        tokens = min(burst, tokens + (now - at) * rate)
        granted = min(wanted, math.floor(tokens))
        self._buckets[carrier] = tokens - granted, now
        return Slice(granted, 0.0 if granted else (1 - tokens) / rate)

    async def publish_pressure(self, pressure: Pressure) -> None:
        """See `RateLimits.publish_pressure`."""
        ends = self._now() + PRESSURE_LIFE_S
        self._pressures[pressure.carrier, pressure.host] = pressure, ends

    async def pressures(self) -> list[Pressure]:
        """See `RateLimits.pressures`."""
        now = self._now()
        return [told for _, (told, ends) in sorted(self._pressures.items()) if ends > now]

    async def refill(self, carrier: str, host: str, segments: int, rate: float) -> None:
        """See `RateLimits.refill`."""
        before = self._credits.get((carrier, host))
        debt = 0 if before is None or self._is_over(before) else min(0, before.left)
        self._credits[carrier, host] = Credit(segments + debt, segments, rate, self._now())

    async def take(self, requests: Sequence[CreditRequest]) -> list[Grant]:
        """See `RateLimits.take`."""
        second = math.floor(self._now())
        for carrier, tenant, _ in requests:
            if self._used.get((carrier, tenant), (-1, 0))[0] != second:
                self._used[carrier, tenant] = second, 0
        return [self._grant(request, second) for request in requests]

    def _grant(self, request: CreditRequest, second: int) -> Grant:
        carrier, tenant, segments = request
        hosts = [
            credit
            for (name, _), credit in self._credits.items()
            if name == carrier and not self._is_over(credit)
        ]
        if not hosts:
            return Grant(granted=False, retry_after_s=NO_CREDITS_RETRY_S)
        left = sum(credit.left for credit in hosts)
        if left <= 0:
            rate = sum(credit.rate for credit in hosts)
            wait = (1 - left) / rate if rate > 0 else LONGEST_RETRY_S
            return Grant(granted=False, retry_after_s=max(1.0, min(LONGEST_RETRY_S, wait)))
        size = sum(credit.size for credit in hosts)
        active = [
            name
            for (name, _), (at, _) in self._used.items()
            if name == carrier and at >= second - 1
        ]
        share = math.ceil(size * SHARE) if len(active) > 1 else size
        used = self._used[carrier, tenant][1]
        if used >= share:
            return Grant(granted=False, retry_after_s=1.0)
        max(hosts, key=lambda credit: credit.left).left -= segments
        self._used[carrier, tenant] = second, used + segments
        return Grant(granted=True)

    def _is_over(self, credit: Credit) -> bool:
        return self._now() - credit.at >= CREDIT_LIFE_S
