"""The broadcast dispatcher, state by state."""

from __future__ import annotations

import pytest

from hermes.stages.dispatcher import AlreadySubscribed, Dispatched
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.effects import SendEvents
from hermes.stages.subscription import BadOptions


def dispatcher(*tags: str) -> BroadcastDispatcher:
    made = BroadcastDispatcher()
    for tag in tags:
        assert made.subscribe(tag.upper(), tag, {}) == Dispatched()
    return made


def state(of: BroadcastDispatcher) -> tuple[dict[object, int], int, int]:
    return dict(of.demands), of.waiting, of.requested


def sent(events: tuple[int, ...], *tags: str) -> tuple[SendEvents, ...]:
    return tuple(SendEvents(tag.upper(), tag, events) for tag in tags)


def test_subscribes_and_cancels() -> None:
    made = dispatcher("a")
    assert state(made) == ({"a": 0}, 0, 0)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ({}, 0, 0)


def test_subscribes_asks_and_cancels() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    assert state(made) == ({"a": 0}, 10, 10)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ({}, 0, 10)
    assert made.dispatch((1, 2, 3)) == Dispatched(leftover=(1, 2, 3))
    assert state(made) == ({}, 0, 10)


def test_early_demand_waits_for_a_new_subscriber() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    made.subscribe("B", "b", {})
    assert state(made) == ({"a": 10, "b": 0}, 0, 10)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ({"b": 0}, 0, 10)
    assert made.ask("b", 10) == Dispatched(0)
    assert state(made) == ({"b": 0}, 10, 10)


def test_late_demand_is_freed_when_the_blocking_subscriber_leaves() -> None:
    made = dispatcher("a", "b")
    assert made.ask("a", 10) == Dispatched(0)
    assert state(made) == ({"a": 10, "b": 0}, 0, 0)
    assert made.cancel("b") == Dispatched(10)
    assert state(made) == ({"a": 0}, 10, 10)
    assert made.ask("a", 10) == Dispatched(10)
    assert state(made) == ({"a": 0}, 20, 20)


def test_subscribes_asks_and_dispatches_to_multiple_consumers() -> None:
    made = dispatcher("a", "b")
    assert made.ask("a", 3) == Dispatched(0)
    assert made.ask("b", 2) == Dispatched(2)
    assert state(made) == ({"a": 1, "b": 0}, 2, 2)

    assert made.dispatch((1, 2)) == Dispatched(effects=sent((1, 2), "a", "b"))
    assert state(made) == ({"a": 1, "b": 0}, 0, 0)

    assert made.ask("b", 2) == Dispatched(1)
    assert made.dispatch((3, 4)) == Dispatched(leftover=(4,), effects=sent((3,), "a", "b"))
    assert state(made) == ({"a": 0, "b": 1}, 0, 0)
    assert made.dispatch((4,)) == Dispatched(leftover=(4,))

    assert made.ask("a", 1) == Dispatched(1)
    made.subscribe("C", "c", {})
    assert made.dispatch((4, 5)) == Dispatched(leftover=(4, 5))
    assert state(made) == ({"a": 1, "b": 1, "c": 0}, 0, 1)

    assert made.ask("a", 2) == Dispatched(0)
    assert made.ask("b", 2) == Dispatched(0)
    assert made.ask("c", 3) == Dispatched(2)
    assert made.dispatch((4, 5, 6)) == Dispatched(effects=sent((4, 5, 6), "a", "b", "c"))
    assert state(made) == ({"a": 0, "b": 0, "c": 0}, 0, 0)


def test_demand_upstream_is_not_doubled_for_a_new_subscriber() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    assert made.dispatch((1, 2, 3)) == Dispatched(effects=sent((1, 2, 3), "a"))
    assert state(made) == ({"a": 0}, 7, 7)
    made.subscribe("B", "b", {})
    assert state(made) == ({"a": 7, "b": 0}, 0, 7)
    assert made.ask("b", 20) == Dispatched(0)
    assert state(made) == ({"a": 0, "b": 13}, 7, 7)
    events = (4, 5, 6, 7, 8, 9, 10)
    assert made.dispatch(events) == Dispatched(effects=sent(events, "a", "b"))
    assert state(made) == ({"a": 0, "b": 13}, 0, 0)


def test_reuses_events_for_another_subscriber_after_cancel() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    made.cancel("a")
    made.subscribe("B", "b", {})
    assert state(made) == ({"b": 0}, 0, 10)
    assert made.ask("b", 5) == Dispatched(0)
    assert state(made) == ({"b": 0}, 5, 10)
    assert made.dispatch((1, 2, 3)) == Dispatched(effects=sent((1, 2, 3), "b"))
    assert state(made) == ({"b": 0}, 2, 7)


def test_cancels_blocking_subscriber_while_there_is_already_a_requested_demand() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    made.subscribe("B", "b", {})
    assert made.ask("a", 5) == Dispatched(0)
    assert state(made) == ({"a": 15, "b": 0}, 0, 10)
    assert made.cancel("b") == Dispatched(5)
    assert state(made) == ({"a": 0}, 15, 15)


def test_a_selector_keeps_events_from_a_consumer_and_asks_again_for_it() -> None:
    made = BroadcastDispatcher()
    made.subscribe("A", "a", {"selector": lambda event: event < 3})
    made.subscribe("B", "b", {"selector": lambda event: event < 2})
    made.subscribe("C", "c", {"selector": lambda event: event < 0})
    for tag in ("a", "b", "c"):
        made.ask(tag, 4)
    assert made.dispatch((0, 1, 2, 3)) == Dispatched(
        effects=(SendEvents("A", "a", (0, 1, 2)), SendEvents("B", "b", (0, 1))),
        refused=(("a", 1), ("b", 2), ("c", 4)),
    )


def test_a_selector_has_to_be_a_function() -> None:
    made = BroadcastDispatcher()
    with pytest.raises(BadOptions, match="selector to be a function of one event, got: 'x'"):
        made.subscribe("A", "a", {"selector": "x"})
    assert state(made) == ({}, 0, 0)


def test_a_process_subscribes_once() -> None:
    made = dispatcher("a")
    with pytest.raises(AlreadySubscribed, match="A is subscribed to this broadcast already"):
        made.subscribe("A", "again", {})
    assert state(made) == ({"a": 0}, 0, 0)
    made.cancel("a")
    made.subscribe("A", "again", {})
    assert state(made) == ({"again": 0}, 0, 0)
