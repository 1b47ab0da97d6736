"""A bind finds a carrier's pace by itself: all accepted, in order, no attempt spent, no stall."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.contract.link_client import ENGINES
from tests.faults.held_bind import LimitedCarrier, held
from tests.faults.socket_loop import LATE, ON_SOCKETS, STALLS
from tests.property.pacing_carrier import (
    FixedWindow,
    Limit,
    QueueFull,
    SlidingWindow,
    TokenBucket,
)

pytestmark = pytest.mark.parametrize("engine", ENGINES)

CAP = 20.0
MANY, WITHIN = (1_000, 40.0) if ON_SOCKETS else (2_000, 400.0)
"""Messages to a carrier that throttles one in twenty, and seconds; 2,000 take five minutes."""
LOOK = 5.0 if ON_SOCKETS else 1.0
"""Seconds over which a rate is counted: in real time answers come in gusts."""
LIMITS = {
    "token bucket": TokenBucket,
    "fixed window": FixedWindow,
    "sliding window": SlidingWindow,
}


class EveryTwentieth:
    """Refuses one submit in twenty, however slowly they come."""

    def __init__(self) -> None:
        self.count = 0

    def accepts(self, now: float) -> bool:
        """Whether this one is taken."""
        self.count += 1
        return self.count % 20 != 0


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize(("burst", "seconds"), [(1.0, 17.0), (0.1, 18.0)])
async def test_300_messages_pass_a_cap_of_20_a_second_that_nobody_configured(
    engine: str, kind: str, burst: float, seconds: float
) -> None:
    limit: Limit = LIMITS[kind](CAP, burst)
    carrier = LimitedCarrier(limit)
    async with held(engine, carrier) as bind:
        bind.send(300)
        await bind.until_idle()
        assert carrier.seen.numbers == list(range(300))
        assert carrier.seen.accepted[-1][0] - carrier.began <= seconds + STALLS
        assert carrier.seen.is_in_order
        assert bind.kinds == ["sent"] * 300, "no attempt was spent on a throttle"
        assert len(carrier.seen.binds) == 1


async def test_five_percent_throttled_are_all_accepted(engine: str) -> None:
    carrier = LimitedCarrier(EveryTwentieth(), latency=0.02)
    async with held(engine, carrier) as bind:
        bind.send(MANY)
        await bind.until_idle()
        assert carrier.seen.numbers == list(range(MANY))
        assert carrier.seen.refused == MANY // 19
        assert carrier.seen.is_in_order
        assert bind.kinds == ["sent"] * MANY
        times = [at for at, _, _ in carrier.seen.accepted]
        longest = max(later - earlier for earlier, later in pairwise(times))
        assert longest < 2.5 + LATE, "it never stalls"
        assert times[-1] - carrier.began < WITHIN


@pytest.mark.parametrize("seconds", [10.0, 30.0])
async def test_a_full_queue_makes_a_pause_and_nine_tenths_of_the_rate_are_back_soon(
    engine: str, seconds: float
) -> None:
    begin, end = 5.0, 5.0 + seconds
    carrier = LimitedCarrier(QueueFull(begin, end), status=0x14, latency=0.2)
    async with held(engine, carrier, window=5) as bind:
        bind.send(600)
        await bind.until_idle()
        seen, at = carrier.seen, carrier.began
        assert seen.numbers == list(range(600))
        assert seen.is_in_order
        assert bind.kinds == ["sent"] * 600
        before = seen.rate(at + 1, at + begin)
        assert seen.rate(at + end + 14, at + end + 14 + LOOK) >= 0.9 * before
        assert seen.refused <= 5 + 4 + seconds / 5, "one probe at a time"
