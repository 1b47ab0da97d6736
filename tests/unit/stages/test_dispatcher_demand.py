"""The demand dispatcher, state by state."""

from __future__ import annotations

from hermes.stages.dispatcher import Dispatched
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.effects import SendEvents, Warn


def dispatcher(*tags: str) -> DemandDispatcher:
    made = DemandDispatcher()
    for tag in tags:
        assert made.subscribe(tag.upper(), tag, {}) == Dispatched()
    return made


def state(of: DemandDispatcher) -> tuple[list[tuple[int, object]], int, int | None]:
    return of.demands, of.pending, of.max_demand


def test_subscribes_and_cancels() -> None:
    made = dispatcher("a")
    assert state(made) == ([(0, "a")], 0, None)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ([], 0, None)


def test_subscribes_asks_and_cancels() -> None:
    made = dispatcher("a")
    assert made.ask("a", 10) == Dispatched(10)
    assert state(made) == ([(10, "a")], 0, 10)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ([], 10, 10)

    made.subscribe("A", "b", {})
    assert state(made) == ([(0, "b")], 10, 10)
    assert made.ask("b", 5) == Dispatched(0)
    assert state(made) == ([(5, "b")], 5, 10)
    assert made.cancel("b") == Dispatched()
    assert state(made) == ([], 10, 10)


def test_subscribes_asks_and_dispatches() -> None:
    made = dispatcher("a")
    assert made.ask("a", 3) == Dispatched(3)
    assert made.dispatch((1,)) == Dispatched(effects=(SendEvents("A", "a", (1,)),))
    assert state(made) == ([(2, "a")], 0, 3)

    assert made.ask("a", 3) == Dispatched(3)
    assert state(made) == ([(5, "a")], 0, 3)
    sent = SendEvents("A", "a", (2, 3, 4, 5, 6))
    assert made.dispatch((2, 3, 4, 5, 6, 7, 8)) == Dispatched(leftover=(7, 8), effects=(sent,))
    assert state(made) == ([(0, "a")], 0, 3)
    assert made.dispatch((9, 10)) == Dispatched(leftover=(9, 10))
    assert state(made) == ([(0, "a")], 0, 3)


def test_consumers_are_sorted_by_demand() -> None:
    made = dispatcher("a", "b", "c")
    assert [made.ask("a", 4), made.ask("b", 2), made.ask("c", 3)] == [
        Dispatched(4),
        Dispatched(2),
        Dispatched(3),
    ]
    assert state(made) == ([(4, "a"), (3, "c"), (2, "b")], 0, 4)
    assert made.ask("c", 2) == Dispatched(2)
    assert state(made) == ([(5, "c"), (4, "a"), (2, "b")], 0, 4)
    assert made.ask("b", 4) == Dispatched(4)
    assert state(made) == ([(6, "b"), (5, "c"), (4, "a")], 0, 4)


def test_dispatches_to_multiple_consumers() -> None:
    made = dispatcher("a", "b")
    made.ask("a", 3)
    made.ask("b", 2)
    assert made.dispatch((1, 2, 3, 4, 5)) == Dispatched(
        effects=(SendEvents("A", "a", (1, 2, 3)), SendEvents("B", "b", (4, 5)))
    )
    assert made.dispatch((1, 2, 3)) == Dispatched(leftover=(1, 2, 3))
    assert state(made) == ([(0, "a"), (0, "b")], 0, 3)

    made.ask("a", 3)
    made.ask("b", 3)
    assert state(made) == ([(3, "a"), (3, "b")], 0, 3)
    assert made.dispatch((1, 2)) == Dispatched(effects=(SendEvents("A", "a", (1, 2)),))
    assert state(made) == ([(3, "b"), (1, "a")], 0, 3)
    assert made.dispatch((3, 4)) == Dispatched(effects=(SendEvents("B", "b", (3, 4)),))
    assert state(made) == ([(1, "a"), (1, "b")], 0, 3)
    assert made.dispatch((5, 6, 7)) == Dispatched(
        leftover=(7,), effects=(SendEvents("A", "a", (5,)), SendEvents("B", "b", (6,)))
    )
    assert state(made) == ([(0, "a"), (0, "b")], 0, 3)


def test_subscribes_twice_asks_twice_and_cancels_one() -> None:
    made = dispatcher("a", "b")
    made.ask("a", 3)
    made.ask("b", 2)
    assert made.cancel("a") == Dispatched()
    assert state(made) == ([(2, "b")], 3, 3)
    assert made.ask("b", 2) == Dispatched(0)
    assert state(made) == ([(4, "b")], 1, 3)
    assert made.ask("b", 2) == Dispatched(1)
    assert state(made) == ([(6, "b")], 0, 3)


def test_leftovers_use_up_the_demand_of_consumers_that_left() -> None:
    made = dispatcher("a")
    made.ask("a", 10)
    made.cancel("a")
    assert made.dispatch((1, 2, 3)) == Dispatched(leftover=(1, 2, 3))
    assert state(made) == ([], 7, 10)
    assert made.dispatch(tuple(range(20))).leftover == tuple(range(20))
    assert state(made) == ([], 0, 10)


def test_warns_on_demand_mismatch() -> None:
    made = dispatcher("a", "b")
    assert made.ask("a", 3) == Dispatched(3)
    greedy = made.ask("b", 4)
    assert greedy.demand == 4
    assert greedy.effects == (
        Warn(
            "demand dispatcher expects asks of at most 3, got 4 from B:"
            " different maximum demands overload greedy consumers"
        ),
    )


def test_an_expected_maximum_can_be_given() -> None:
    made = DemandDispatcher(max_demand=5)
    made.subscribe("A", "a", {})
    assert made.ask("a", 4).effects == ()
    assert len(made.ask("a", 6).effects) == 1
