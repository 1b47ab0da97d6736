"""The partition dispatcher, state by state."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.dispatcher import Dispatched
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.effects import ReportDiscarded, SendEvents
from hermes.stages.subscription import BadOptions


def dispatcher(partitions: Any = 2, *, all_to: int | None = None) -> PartitionDispatcher:
    return PartitionDispatcher(
        partitions, lambda event: (event, event % partitions if all_to is None else all_to)
    )


def state(of: PartitionDispatcher) -> tuple[int, int, dict[Any, int]]:
    return of.waiting, of.pending, of.demands


def test_subscribes_asks_and_cancels() -> None:
    made = dispatcher()
    made.subscribe("A", "a", {"partition": 0})
    assert made.ask("a", 10) == Dispatched(10)
    assert state(made) == (10, 0, {0: 10, 1: 0})
    assert made.cancel("a") == Dispatched()
    assert state(made) == (10, 10, {0: 0, 1: 0})

    made.subscribe("A", "b", {"partition": 1})
    assert made.ask("b", 5) == Dispatched(0)
    assert state(made) == (10, 5, {0: 0, 1: 5})
    assert made.cancel("b") == Dispatched()
    assert state(made) == (10, 10, {0: 0, 1: 0})


def test_subscribes_asks_and_dispatches() -> None:
    made = dispatcher(1)
    made.subscribe("A", "a", {"partition": 0})
    assert made.ask("a", 3) == Dispatched(3)
    assert made.dispatch((1,)) == Dispatched(effects=(SendEvents("A", "a", (1,)),))
    assert state(made) == (2, 0, {0: 2})
    assert made.ask("a", 3) == Dispatched(3)
    assert state(made) == (5, 0, {0: 5})
    sent = SendEvents("A", "a", (2, 5, 6, 7, 8))
    assert made.dispatch((2, 5, 6, 7, 8, 9, 11)) == Dispatched(leftover=(9, 11), effects=(sent,))
    assert state(made) == (0, 0, {0: 0})


def test_partitions_can_have_names() -> None:
    made = PartitionDispatcher(
        ["odd", "even"], lambda event: (event, "odd" if event % 2 else "even")
    )
    made.subscribe("A", "a", {"partition": "odd"})
    made.ask("a", 5)
    assert made.dispatch((5, 7, 8, 9, 11, 13)) == Dispatched(
        leftover=(13,), effects=(SendEvents("A", "a", (5, 7, 9, 11)),)
    )
    assert state(made) == (0, 0, {"odd": 1, "even": -1})


def test_the_hash_may_change_the_event_or_discard_it_uncounted() -> None:
    made = PartitionDispatcher(1, lambda event: (-event, 0) if event % 2 else None)
    made.subscribe("A", "a", {"partition": 0})
    made.ask("a", 2)
    assert made.dispatch((2, 1, 4, 3, 6, 5)) == Dispatched(
        leftover=(6, 5), effects=(SendEvents("A", "a", (-1, -3)),)
    )
    assert state(made) == (0, 0, {0: 0})


def test_buffers_events_before_subscription() -> None:
    made = dispatcher(all_to=0)
    made.subscribe("B", "b", {"partition": 1})
    assert made.ask("b", 5) == Dispatched(5)
    assert made.dispatch((1, 2, 5, 6, 7)) == Dispatched()
    assert state(made) == (0, 0, {0: -5, 1: 5})
    assert made.dispatch((8, 9)) == Dispatched(leftover=(8, 9))

    made.subscribe("A", "a", {"partition": 0})
    sent = SendEvents("A", "a", (1, 2, 5, 6, 7))
    assert made.ask("a", 5) == Dispatched(5, effects=(sent,))
    assert state(made) == (5, 0, {0: 0, 1: 5})
    assert made.dispatch((1, 2)) == Dispatched()
    assert state(made) == (3, 0, {0: -2, 1: 5})


def test_buffers_events_after_subscription() -> None:
    made = dispatcher(all_to=0)
    made.subscribe("A", "a", {"partition": 0})
    made.ask("a", 5)
    made.subscribe("B", "b", {"partition": 1})
    made.ask("b", 5)
    assert state(made) == (10, 0, {0: 5, 1: 5})

    assert made.dispatch((1, 2)) == Dispatched(effects=(SendEvents("A", "a", (1, 2)),))
    events = (5, 6, 7, 1, 2, 5, 6, 7)
    assert made.dispatch(events) == Dispatched(effects=(SendEvents("A", "a", (5, 6, 7)),))
    assert state(made) == (0, 0, {0: -5, 1: 5})
    sent = SendEvents("A", "a", (1, 2, 5, 6, 7))
    assert made.ask("a", 5) == Dispatched(5, effects=(sent,))
    assert state(made) == (5, 0, {0: 0, 1: 5})


def test_subscribes_asks_and_cancels_with_buffer() -> None:
    made = dispatcher(all_to=0)
    made.subscribe("B", "b", {"partition": 1})
    made.ask("b", 5)
    made.subscribe("A", "a", {"partition": 0})
    assert made.dispatch((1, 2, 5, 6, 7)) == Dispatched()
    assert state(made) == (0, 0, {0: -5, 1: 5})
    assert made.cancel("a") == Dispatched(5, effects=(ReportDiscarded(5, "partition_cancelled"),))
    assert state(made) == (5, 0, {0: 0, 1: 5})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "the option partition is required by a partition dispatcher"),
        ({"partition": -1}, "expected partition to be one of 0, 1, got: -1"),
        ({"partition": 2}, "expected partition to be one of 0, 1, got: 2"),
        ({"partition": "oops"}, "expected partition to be one of 0, 1, got: 'oops'"),
        ({"partition": 0}, "partition 0 is taken already by A"),
    ],
)
def test_an_unknown_or_taken_partition_raises(options: dict[str, Any], sentence: str) -> None:
    made = dispatcher()
    made.subscribe("A", "a", {"partition": 0})
    with pytest.raises(BadOptions, match=sentence):
        made.subscribe("B", "b", options)
    assert made.cancel("a") == Dispatched()


def test_a_hash_that_gives_an_unknown_partition_raises() -> None:
    made = dispatcher(all_to=7)
    made.subscribe("A", "a", {"partition": 0})
    made.ask("a", 1)
    with pytest.raises(BadOptions, match="the hash gave an unknown partition: 7"):
        made.dispatch((1,))


def test_a_dispatcher_without_partitions_is_refused() -> None:
    with pytest.raises(BadOptions, match="at least one partition"):
        PartitionDispatcher(0, lambda event: (event, 0))
