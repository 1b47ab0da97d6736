"""The arithmetic of demand."""

from __future__ import annotations

import pytest

from hermes.stages.demand import Batch, HeldDemand, Split, split_batches


@pytest.mark.parametrize(
    ("events", "low", "high", "demand", "expected"),
    [
        (10, 5, 10, 10, Split(10, (Batch(5, 5), Batch(5, 5)), 0)),  # two batches, two asks
        (3, 5, 10, 10, Split(7, (Batch(3, 0),), 0)),  # too few to ask
        (4, 5, 10, 7, Split(10, (Batch(4, 7),), 0)),  # then down to 3: ask for 7
        (1, 0, 1, 1, Split(1, (Batch(1, 1),), 0)),  # one at a time
        (0, 5, 10, 10, Split(10, (), 0)),
        (3, 0, 1, 1, Split(1, (Batch(1, 1), Batch(1, 0), Batch(1, 0)), 2)),  # excess: no credit
        (7, 5, 10, 10, Split(8, (Batch(5, 5), Batch(2, 0)), 0)),
    ],
)
def test_events_are_cut_into_batches_with_their_asks(
    events: int, low: int, high: int, demand: int, expected: Split
) -> None:
    assert split_batches(events, low, high, demand) == expected


def test_held_events_count_against_the_maximum() -> None:
    demand, excess = HeldDemand(max_demand=1, min_demand=0).take(1)
    assert (demand.held, excess) == (1, 0)
    assert demand.take(2) == (HeldDemand(1, 0, held=3), 2)
    assert demand.finish() == (HeldDemand(1, 0), 1)


def test_held_demand_asks_again_when_as_many_as_the_minimum_are_finished() -> None:
    demand, _ = HeldDemand(max_demand=3, min_demand=2).take(3)
    demand, ask = demand.finish()
    assert ask == 0
    demand, ask = demand.finish()
    assert (ask, demand) == (2, HeldDemand(3, 2, held=1))


def test_held_demand_with_minimum_zero_asks_for_nothing_until_something_is_finished() -> None:
    demand, excess = HeldDemand(max_demand=3, min_demand=0).take(2)
    assert excess == 0
    assert demand.finish(0) == (demand, 0)
    assert demand.finish(2) == (HeldDemand(3, 0), 2)
