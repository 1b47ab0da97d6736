"""The producer_consumer core: an inner queue that is worked on only for demand downstream."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.effects import (
    HandleCancel,
    HandleEvents,
    ReportDiscarded,
    SendAsk,
    SendCancel,
    SendCancelled,
    SendEvents,
    StopStage,
    Warn,
)
from hermes.stages.producer_consumer import ProducerConsumer
from tests.unit.stages.network import double


def stage(dispatcher: Any = None, **options: Any) -> ProducerConsumer:
    """Subscribed to P under p; A is subscribed to it under a."""
    core = ProducerConsumer(dispatcher)
    core.subscribe("P", "p", {"max_demand": 4, "min_demand": 2, **options})
    core.on_subscribe("A", "a", {})
    return core


def batch(*events: int) -> HandleEvents:
    return HandleEvents("P", "p", events)


def test_events_wait_until_somebody_downstream_asks() -> None:
    core = stage()
    assert core.on_events("P", "p", [1, 2, 3]) == ()
    assert core.queued_count == 3
    assert core.on_ask("A", "a", 10) == (batch(1, 2),)
    assert core.queued_count == 0


def test_output_is_sent_before_the_ask_and_the_ask_before_the_next_batch() -> None:
    core = stage()
    core.on_ask("A", "a", 10)
    assert core.on_events("P", "p", [1, 2, 3, 4]) == (batch(1, 2),)
    assert core.handled([10, 20]) == (
        SendEvents("A", "a", (10, 20)),
        SendAsk("P", "p", 2),
        batch(3, 4),
    )


def test_demand_falls_by_what_was_dispatched_so_discarded_events_leave_it_open() -> None:
    core = stage()
    core.on_ask("A", "a", 2)
    assert core.on_events("P", "p", [1, 2]) == (batch(1, 2),)
    assert core.handled() == (SendAsk("P", "p", 2),)
    assert core.on_events("P", "p", [3, 4]) == (batch(3, 4),)
    assert core.handled([30, 40]) == (SendEvents("A", "a", (30, 40)), SendAsk("P", "p", 2))
    assert core.on_events("P", "p", [5, 6]) == ()


def test_a_list_once_taken_is_worked_off_and_its_surplus_buffered() -> None:
    core = stage()
    core.on_ask("A", "a", 3)
    core.on_events("P", "p", [1, 2, 3, 4])
    assert core.handled(double((1, 2))) == (
        SendEvents("A", "a", (1, 1, 2)),
        SendAsk("P", "p", 2),
        batch(3, 4),
    )
    assert core.handled(double((3, 4))) == (SendAsk("P", "p", 2),)
    assert core.buffer.events == (2, 3, 3, 4, 4)
    assert core.on_events("P", "p", [5]) == ()
    assert core.on_ask("A", "a", 3) == (SendEvents("A", "a", (2, 3, 3)),)
    assert core.on_ask("A", "a", 3) == (SendEvents("A", "a", (4, 4)), batch(5))


def test_asks_that_come_during_work_are_met_from_the_buffer() -> None:
    core = stage()
    core.emit([7, 8])
    core.on_ask("A", "a", 3)
    core.on_events("P", "p", [1])
    assert core.on_ask("A", "a", 1) == ()
    assert core.emit([9]) == (SendEvents("A", "a", (9,)),)
    assert core.handled([10, 20]) == (SendEvents("A", "a", (10,)),)
    assert core.buffer.events == (20,)


def test_the_end_of_a_subscription_queues_behind_its_events() -> None:
    core = stage(cancel="permanent")
    core.on_events("P", "p", [1, 2, 3])
    assert core.on_cancelled("p", "done") == ()
    assert core.on_ask("A", "a", 10) == (batch(1, 2, 3),)  # whole: nobody is left to be asked
    assert core.handled() == (
        HandleCancel("producer", "cancel", "done", "P", "p"),
        StopStage("done"),
    )


def test_the_end_of_a_subscription_without_queued_events_is_told_at_once() -> None:
    core = stage(cancel="temporary")
    assert core.on_down("p", "killed") == (HandleCancel("producer", "down", "killed", "P", "p"),)


def test_an_end_behind_a_batch_in_hand_is_told_after_it() -> None:
    core = stage(cancel="temporary")
    core.on_ask("A", "a", 1)
    core.on_events("P", "p", [1])
    assert core.on_down("p", "killed") == ()
    assert core.handled([1]) == (
        SendEvents("A", "a", (1,)),
        HandleCancel("producer", "down", "killed", "P", "p"),
    )


def test_events_under_an_unknown_tag_are_dropped_and_cancelled() -> None:
    assert stage().on_events("Q", "q", [1]) == (SendCancel("Q", "q", "unknown_subscription"),)


def test_a_consumer_that_is_down_stops_the_work_for_it() -> None:
    core = stage()
    core.on_ask("A", "a", 10)
    assert core.on_down("a", "killed") == (HandleCancel("consumer", "down", "killed", "A", "a"),)
    assert core.on_events("P", "p", [1]) == ()
    core.on_subscribe("B", "b", {})
    assert core.on_ask("B", "b", 1) == (batch(1),)


def test_a_process_on_both_sides_takes_both_subscriptions_with_it() -> None:
    core = stage(cancel="temporary")
    core.on_subscribe("P", "back", {})
    assert core.tags_of("P") == ("back", "p")
    assert core.on_process_down("P", "killed") == (
        HandleCancel("consumer", "down", "killed", "P", "back"),
        HandleCancel("producer", "down", "killed", "P", "p"),
    )


def test_demand_cannot_be_accumulated() -> None:
    core = stage()
    assert core.set_mode("accumulate") == (Warn("demand can be accumulated by a producer only"),)
    assert core.set_mode("forward") == ()


def test_a_stage_that_stops_forgets_both_sides() -> None:
    core = stage(cancel="permanent")
    core.on_cancelled("p", "done")
    assert core.on_ask("A", "a", 1) == (SendCancelled("A", "a", "unknown_subscription"),)


def test_output_is_buffered_without_limit_unless_one_is_given() -> None:
    endless, short = ProducerConsumer(), ProducerConsumer(buffer_size=2)
    assert endless.emit(range(20_000)) == ()
    assert short.emit(range(5)) == (ReportDiscarded(3),)
    assert short.buffer.events == (3, 4)


def test_what_a_selector_refuses_lets_the_work_go_on() -> None:
    core = ProducerConsumer(BroadcastDispatcher())
    core.subscribe("P", "p", {"max_demand": 2, "min_demand": 1})
    core.on_subscribe("A", "a", {"selector": lambda event: event > 1})
    core.on_ask("A", "a", 1)
    core.on_events("P", "p", [1])
    core.on_events("P", "p", [2])
    assert core.handled([1]) == (SendAsk("P", "p", 1), batch(2))
    assert core.handled([2]) == (SendEvents("A", "a", (2,)), SendAsk("P", "p", 1))


def test_what_a_selector_refuses_makes_room_for_buffered_output() -> None:
    core = ProducerConsumer(BroadcastDispatcher())
    core.subscribe("P", "p", {"max_demand": 2, "min_demand": 1})
    core.on_subscribe("A", "a", {"selector": lambda event: event > 1})
    core.on_ask("A", "a", 1)
    core.on_events("P", "p", [7])
    assert core.handled([1, 2, 3]) == (SendEvents("A", "a", (2,)), SendAsk("P", "p", 1))
    assert core.buffer.events == (3,)


@pytest.mark.parametrize("sent", [1, 5])
def test_manual_demand_upstream_hands_lists_over_whole(sent: int) -> None:
    core = ProducerConsumer()
    core.subscribe("P", "p", {"max_demand": 4}, manual=True)
    core.on_subscribe("A", "a", {})
    assert core.ask("p", 5) == (SendAsk("P", "p", 5),)
    core.on_ask("A", "a", 1)
    assert core.on_events("P", "p", range(sent)) == (batch(*range(sent)),)
    assert core.handled() == ()
