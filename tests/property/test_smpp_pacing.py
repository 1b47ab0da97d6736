"""Pacing finds a carrier's rate by itself, and keeps between its floor and its ceiling."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hermes.smpp.pacing import MIN_RATE, Pacing
from tests.property.pacing_carrier import (
    FixedWindow,
    Limit,
    QueueFull,
    SlidingWindow,
    TokenBucket,
    send,
)

CAP = 20.0
LONGEST_WAIT = 5.0
LATENCY = st.floats(0.002, 0.2)
WINDOW = st.integers(1, 50)


def limits(period: float, offset: float) -> dict[str, Limit]:
    return {
        "token bucket": TokenBucket(CAP, period),
        "fixed window": FixedWindow(CAP, period, offset),
        "sliding window": SlidingWindow(CAP, period),
    }


@pytest.mark.parametrize("kind", ["token bucket", "fixed window", "sliding window"])
@pytest.mark.parametrize(("period", "seconds"), [(1.0, 17.0), (0.1, 18.0)])
def test_300_messages_pass_an_unconfigured_cap_of_20_a_second(
    kind: str, period: float, seconds: float
) -> None:
    for latency in (0.005, 0.02, 0.05, 0.1, 0.2):
        for window in (10, 50):
            for offset in (0.0, period / 4, period / 2, period * 0.9):
                limit = limits(period, offset)[kind]
                run = send(limit, 300, window=window, latency=latency)
                place = f"latency {latency}, window {window}, offset {offset}"
                assert run.seconds <= seconds, place
                # past the windows that are under way when the first refusal comes, few are refused
                assert run.throttled <= 8 * window + 130, place


@settings(max_examples=500, deadline=None)
@given(
    kind=st.sampled_from(["token bucket", "fixed window", "sliding window"]),
    period=st.sampled_from([1.0, 0.1]),
    offset=st.floats(0, 0.99),
    latency=LATENCY,
    window=WINDOW,
)
def test_any_latency_and_window_reaches_three_quarters_of_what_they_allow(
    kind: str, period: float, offset: float, latency: float, window: int
) -> None:
    run = send(limits(period, offset * period)[kind], 300, window=window, latency=latency)
    possible = min(CAP, window / latency)
    assert run.seconds <= 300 / possible / 0.75 + 1


@settings(max_examples=100, deadline=None)
@given(max_rate=st.floats(1, 200), latency=LATENCY, window=WINDOW)
def test_a_ceiling_is_never_passed(max_rate: float, latency: float, window: int) -> None:
    run = send(TokenBucket(1000, 1), 150, window=window, latency=latency, pacing=Pacing(max_rate))
    for place, at in enumerate(run.submits):
        in_a_second = place - bisect_left(run.submits, at - 1 + 1e-9) + 1
        assert in_a_second <= max_rate * 1.01 + 2


@pytest.mark.parametrize("seconds", [3.0, 10.0, 30.0])
def test_a_full_queue_pauses_the_sender_and_it_comes_back_at_nine_tenths(seconds: float) -> None:
    pacing = Pacing(50.0)
    run = send(QueueFull(2.0, 2.0 + seconds), 200, pacing=pacing, queue_full=True)
    probes = [at for at in run.submits if 102.2 < at < 102 + seconds]
    assert len(probes) <= 4 + seconds / 5
    assert run.seconds <= 4 + seconds + 5.5
    assert pacing.rate == pytest.approx(50.0, rel=0.2)


def test_a_probe_without_an_answer_does_not_stop_the_bind() -> None:
    pacing = Pacing()
    pacing.on_submit(0.0)
    pacing.on_queue_full(0.1)
    assert pacing.probing
    assert pacing.delay(0.1) == pytest.approx(0.5)
    pacing.on_submit(0.6)
    assert pacing.delay(0.6) == pytest.approx(5.0)
    assert pacing.delay(5.6) == 0.0


def test_a_window_of_refusals_reduces_the_rate_once() -> None:
    pacing = Pacing()
    for _ in range(10):
        pacing.on_submit(1.0)
    for _ in range(10):
        pacing.on_throttle(1.05, 0.05)
    assert pacing.rate == pytest.approx(100.0)  # 10 in 50 ms, halved once
    assert pacing.delay(1.05) == pytest.approx(0.01)


def test_an_idle_bind_does_not_grow_and_forgets_nothing() -> None:
    pacing = Pacing()
    send(TokenBucket(CAP, 1), 300, pacing=pacing)
    learned = pacing.rate
    assert learned is not None
    for hour in range(1, 25):
        pacing.on_submit(200.0 + hour * 3600)
        pacing.on_accept(200.05 + hour * 3600, 0.05)
    assert pacing.rate == pytest.approx(learned, rel=0.2)


def test_a_trickle_before_a_burst_does_not_look_like_a_slow_carrier() -> None:
    pacing = Pacing()
    for second in range(600):
        pacing.on_submit(100 + second / 2)
        pacing.on_accept(100.05 + second / 2, 0.05)
    for _ in range(10):
        pacing.on_submit(400.0)
    pacing.on_throttle(400.05, 0.05)
    assert pacing.rate is not None
    assert pacing.rate > CAP


class PacingMachine(RuleBasedStateMachine):
    """Any order of calls leaves the rate between floor and ceiling and the wait finite."""

    ceiling = 40.0

    def __init__(self) -> None:
        super().__init__()
        self.free, self.capped = Pacing(), Pacing(self.ceiling)
        self.now = 50.0

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(times=st.integers(1, 50))
    def submit(self, times: int) -> None:
        for pacing in (self.free, self.capped):
            for _ in range(times):
                if pacing.delay(self.now) == 0:
                    pacing.on_submit(self.now)

    @rule(latency=st.floats(0, 50), times=st.integers(1, 50))
    def accept(self, latency: float, times: int) -> None:
        for pacing in (self.free, self.capped):
            for _ in range(times):
                pacing.on_accept(self.now, latency)

    @rule(latency=st.floats(0, 50))
    def throttle(self, latency: float) -> None:
        for pacing in (self.free, self.capped):
            before = pacing.rate
            pacing.on_throttle(self.now, latency)
            after = pacing.rate
            assert before is None or (after is not None and after <= max(before, MIN_RATE))

    @rule()
    def queue_full(self) -> None:
        for pacing in (self.free, self.capped):
            pacing.on_queue_full(self.now)
            assert pacing.probing

    @invariant()
    def rate_is_between_floor_and_ceiling(self) -> None:
        assert self.free.rate is None or self.free.rate >= MIN_RATE
        assert self.capped.rate is not None
        assert MIN_RATE <= self.capped.rate <= self.ceiling

    @invariant()
    def wait_is_finite(self) -> None:
        # a float near `now` keeps less than a nanosecond of it
        assert 0 <= self.free.delay(self.now) <= LONGEST_WAIT + 1e-9
        assert 0 <= self.capped.delay(self.now) <= LONGEST_WAIT + 1e-9


TestPacing = PacingMachine.TestCase
TestPacing.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)


def test_a_congested_carrier_is_not_sent_to_faster_and_a_crowded_one_slower() -> None:
    pacing = Pacing()
    now = 0.0
    for _ in range(200):
        pacing.on_submit(now)
        pacing.on_accept(now, 0.0)
        now += 0.01
    pacing.on_congestion(now, 100)
    learned = pacing.rate
    assert learned is not None
    for level, bound in ((85, learned), (95, learned * 0.96)):
        for _ in range(300):
            now += max(pacing.delay(now), 0.001)
            pacing.on_submit(now)
            pacing.on_accept(now, 0.0)
            pacing.on_congestion(now, level)
        assert pacing.rate is not None
        assert pacing.rate <= bound
    shrunk = pacing.rate
    assert shrunk is not None
    for _ in range(300):
        now += max(pacing.delay(now), 0.001)
        pacing.on_submit(now)
        pacing.on_congestion(now, 10)
    assert pacing.rate is None or pacing.rate > shrunk
