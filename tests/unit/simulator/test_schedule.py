"""What is due comes in order of time, first in first out among equals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes.simulator.schedule import Schedule


@given(st.lists(st.integers(0, 5)), st.integers(0, 5))
def test_everything_due_comes_once_in_order(times: list[int], now: int) -> None:
    schedule: Schedule[tuple[int, int]] = Schedule()
    for number, due in enumerate(times):
        schedule.add(due, (due, number))
    assert schedule.next_due() == (min(times) if times else None)
    due_now = schedule.pop_due(now)
    assert due_now == sorted(thing for thing in enumerate_due(times) if thing[0] <= now)
    assert len(schedule) == len(times) - len(due_now)
    assert schedule.pop_due(now) == []


def enumerate_due(times: list[int]) -> list[tuple[int, int]]:
    return [(due, number) for number, due in enumerate(times)]


def test_keeping_some_leaves_them_in_order() -> None:
    schedule: Schedule[int] = Schedule()
    for thing in (5, 3, 4, 1, 2):
        schedule.add(thing, thing)
    schedule.keep(lambda thing: thing % 2 == 1)
    assert schedule.pop_due(9) == [1, 3, 5]
    schedule.add(1, 1)
    schedule.clear()
    assert schedule.next_due() is None
