"""The restart window counts exactly the restarts of the last period, its edge included."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisors.intensity import Intensity, RestartWindow


@settings(max_examples=500)
@given(
    steps=st.lists(st.integers(0, 6), max_size=30),
    max_restarts=st.integers(0, 5),
    period=st.integers(1, 12),
)
def test_a_window_is_exceeded_by_one_restart_too_many_within_the_period(
    steps: list[int], max_restarts: int, period: int
) -> None:
    window = RestartWindow(Intensity(max_restarts, float(period)))
    now, entered = 0.0, []
    for step in steps:
        now += step
        entered.append(now)
        window = window.add(now)
        recent = [at for at in entered if now - at <= period]
        assert window.recent(now) == tuple(reversed(recent))
        assert window.is_exceeded is (len(recent) > max_restarts)
