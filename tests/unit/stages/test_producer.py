"""The producer core: subscriptions, demand, buffer, modes."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.buffer import Keep
from hermes.stages.dispatcher import Dispatcher
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.effects import (
    HandleCancel,
    HandleDemand,
    HandleSubscribe,
    ReportDiscarded,
    SendCancelled,
    SendEvents,
    StopStage,
    Warn,
)
from hermes.stages.producer import Producer
from hermes.stages.subscription import BadOptions


def producer_with(*tags: str, **options: Any) -> Producer:
    """A producer whose consumers are named by their tags in capitals."""
    core = Producer(**options)
    for tag in tags:
        core.on_subscribe(tag.upper(), tag, {})
    return core


def test_a_subscription_is_announced_before_anything_else_follows() -> None:
    core = Producer()
    core.emit([1])
    options = {"max_demand": 5}
    assert core.on_subscribe("A", "a", options) == (HandleSubscribe("A", "a", options),)
    assert core.consumers == {"a": "A"}


def test_an_ask_becomes_demand_and_events_go_to_who_asked() -> None:
    core = producer_with("a")
    assert core.on_ask("A", "a", 3) == (HandleDemand(3),)
    assert (core.outstanding, core.open_demand) == (3, 3)
    assert core.emit([1, 2]) == (SendEvents("A", "a", (1, 2)),)
    assert (core.outstanding, core.open_demand) == (1, 1)
    assert core.emit([3]) == (SendEvents("A", "a", (3,)),)
    assert core.emit([]) == ()


def test_an_ask_is_met_from_the_buffer_first() -> None:
    core = producer_with("a")
    assert core.emit([1, 2, 3]) == ()
    assert core.buffered_count == 3
    assert core.on_ask("A", "a", 2) == (SendEvents("A", "a", (1, 2)),)
    assert core.on_ask("A", "a", 2) == (SendEvents("A", "a", (3,)), HandleDemand(1))
    assert core.buffered_count == 0


def test_more_events_than_demanded_are_buffered() -> None:
    core = producer_with("a")
    core.on_ask("A", "a", 2)
    assert core.emit([1, 2, 3]) == (SendEvents("A", "a", (1, 2)),)
    assert core.buffer.events == (3,)


def test_fewer_events_than_demanded_are_not_asked_for_again() -> None:
    core = producer_with("a")
    core.on_ask("A", "a", 5)
    core.emit([1])
    assert core.on_ask("A", "a", 1) == (HandleDemand(1),)


def test_a_duplicated_subscription_is_refused_and_the_old_one_stays() -> None:
    core = producer_with("a")
    warn, answer = core.on_subscribe("B", "a", {})
    assert isinstance(warn, Warn)
    assert answer == SendCancelled("B", "a", "duplicated_subscription")
    assert core.consumers == {"a": "A"}
    assert core.on_ask("A", "a", 1) == (HandleDemand(1),)


def test_an_ask_under_an_unknown_tag_is_answered_with_cancelled() -> None:
    core = producer_with("a")
    answer = SendCancelled("B", "b", "unknown_subscription")
    assert core.on_ask("B", "b", 10) == (answer,)
    assert core.outstanding == 0


@pytest.mark.parametrize("count", [0, -3])
def test_an_ask_for_nothing_changes_nothing(count: int) -> None:
    core = producer_with("a")
    (warn,) = core.on_ask("A", "a", count)
    assert isinstance(warn, Warn)
    assert core.dispatcher.capacity == 0


def test_an_unknown_cancel_or_down_is_ignored() -> None:
    core = producer_with("a")
    assert core.on_cancel("b", "done") == ()
    assert core.on_down("b", "killed") == ()
    assert core.on_process_down("B", "killed") == ()


def test_a_cancel_is_confirmed_and_then_told() -> None:
    core = producer_with("a")
    assert core.on_cancel("a", "oops") == (
        SendCancelled("A", "a", "oops"),
        HandleCancel("consumer", "cancel", "oops", "A", "a"),
    )
    assert core.consumers == {}


def test_a_consumer_that_is_down_is_told_about_but_not_written_to() -> None:
    core = producer_with("a")
    assert core.on_down("a", "killed") == (HandleCancel("consumer", "down", "killed", "A", "a"),)
    assert core.consumers == {}


def test_a_process_takes_all_its_subscriptions_with_it() -> None:
    core = Producer()
    for process, tag in (("A", "a1"), ("B", "b1"), ("A", "a2")):
        core.on_subscribe(process, tag, {})
    assert core.tags_of("A") == ("a1", "a2")
    assert core.on_process_down("A", "killed") == (
        HandleCancel("consumer", "down", "killed", "A", "a1"),
        HandleCancel("consumer", "down", "killed", "A", "a2"),
    )
    assert core.consumers == {"b1": "B"}


def test_demand_freed_by_a_cancel_comes_after_the_callback() -> None:
    core = producer_with("a", "b", dispatcher=BroadcastDispatcher())
    assert core.on_ask("A", "a", 4) == ()
    assert core.on_cancel("b", "done") == (
        SendCancelled("B", "b", "done"),
        HandleCancel("consumer", "cancel", "done", "B", "b"),
        HandleDemand(4),
    )


def test_a_resubscription_cancels_the_old_one_first() -> None:
    core = producer_with("old")
    assert core.on_subscribe("OLD", "new", {}, ("old", "resubscribe")) == (
        SendCancelled("OLD", "old", "resubscribe"),
        HandleCancel("consumer", "cancel", "resubscribe", "OLD", "old"),
        HandleSubscribe("OLD", "new", {}),
    )
    assert core.consumers == {"new": "OLD"}


def test_a_resubscription_goes_through_even_if_the_previous_one_does_not_exist() -> None:
    core = Producer()
    assert core.on_subscribe("A", "a", {}, ("gone", "resubscribe")) == (
        HandleSubscribe("A", "a", {}),
    )


def test_a_second_broadcast_subscription_of_a_process_is_cancelled() -> None:
    core = producer_with("a", dispatcher=BroadcastDispatcher())
    assert core.on_subscribe("A", "again", {}) == (
        HandleSubscribe("A", "again", {}),
        SendCancelled("A", "again", "already_subscribed"),
        HandleCancel("consumer", "cancel", "already_subscribed", "A", "again"),
    )
    assert core.consumers == {"a": "A"}
    assert core.on_ask("A", "a", 2) == (HandleDemand(2),)


def test_a_bad_partition_stops_the_producer_with_a_sentence() -> None:
    core = Producer(PartitionDispatcher(2, lambda event: (event, event % 2)))
    *_, stop = core.on_subscribe("A", "a", {"partition": 7})
    assert stop == StopStage(("bad_opts", "expected partition to be one of 0, 1, got: 7"))
    assert core.on_ask("A", "a", 1) == (SendCancelled("A", "a", "unknown_subscription"),)


@pytest.mark.parametrize("message", ["events", "cancelled"])
def test_a_message_for_a_consumer_is_logged_and_changes_nothing(message: str) -> None:
    core = producer_with("a")
    (warn,) = core.on_stray(message, "P", "p")
    assert warn == Warn(f"producer received a stray {message} from P for p")


@pytest.mark.parametrize(
    ("keep", "kept"), [("first", ("a", "b", "c", "d", "e")), ("last", ("d", "e", "f", "g", "h"))]
)
def test_a_full_buffer_reports_what_it_discards(keep: Keep, kept: tuple[str, ...]) -> None:
    core = Producer(buffer_size=5, buffer_keep=keep)
    assert core.emit("abcde") == ()
    assert core.emit("fgh") == (ReportDiscarded(3),)
    assert core.buffer.events == kept
    core.on_subscribe("A", "a", {})
    assert core.on_ask("A", "a", 4) == (SendEvents("A", "a", kept[:4]),)
    assert core.on_ask("A", "a", 4) == (SendEvents("A", "a", kept[4:]), HandleDemand(3))


def test_the_buffer_holds_ten_thousand_events_or_without_limit_all() -> None:
    assert Producer().emit(range(10_001)) == (ReportDiscarded(1),)
    endless = Producer(buffer_size=None)
    assert endless.emit(range(50_000)) == ()
    assert endless.buffered_count == 50_000


def test_a_bad_buffer_size_is_refused() -> None:
    with pytest.raises(BadOptions, match="buffer_size to be 0 or more, got: -1"):
        Producer(buffer_size=-1)


def test_accumulated_demands_are_not_combined() -> None:
    core = producer_with("a", "b", mode="accumulate")
    assert core.on_ask("A", "a", 2) == ()
    assert core.on_ask("B", "b", 2) == ()
    assert core.set_mode("forward") == (HandleDemand(2), HandleDemand(2))
    assert core.set_mode("forward") == ()


def test_accumulating_twice_resets_nothing() -> None:
    core = producer_with("a", mode="accumulate")
    assert core.on_ask("A", "a", 4) == ()
    assert core.set_mode("accumulate") == ()
    assert core.set_mode("forward") == (HandleDemand(4),)


def test_forward_before_any_subscription_releases_nothing() -> None:
    core = Producer(mode="accumulate")
    assert core.set_mode("forward") == ()
    core.on_subscribe("A", "a", {})
    assert core.on_ask("A", "a", 4) == (HandleDemand(4),)


def test_accumulating_holds_events_back_as_well_and_releases_them_unmerged() -> None:
    core = producer_with("a")
    core.on_ask("A", "a", 5)
    core.set_mode("accumulate")
    assert core.emit([1]) == ()
    assert core.emit([2, 3]) == ()
    assert core.on_ask("A", "a", 1) == ()
    assert core.emit([4]) == ()
    assert core.buffered_count == 4
    assert core.set_mode("forward") == (
        SendEvents("A", "a", (1,)),
        SendEvents("A", "a", (2, 3)),
        HandleDemand(1),
        SendEvents("A", "a", (4,)),
    )
    assert core.buffered_count == 0


def test_buffered_events_come_before_those_held_back() -> None:
    core = producer_with("a")
    core.emit([1, 2, 3])
    core.set_mode("accumulate")
    assert core.on_ask("A", "a", 2) == ()
    assert core.emit([4]) == ()
    assert core.on_ask("A", "a", 1) == ()
    assert core.set_mode("forward") == (SendEvents("A", "a", (1, 2, 3)),)
    assert core.buffer.events == (4,)


def test_a_consumer_that_asks_while_held_events_wait_demands_only_the_rest() -> None:
    core = producer_with("a", mode="accumulate")
    core.emit([1, 2, 3])
    core.on_ask("A", "a", 5)
    assert core.set_mode("forward") == (SendEvents("A", "a", (1, 2, 3)), HandleDemand(2))


def test_events_buffered_after_a_consumer_left_go_to_the_next_before_newer_ones() -> None:
    core = producer_with("a")
    core.on_ask("A", "a", 10)
    core.on_down("a", "killed")
    assert core.emit([1, 2, 3]) == ()
    core.on_subscribe("B", "b", {})
    assert core.on_ask("B", "b", 5) == (SendEvents("B", "b", (1, 2, 3)),)  # 7 are on their way
    assert core.emit([4, 5, 6]) == (SendEvents("B", "b", (4, 5)),)
    assert core.on_ask("B", "b", 5) == (SendEvents("B", "b", (6,)),)
    assert core.emit([7, 8, 9, 10]) == (SendEvents("B", "b", (7, 8, 9, 10)),)
    assert core.on_ask("B", "b", 5) == (HandleDemand(5),)


def test_a_broadcast_goes_on_after_its_consumer_was_replaced() -> None:
    core = producer_with("a", dispatcher=BroadcastDispatcher())
    assert core.on_ask("A", "a", 5) == (HandleDemand(5),)
    core.on_down("a", "killed")
    assert core.emit([1, 2, 3, 4, 5]) == ()
    core.on_subscribe("B", "b", {})
    assert core.on_ask("B", "b", 5) == (SendEvents("B", "b", (1, 2, 3, 4, 5)),)
    assert core.on_ask("B", "b", 5) == (HandleDemand(5),)


def test_demand_of_a_consumer_that_left_is_not_demanded_twice() -> None:
    core = producer_with("a")
    assert core.on_ask("A", "a", 10) == (HandleDemand(10),)
    core.on_down("a", "killed")
    core.on_subscribe("B", "b", {})
    assert core.on_ask("B", "b", 10) == ()
    assert core.on_ask("B", "b", 3) == (HandleDemand(3),)


def test_events_a_selector_refuses_are_demanded_again_at_once() -> None:
    core = Producer(BroadcastDispatcher())
    core.on_subscribe("A", "a", {"selector": lambda event: event % 2 == 0})
    assert core.on_ask("A", "a", 4) == (HandleDemand(4),)
    assert core.emit([0, 1, 2, 3]) == (SendEvents("A", "a", (0, 2)), HandleDemand(2))
    assert core.emit([5, 7]) == (HandleDemand(2),)
    core.emit([4, 6])


def test_a_buffer_full_of_refused_events_is_worked_off() -> None:
    core = Producer(BroadcastDispatcher())
    core.emit(range(1000))
    core.on_subscribe("A", "a", {"selector": lambda event: event == 999})
    assert core.on_ask("A", "a", 2) == (SendEvents("A", "a", (999,)), HandleDemand(1))


def test_a_partition_left_with_a_queue_reports_the_loss_and_demands_as_many() -> None:
    core = Producer(PartitionDispatcher(2, lambda event: (event, 0)))
    core.on_subscribe("A", "a", {"partition": 0})
    core.on_subscribe("B", "b", {"partition": 1})
    assert core.on_ask("B", "b", 3) == (HandleDemand(3),)
    assert core.emit([1, 2, 3]) == ()
    assert core.on_cancel("a", "done") == (
        SendCancelled("A", "a", "done"),
        HandleCancel("consumer", "cancel", "done", "A", "a"),
        ReportDiscarded(3, "partition_cancelled"),
        HandleDemand(3),
    )


@pytest.mark.parametrize(
    "dispatcher",
    [DemandDispatcher(), BroadcastDispatcher(), PartitionDispatcher(1, lambda event: (event, 0))],
)
def test_a_thousand_lists_of_fifty_are_no_work(dispatcher: Dispatcher) -> None:
    core = Producer(dispatcher)
    core.on_subscribe("A", "a", {"partition": 0})
    for start in range(0, 50_000, 50):
        events = tuple(range(start, start + 50))
        assert core.on_ask("A", "a", 50) == (HandleDemand(50),)
        assert core.emit(events) == (SendEvents("A", "a", events),)
