"""Stages at work together, as in the test suite of gen_stage."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.stages.consumer import Consumer
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.effects import (
    HandleCancel,
    HandleDemand,
    RefuseSubscription,
    SendCancel,
    SendCancelled,
    StopStage,
    Warn,
)
from hermes.stages.producer import Producer
from hermes.stages.producer_consumer import ProducerConsumer
from tests.unit.stages.network import Network, Shell, counting, double


def doubler() -> Shell:
    return Shell(ProducerConsumer(), on_batch=double)


def span(first: int, beyond: int) -> list[int]:
    return list(range(first, beyond))


def doubled(first: int, beyond: int) -> list[int]:
    return double(tuple(range(first, beyond)))


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({}, [span(0, 500), span(500, 1000)]),
        (
            {"max_demand": 100, "min_demand": 80},
            [span(first, first + 20) for first in range(0, 300, 20)],
        ),
        (
            {"max_demand": 100, "min_demand": 20},
            [span(0, 80), span(80, 100), span(100, 180), span(180, 260), span(260, 280)],
        ),
        ({"max_demand": 1, "min_demand": 0}, [[0], [1], [2]]),
    ],
)
def test_a_producer_serves_a_consumer_in_batches(
    options: dict[str, Any], batches: list[list[int]]
) -> None:
    consumer = Shell(Consumer())
    net = Network(producer=counting(), consumer=consumer)
    net.subscribe("consumer", "producer", **options)
    net.run(60)
    assert consumer.batches()[: len(batches)] == batches


def test_a_broadcast_goes_to_all_at_the_pace_of_the_slower_consumer() -> None:
    first, second = Shell(Consumer()), Shell(Consumer())
    net = Network(producer=counting(Producer(BroadcastDispatcher())), first=first, second=second)
    net.subscribe("first", "producer", max_demand=10, min_demand=0)
    net.run(4)  # the first consumer is ahead
    net.subscribe("second", "producer", max_demand=20, min_demand=0)
    net.run(500)
    common = [batch for batch in first.batches() if batch in second.batches()]
    assert span(1000, 1010) in common
    assert second.events() == span(second.events()[0], second.events()[-1] + 1)
    assert second.events()[0] > 0


def test_a_broadcast_waits_for_a_subscriber_that_does_not_ask() -> None:
    first, second, silent = Shell(Consumer()), Shell(Consumer()), Shell(Consumer())
    producer = counting(Producer(BroadcastDispatcher()))
    net = Network(producer=producer, first=first, second=second, silent=silent)
    tag = net.subscribe("silent", "producer", manual=True, cancel="temporary")
    net.subscribe("first", "producer", max_demand=10, min_demand=0)
    net.subscribe("second", "producer", max_demand=20, min_demand=0)
    net.run()
    assert first.batches() == second.batches() == []
    net.call("silent", lambda core: core.cancel(tag, "killed"))
    net.run(100)
    assert first.batches()[:3] == second.batches()[:3] == [span(0, 10), span(10, 20), span(20, 30)]


def test_a_broadcast_never_demands_more_upstream_than_its_slower_consumer_asked() -> None:
    producer = Shell(Producer(BroadcastDispatcher()))
    net = Network(producer=producer, modest=Shell(Consumer()), greedy=Shell(Consumer()))
    net.call("producer", lambda core: core.set_mode("accumulate"))
    net.subscribe("greedy", "producer", max_demand=10)
    net.subscribe("modest", "producer", max_demand=4)
    net.run()
    net.call("producer", lambda core: core.set_mode("forward"))
    assert sum(effect.count for effect in producer.of(HandleDemand)) == 10
    assert producer.core.dispatcher.capacity == 4


@pytest.mark.parametrize("consumer_first", [False, True])
@pytest.mark.parametrize(
    ("low", "taken", "consumed"),
    [
        (80, [span(0, 20), span(20, 40)], [doubled(0, 20), doubled(20, 40)]),
        (20, [span(0, 80), span(80, 100)], [doubled(0, 25), doubled(25, 50), doubled(50, 75)]),
    ],
)
def test_a_producer_consumer_passes_on_what_it_made_whoever_subscribed_first(
    consumer_first: bool, low: int, taken: list[list[int]], consumed: list[list[int]]
) -> None:
    middle, consumer = doubler(), Shell(Consumer())
    net = Network(producer=counting(), middle=middle, consumer=consumer)
    if consumer_first:
        net.subscribe("consumer", "middle", max_demand=100, min_demand=50)
    net.subscribe("middle", "producer", max_demand=100, min_demand=low)
    if not consumer_first:
        net.subscribe("consumer", "middle", max_demand=100, min_demand=50)
    net.run(200)
    assert middle.batches()[: len(taken)] == taken
    assert consumer.batches()[: len(consumed)] == consumed
    everything = consumer.events()
    assert everything == double(tuple(range(len(everything))))[: len(everything)]


def test_a_producer_consumer_stops_asking_when_its_consumer_stops_asking() -> None:
    producer, middle = counting(), Shell(ProducerConsumer(), on_batch=lambda events: events)
    net = Network(producer=producer, middle=middle, sleeper=Shell(Consumer()))
    net.subscribe("middle", "producer", max_demand=10, min_demand=8)
    tag = net.subscribe("sleeper", "middle", manual=True)
    net.call("sleeper", lambda core: core.ask(tag, 10))
    assert net.run(1000) < 1000
    assert middle.events() == span(0, 10)
    assert middle.core.queued_count == 10  # one full demand waits, and nothing more was asked
    assert sum(effect.count for effect in producer.of(HandleDemand)) == 20


def test_a_producer_consumer_keeps_asking_while_it_discards_everything() -> None:
    middle = Shell(ProducerConsumer())
    net = Network(producer=counting(), middle=middle, consumer=Shell(Consumer()))
    net.subscribe("middle", "producer", max_demand=100, min_demand=80)
    net.subscribe("consumer", "middle", max_demand=100, min_demand=50)
    net.run(500)
    assert middle.batches()[50] == span(1000, 1020)


def test_a_producer_consumer_can_broadcast() -> None:
    middle = Shell(ProducerConsumer(BroadcastDispatcher()), on_batch=double)
    first, second = Shell(Consumer()), Shell(Consumer())
    net = Network(producer=counting(), middle=middle, first=first, second=second)
    net.subscribe("middle", "producer")
    net.subscribe("first", "middle", max_demand=10, min_demand=0)
    net.subscribe("second", "middle", max_demand=20, min_demand=0)
    net.run(300)
    expected = doubled(200, 205)
    assert expected in first.batches()
    assert expected in second.batches()


def test_events_queued_in_a_producer_consumer_survive_the_loss_of_their_producer() -> None:
    middle, consumer = doubler(), Shell(Consumer())
    net = Network(producer=counting(), middle=middle, consumer=consumer)
    tag = net.subscribe("middle", "producer", cancel="temporary", min_demand=50, max_demand=100)
    net.run()
    net.call("middle", lambda core: core.cancel(tag, "done"))
    net.run()
    assert middle.of(HandleCancel) == []
    assert middle.batches() == []
    net.subscribe("consumer", "middle", min_demand=50, max_demand=100)
    net.run()
    assert middle.batches() == [span(0, 100)]
    assert consumer.batches()[:2] == [doubled(0, 25), doubled(25, 50)]
    assert consumer.events() == doubled(0, 100)
    assert middle.of(HandleCancel) == [HandleCancel("producer", "cancel", "done", "producer", tag)]


def test_demand_can_be_held_back_until_all_consumers_are_there() -> None:
    producer, consumer = counting(Producer(mode="accumulate")), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    net.subscribe("consumer", "producer", max_demand=4, min_demand=0)
    net.run()
    assert consumer.batches() == []
    net.call("producer", lambda core: core.set_mode("forward"))
    net.run(10)
    assert consumer.batches()[0] == [0, 1, 2, 3]


def test_accumulated_demands_are_met_one_by_one() -> None:
    producer = Shell(Producer(mode="accumulate"), on_demand=lambda count: [count])
    first, second = Shell(Consumer()), Shell(Consumer())
    net = Network(producer=producer, first=first, second=second)
    net.subscribe("first", "producer", max_demand=2)
    net.subscribe("second", "producer", max_demand=2)
    net.run()
    net.call("producer", lambda core: core.set_mode("forward"))
    net.run(3)
    assert [effect.count for effect in producer.of(HandleDemand)][:3] == [2, 2, 1]
    assert (first.batches()[0], second.batches()[0]) == ([2], [2])


def test_events_emitted_while_accumulating_stay_apart_until_the_mode_turns() -> None:
    producer = Shell(Producer(BroadcastDispatcher(), mode="accumulate"))
    net = Network(producer=producer)
    net.call("producer", lambda core: core.emit([1]) + core.emit([2]))
    net.call("producer", lambda core: core.emit([3]) + core.emit([4]))
    consumers = [Shell(Consumer()), Shell(Consumer())]
    for name, shell in zip(("first", "second"), consumers, strict=True):
        net.shells[name] = shell
        net.subscribe(name, "producer")
    net.run()
    assert [shell.batches() for shell in consumers] == [[], []]
    net.call("producer", lambda core: core.set_mode("forward"))
    net.run()
    assert [shell.batches() for shell in consumers] == [[[1], [2], [3], [4]]] * 2
    assert producer.core.buffered_count == 0


def test_buffered_events_come_first_and_demand_after_them() -> None:
    producer, consumer = counting(), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    net.call("producer", lambda core: core.emit(["a", "b", "c"]))
    net.call("producer", lambda core: core.emit(["d", "e"]))
    net.subscribe("consumer", "producer", max_demand=4, min_demand=0)
    net.run(12)
    assert consumer.batches()[:4] == [["a", "b", "c", "d"], ["e"], [0, 1, 2], [3, 4, 5, 6]]


def test_the_buffered_count_is_what_waits() -> None:
    producer, consumer = Shell(Producer(buffer_size=None)), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    net.call("producer", lambda core: core.emit("abcde"))
    assert producer.core.buffered_count == 5
    net.call("producer", lambda core: core.emit("fgh"))
    assert producer.core.buffered_count == 8
    net.subscribe("consumer", "producer", max_demand=4, min_demand=0)
    net.run()
    assert consumer.batches() == [list("abcd"), list("efgh")]
    assert producer.core.buffered_count == 0


def test_a_resubscription_replaces_the_old_one() -> None:
    producer, consumer = counting(), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    old = net.subscribe("consumer", "producer", "old", manual=True, cancel="temporary")
    net.run()
    net.subscribe("consumer", "producer", "new", manual=True, replaces=(old, "resubscribe"))
    net.run()
    assert producer.core.consumers == {"new": "consumer"}
    assert set(consumer.core.producers) == {"new"}
    assert [effect.tag for effect in consumer.of(HandleCancel)] == ["old"]


def test_a_second_subscription_to_a_broadcast_ends_without_stopping_anybody() -> None:
    producer, consumer = Shell(Producer(BroadcastDispatcher())), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    net.subscribe("consumer", "producer", "one")
    net.subscribe("consumer", "producer", "two")
    net.run()
    assert producer.core.consumers == {"one": "consumer"}
    assert set(consumer.core.producers) == {"one"}
    assert consumer.of(StopStage) == []


def test_manual_demand_can_be_set_on_subscribe() -> None:
    consumer = Shell(Consumer())
    net = Network(producer=counting(), consumer=consumer)
    tag = net.subscribe("consumer", "producer", manual=True)
    for _ in range(2):
        net.call("consumer", lambda core: core.ask(tag, 50))
        net.run()
    assert consumer.batches() == [span(0, 50), span(50, 100)]


def test_a_producer_never_learns_of_manual_demand_so_it_cannot_choose_it() -> None:
    consumer = Shell(Consumer())
    net = Network(producer=Shell(Producer()), consumer=consumer)
    net.subscribe("consumer", "producer", manual=True)
    (sent,) = consumer.seen
    assert sent.options == {}  # type: ignore[union-attr]


@pytest.mark.parametrize(("cancel", "stops"), [("permanent", True), ("temporary", False)])
def test_a_producer_that_is_dead_stops_a_permanent_subscriber(cancel: str, stops: bool) -> None:
    consumer = Shell(Consumer())
    net = Network(consumer=consumer)
    net.subscribe("consumer", "producer", cancel=cancel)
    assert consumer.of(StopStage) == ([StopStage("noproc")] if stops else [])
    assert ("consumer" in net.shells) is not stops


def test_a_subscription_with_bad_options_is_refused_locally() -> None:
    consumer = Shell(Consumer())
    net = Network(producer=Shell(Producer()), consumer=consumer)
    tag = net.subscribe("consumer", "producer", min_demand=2000)
    assert consumer.seen == [
        RefuseSubscription(tag, "bad_opts", "expected min_demand to be 999 or less, got: 2000")
    ]
    assert net.run() == 0


def test_a_duplicated_subscription_is_told_and_ends_it_for_the_sender() -> None:
    producer, first, second = Shell(Producer()), Shell(Consumer()), Shell(Consumer())
    net = Network(producer=producer, first=first, second=second)
    net.subscribe("first", "producer", "same")
    net.subscribe("second", "producer", "same", cancel="temporary")
    net.run()
    assert SendCancelled("second", "same", "duplicated_subscription") in producer.seen
    assert producer.core.consumers == {"same": "first"}
    assert second.of(HandleCancel)[0].reason == "duplicated_subscription"


def test_events_after_a_restart_of_the_consumer_are_cancelled_and_change_nothing() -> None:
    producer, consumer = counting(), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer)
    net.subscribe("consumer", "producer", "old", max_demand=3)
    net.run(2)  # the producer has sent, the consumer has not received
    net.shells["consumer"] = again = Shell(Consumer())
    net.run()
    assert again.seen == [SendCancel("producer", "old", "unknown_subscription")]
    assert producer.core.consumers == {}


def test_a_stopping_consumer_takes_its_subscription_with_it() -> None:
    producer, consumer = Shell(Producer()), Shell(Consumer())
    net = Network(producer=producer, consumer=consumer, other=counting())
    net.subscribe("consumer", "producer", "p")
    net.subscribe("consumer", "other", "o", manual=True)
    net.run()
    net.end("other", "killed")
    net.run()
    assert consumer.of(StopStage) == [StopStage("killed")]
    assert producer.of(HandleCancel) == [
        HandleCancel("consumer", "down", "killed", "consumer", "p")
    ]


def test_a_bind_that_restarts_gets_what_was_buffered_meanwhile() -> None:
    producer = Shell(Producer(DemandDispatcher(max_demand=100)))
    net = Network(producer=producer, first=Shell(Consumer()))
    tag = net.subscribe("first", "producer", manual=True, cancel="temporary")
    net.call("first", lambda core: core.ask(tag, 20))
    net.run()
    net.end("first", "killed")
    net.run()
    net.call("producer", lambda core: core.emit(range(20)))
    net.shells["second"] = second = Shell(Consumer())
    tag = net.subscribe("second", "producer", manual=True, cancel="temporary")
    net.call("second", lambda core: core.ask(tag, 15))
    net.run()
    net.call("second", lambda core: core.ask(tag, 15))
    net.run()
    assert second.batches() == [span(0, 15), span(15, 20)]
    assert [effect.count for effect in producer.of(HandleDemand)] == [20, 10]
    assert producer.of(Warn) == []
