"""The consumer core: subscribing, batches, asks that follow the work, cancel modes."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.consumer import Consumer, NoBatchInHand
from hermes.stages.effects import (
    HandleCancel,
    HandleEvents,
    RefuseSubscription,
    SendAsk,
    SendCancel,
    SendSubscribe,
    StopStage,
    Warn,
)


def consumer_of(*tags: str, manual: bool = False, **options: Any) -> Consumer:
    """A consumer whose producers are named by their tags in capitals."""
    core = Consumer()
    for tag in tags:
        core.subscribe(tag.upper(), tag, options, manual=manual)
    return core


def batch(tag: str, *events: int) -> HandleEvents:
    return HandleEvents(tag.upper(), tag, events)


def test_subscribing_asks_for_the_maximum_at_once() -> None:
    core = Consumer()
    assert core.subscribe("P", "p", {}) == (SendSubscribe("P", "p", {}), SendAsk("P", "p", 1000))
    assert core.demand_of("p") == 1000


def test_a_manual_subscription_asks_for_nothing_by_itself() -> None:
    core = Consumer()
    options = {"max_demand": 10}
    assert core.subscribe("P", "p", options, manual=True) == (SendSubscribe("P", "p", options),)
    assert core.ask("p", 50) == (SendAsk("P", "p", 50),)
    assert core.demand_of("p") == 50


def test_options_for_the_dispatcher_travel_with_the_subscription() -> None:
    options = {"max_demand": 1, "partition": 3}
    sent, _ = Consumer().subscribe("P", "p", options, replaces=("old", "moved"))
    assert sent == SendSubscribe("P", "p", options, ("old", "moved"))


def test_a_bad_option_is_refused_and_nothing_is_sent() -> None:
    core = Consumer()
    sentence = "expected max_demand to be 1 or more, got: 0"
    assert core.subscribe("P", "p", {"max_demand": 0}) == (
        RefuseSubscription("p", "bad_opts", sentence),
    )
    assert core.producers == {}


def test_a_tag_in_use_is_refused_and_the_old_subscription_stays() -> None:
    core = consumer_of("p")
    (refused,) = core.subscribe("Q", "p", {})
    assert refused == RefuseSubscription("p", "bad_opts", "tag p is in use already")
    assert core.tags_of("P") == ("p",)


@pytest.mark.parametrize("cancel", ["permanent", "transient"])
def test_the_consumer_stops_when_the_producer_is_not_alive(cancel: str) -> None:
    warn, stop = Consumer().subscribe(None, "p", {"cancel": cancel})
    assert isinstance(warn, Warn)
    assert stop == StopStage("noproc")


def test_a_temporary_subscription_to_a_dead_producer_is_void() -> None:
    core = Consumer()
    assert core.subscribe(None, "p", {"cancel": "temporary"}) == ()
    assert core.producers == {}


def test_the_ask_follows_the_work_batch_by_batch() -> None:
    core = consumer_of("p", max_demand=10, min_demand=5)
    assert core.on_events("P", "p", range(10)) == (batch("p", 0, 1, 2, 3, 4),)
    assert core.handled() == (SendAsk("P", "p", 5), batch("p", 5, 6, 7, 8, 9))
    assert core.handled() == (SendAsk("P", "p", 5),)
    assert core.demand_of("p") == 10


def test_a_batch_that_leaves_enough_demand_asks_for_nothing() -> None:
    core = consumer_of("p", max_demand=10, min_demand=5)
    assert core.on_events("P", "p", range(3)) == (batch("p", 0, 1, 2),)
    assert core.handled() == ()
    assert core.on_events("P", "p", range(3, 7)) == (batch("p", 3, 4, 5, 6),)
    assert core.handled() == (SendAsk("P", "p", 7),)


def test_with_a_maximum_of_one_events_come_one_at_a_time() -> None:
    core = consumer_of("p", max_demand=1, min_demand=0)
    for event in range(3):
        assert core.on_events("P", "p", [event]) == (batch("p", event),)
        assert core.handled() == (SendAsk("P", "p", 1),)


def test_events_in_excess_are_worked_on_without_credit() -> None:
    core = consumer_of("p", max_demand=4, min_demand=2)
    warn, first = core.on_events("P", "p", range(7))
    assert warn == Warn("consumer received 3 events in excess from P")
    assert first == batch("p", 0, 1)
    assert core.handled() == (SendAsk("P", "p", 2), batch("p", 2, 3))
    assert core.handled() == (SendAsk("P", "p", 2), batch("p", 4, 5))
    assert core.handled() == (batch("p", 6),)
    assert core.handled() == ()


def test_a_manual_subscription_gets_lists_whole() -> None:
    core = consumer_of("p", manual=True, max_demand=10, min_demand=5)
    core.ask("p", 10)
    assert core.on_events("P", "p", range(8)) == (batch("p", *range(8)),)
    assert core.demand_of("p") == 2
    assert core.handled() == ()


def test_asking_by_hand_is_for_manual_subscriptions() -> None:
    core = consumer_of("p")
    (warn,) = core.ask("p", 5)
    assert isinstance(warn, Warn)
    assert core.demand_of("p") == 1000


def test_asking_for_nothing_or_under_an_old_tag_sends_nothing() -> None:
    core = consumer_of("p", manual=True)
    assert core.ask("p", 0) == ()
    assert core.ask("gone", 5) == ()
    assert core.demand_of("gone") == 0


def test_events_that_arrive_during_work_wait_their_turn() -> None:
    core = consumer_of("p", "q", max_demand=4, min_demand=2)
    assert core.on_events("P", "p", [1, 2, 3]) == (batch("p", 1, 2),)
    assert core.on_events("Q", "q", [4]) == ()
    assert core.on_events("P", "p", [5]) == ()
    assert core.handled() == (SendAsk("P", "p", 2), batch("p", 3))
    assert core.handled() == (batch("q", 4),)
    assert core.handled() == (batch("p", 5),)
    assert core.handled() == (SendAsk("P", "p", 2),)


def test_events_under_an_unknown_tag_are_dropped_and_cancelled() -> None:
    core = consumer_of("p")
    assert core.on_events("Q", "q", [1, 2, 3]) == (SendCancel("Q", "q", "unknown_subscription"),)
    assert core.on_cancelled("q", "done") == ()
    assert core.on_down("q", "killed") == ()


def test_an_empty_list_of_events_is_stray() -> None:
    (warn,) = consumer_of("p").on_events("P", "p", [])
    assert warn == Warn("consumer received a stray empty list of events from P for p")


@pytest.mark.parametrize("message", ["subscribe", "ask", "cancel"])
def test_a_message_for_a_producer_is_logged_and_changes_nothing(message: str) -> None:
    assert Consumer().on_stray(message, "A", "a") == (
        Warn(f"consumer received a stray {message} from A for a"),
    )


def test_cancelling_waits_for_the_confirmation() -> None:
    core = consumer_of("p", cancel="temporary")
    assert core.cancel("p", "done") == (SendCancel("P", "p", "done"),)
    assert core.cancel("gone", "done") == ()
    assert core.on_events("P", "p", [1]) == (batch("p", 1),)
    assert core.handled() == ()
    assert core.on_cancelled("p", "done") == (HandleCancel("producer", "cancel", "done", "P", "p"),)
    assert core.cancel("p", "done") == ()


@pytest.mark.parametrize(
    ("cancel", "reason", "stops"),
    [
        ("temporary", "oops", False),
        ("transient", "normal", False),
        ("transient", "shutdown", False),
        ("transient", ("shutdown", "drained"), False),
        ("transient", "oops", True),
        ("permanent", "normal", True),
        ("permanent", "oops", True),
        ("permanent", "already_subscribed", False),
    ],
)
@pytest.mark.parametrize("kind", ["cancel", "down"])
def test_the_end_of_a_subscription_is_told_and_may_stop_the_consumer(
    kind: Any, cancel: str, reason: Any, stops: bool
) -> None:
    core = consumer_of("p", cancel=cancel)
    ended = core.on_cancelled("p", reason) if kind == "cancel" else core.on_down("p", reason)
    told = HandleCancel("producer", kind, reason, "P", "p")
    assert ended == ((told, StopStage(reason)) if stops else (told,))
    assert core.producers == {}


def test_an_end_that_arrives_during_work_comes_after_all_events_before_it() -> None:
    core = consumer_of("p", cancel="permanent", max_demand=2, min_demand=1)
    assert core.on_events("P", "p", [1, 2]) == (batch("p", 1),)
    assert core.on_down("p", "killed") == ()
    assert core.handled() == (SendAsk("P", "p", 1), batch("p", 2))
    assert core.handled() == (
        SendAsk("P", "p", 1),
        HandleCancel("producer", "down", "killed", "P", "p"),
        StopStage("killed"),
    )


def test_a_process_takes_all_its_subscriptions_with_it() -> None:
    core = Consumer()
    for producer, tag in (("P", "p1"), ("Q", "q1"), ("P", "p2")):
        core.subscribe(producer, tag, {"cancel": "temporary"})
    assert core.on_process_down("P", "killed") == (
        HandleCancel("producer", "down", "killed", "P", "p1"),
        HandleCancel("producer", "down", "killed", "P", "p2"),
    )
    assert core.tags_of("Q") == ("q1",)


def test_a_stopped_consumer_knows_nobody() -> None:
    core = consumer_of("p", "q", max_demand=2, min_demand=1)
    core.on_events("Q", "q", [1, 2])
    core.on_down("p", "killed")
    core.on_events("Q", "q", [3])
    *_, stop = (*core.handled(), *core.handled())
    assert stop == StopStage("killed")
    assert core.on_events("Q", "q", [4]) == (SendCancel("Q", "q", "unknown_subscription"),)


def test_work_in_hand_when_the_consumer_stops_is_answered_by_nothing() -> None:
    core = consumer_of("p", max_demand=4, min_demand=2)
    core.on_events("P", "p", [1, 2, 3])
    core.subscribe(None, "q", {})
    assert core.on_events("P", "p", [4]) == (SendCancel("P", "p", "unknown_subscription"),)
    assert core.handled() == ()
    assert core.on_events("P", "p", [5]) == (SendCancel("P", "p", "unknown_subscription"),)


def test_output_of_a_consumer_is_lost_with_a_warning() -> None:
    core = consumer_of("p")
    core.on_events("P", "p", [1])
    assert core.handled([1, 2, 3]) == (Warn("consumer cannot emit events, 3 are lost"),)


def test_handled_without_a_batch_is_a_bug() -> None:
    core = consumer_of("p")
    with pytest.raises(NoBatchInHand, match="consumer has no batch in hand"):
        core.handled()
