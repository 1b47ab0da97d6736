"""The caps of the simulated SMSC: never more than they allow, never much less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.simulator.throughput import CapKind, FixedWindow, new_cap

GAPS = st.lists(st.floats(0, 0.5, allow_nan=False), min_size=1, max_size=300)
RATES = st.floats(0.5, 500, allow_nan=False)
BURSTS = st.floats(0.01, 3, allow_nan=False)
SLACK = 1e-6


def admitted(kind: CapKind, tps: float, burst_s: float, gaps: list[float]) -> list[float]:
    """The times at which a caller who tries after each gap is let through."""
    cap = new_cap(kind, tps, burst_s)
    assert cap is not None
    now, times = 0.0, []
    for gap in gaps:
        now += gap
        if cap.admit(now):
            times.append(now)
    return times


@given(RATES, BURSTS, GAPS)
def test_a_sliding_window_never_exceeds_its_limit_in_any_period(
    tps: float, burst_s: float, gaps: list[float]
) -> None:
    limit = int(max(1.0, tps * burst_s))
    times = admitted(CapKind.sliding, tps, burst_s, gaps)
    for first, after in zip(times, times[limit:], strict=False):
        assert after - first >= limit / tps - SLACK


@given(RATES, BURSTS, GAPS)
def test_a_fixed_window_never_exceeds_its_limit_between_two_borders(
    tps: float, burst_s: float, gaps: list[float]
) -> None:
    limit = int(max(1.0, tps * burst_s))
    per_window: dict[int, int] = {}
    for at in admitted(CapKind.fixed, tps, burst_s, gaps):
        index = int(at // (limit / tps))
        per_window[index] = per_window.get(index, 0) + 1
    assert max(per_window.values(), default=0) <= limit


@given(RATES, BURSTS, GAPS)
def test_a_bucket_never_gives_more_than_its_burst_and_the_rate(
    tps: float, burst_s: float, gaps: list[float]
) -> None:
    burst = max(1.0, tps * burst_s)
    times = admitted(CapKind.bucket, tps, burst_s, gaps)
    for begin in range(len(times)):
        for end in range(begin, len(times)):
            count = end - begin + 1
            assert count <= burst + tps * (times[end] - times[begin]) + SLACK


@given(st.sampled_from(CapKind), st.floats(1, 200), st.floats(0.05, 2))
def test_a_caller_who_never_stops_trying_gets_the_rate(
    kind: CapKind, tps: float, burst_s: float
) -> None:
    step = 1 / (tps * 20)
    count = int(20 * tps * 20)
    got = len(admitted(kind, tps, burst_s, [step] * count))
    spell = count * step
    burst = max(1.0, tps * burst_s)
    # trying in steps loses at most one step in each period
    assert spell * tps * 0.9 - burst - 1 <= got <= spell * tps + 2 * burst + 1


@given(RATES, BURSTS, GAPS, st.sampled_from(CapKind))
def test_a_refused_try_costs_nothing(
    tps: float, burst_s: float, gaps: list[float], kind: CapKind
) -> None:
    cap, eager = new_cap(kind, tps, burst_s), new_cap(kind, tps, burst_s)
    assert cap is not None
    assert eager is not None
    now = 0.0
    for gap in gaps:
        now += gap
        allowed = cap.admit(now)
        assert eager.admit(now) is allowed
        if not allowed:
            assert eager.admit(now) is False


def test_two_bursts_of_a_fixed_window_may_meet_at_its_border() -> None:
    cap = FixedWindow(limit=3, period=1.0)
    assert [cap.admit(0.99) for _ in range(4)] == [True, True, True, False]
    assert [cap.admit(1.01) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("kind", CapKind)
def test_a_rate_of_nothing_is_no_cap(kind: CapKind) -> None:
    assert new_cap(kind, 0, 1) is None


@pytest.mark.parametrize(
    ("kind", "burst_s", "at_once"),
    [
        (CapKind.bucket, 1.0, 20),
        (CapKind.bucket, 0.1, 2),
        (CapKind.fixed, 1.0, 20),
        (CapKind.fixed, 0.1, 2),
        (CapKind.sliding, 1.0, 20),
        (CapKind.sliding, 0.1, 2),
        (CapKind.sliding, 0.001, 1),  # stretched until one submit fits
    ],
)
def test_the_burst_is_so_many_seconds_of_the_rate(
    kind: CapKind, burst_s: float, at_once: int
) -> None:
    cap = new_cap(kind, 20, burst_s)
    assert cap is not None
    assert [cap.admit(50.0) for _ in range(30)].count(True) == at_once
