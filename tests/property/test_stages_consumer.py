"""Laws of the consumer's side, alone and in a producer_consumer, however slow its shell works."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes.stages.consumer import Consumer
from hermes.stages.demand import HeldDemand, split_batches
from hermes.stages.effects import (
    Effect,
    Effects,
    HandleCancel,
    HandleEvents,
    HandleSubscribe,
    SendAsk,
    SendCancel,
    SendCancelled,
    SendEvents,
    SendSubscribe,
    StopStage,
    Warn,
)
from hermes.stages.producer_consumer import ProducerConsumer


def filled(lists: dict[int, list[int]]) -> dict[int, list[int]]:
    return {tag: events for tag, events in lists.items() if events}


class ConsumerMachine(RuleBasedStateMachine):
    """Producers send what was asked, sometimes more; batches are finished at any later time."""

    both_sides = False

    @initialize()
    def start(self) -> None:
        self.core = ProducerConsumer() if self.both_sides else Consumer()
        self.tags = self.created = self.handed = 0
        self.high: dict[int, int] = {}
        self.manual: set[int] = set()
        self.asked: dict[int, int] = defaultdict(int)
        self.received: dict[int, list[int]] = defaultdict(list)
        self.worked: dict[int, list[int]] = defaultdict(list)
        self.in_hand: HandleEvents | None = None
        self.excess = False
        self.leaving: set[int] = set()  # told to end, maybe not yet taken in
        self.told: list[int] = []
        self.below: dict[int, int] = {}  # downstream: asked and not delivered
        self.made = self.delivered = 0

    @precondition(lambda self: self.tags < 6)
    @rule(high=st.integers(1, 8), low=st.integers(0, 7), manual=st.booleans())
    def subscribe(self, high: int, low: int, manual: bool) -> None:
        tag, self.tags = self.tags, self.tags + 1
        options = {"max_demand": high, "min_demand": min(low, high - 1), "cancel": "temporary"}
        self.high[tag] = high
        if manual:
            self.manual.add(tag)
        process = f"producer {tag}"
        effects = self.core.subscribe(process, tag, options, manual=manual)
        assert effects[0] == SendSubscribe(process, tag, options)
        assert effects[1:] == (() if manual else (SendAsk(process, tag, high),))
        self.absorb(effects[1:])

    @precondition(lambda self: self.manual - self.leaving)
    @rule(which=st.integers(0, 9), count=st.integers(1, 9))
    def ask_by_hand(self, which: int, count: int) -> None:
        tags = sorted(self.manual - self.leaving)
        tag = tags[which % len(tags)]
        self.absorb(self.core.ask(tag, count))

    @precondition(lambda self: set(self.high) - self.leaving)
    @rule(which=st.integers(0, 9), count=st.integers(1, 9), greedy=st.booleans())
    def events(self, which: int, count: int, greedy: bool) -> None:
        tags = sorted(set(self.high) - self.leaving)
        tag = tags[which % len(tags)]
        open_demand = self.asked[tag] - len(self.received[tag])
        if not greedy:
            count = min(count, open_demand)
        if count < 1:
            return
        self.excess = self.excess or count > open_demand
        events = range(self.created, self.created + count)
        self.created += count
        self.received[tag] += events
        unwanted = self.in_hand is not None or not self.has_demand_downstream()
        effects = self.core.on_events(f"producer {tag}", tag, events)
        assert not (unwanted and any(isinstance(effect, HandleEvents) for effect in effects))
        self.absorb(effects)

    @precondition(lambda self: set(self.high) - self.leaving)
    @rule(which=st.integers(0, 9), down=st.booleans())
    def end(self, which: int, down: bool) -> None:
        tags = sorted(set(self.high) - self.leaving)
        tag = tags[which % len(tags)]
        self.leaving.add(tag)
        core = self.core
        self.absorb(core.on_down(tag, "killed") if down else core.on_cancelled(tag, "done"))

    @precondition(lambda self: self.in_hand is not None)
    @rule(times=st.integers(0, 2))
    def finish(self, times: int) -> None:
        assert self.in_hand is not None
        done, self.in_hand = self.in_hand, None
        output = [event for event in done.events for _ in range(times)] if self.both_sides else []
        self.made += len(output)
        effects = self.core.handled(output)
        asks = [place for place, effect in enumerate(effects) if isinstance(effect, SendAsk)]
        assert len(asks) <= 1
        for place in asks:
            assert all(not isinstance(effect, HandleEvents) for effect in effects[:place])
            assert effects[place] == SendAsk(done.producer, done.tag, effects[place].count)  # type: ignore[union-attr]
        self.absorb(effects, after_work=True)

    @precondition(lambda self: self.in_hand is None)
    @rule()
    def strangers_change_nothing(self) -> None:
        before = dict(self.core.producers)
        assert self.core.on_events("stranger", -7, [1]) == (
            SendCancel("stranger", -7, "unknown_subscription"),
        )
        assert self.core.on_cancelled(-7, "done") == ()
        assert self.core.on_down(-7, "killed") == ()
        assert self.core.producers == before

    def absorb(self, effects: Effects, *, after_work: bool = False) -> None:
        for effect in effects:
            match effect:
                case HandleEvents(process, tag, events):
                    assert self.in_hand is None
                    assert process == f"producer {tag}"
                    assert tag not in self.told
                    self.in_hand = effect
                    self.worked[tag].extend(events)  # type: ignore[index]
                    self.check_size(tag, len(events))
                case SendAsk(_, tag, count):
                    assert after_work or tag in self.manual or self.asked[tag] == 0  # type: ignore[index]
                    assert tag not in self.told
                    assert count > 0
                    self.asked[tag] += count  # type: ignore[index]
                case HandleCancel("producer", _, _, _, tag):
                    assert self.worked[tag] == self.received[tag]  # type: ignore[index]
                    self.told.append(tag)  # type: ignore[arg-type]
                case Warn():
                    assert self.excess
                case _:
                    self.absorb_downstream(effect)

    def check_size(self, tag: Any, size: int) -> None:
        """Automatic batches are small; where nobody is left to be asked, lists come whole."""
        if tag not in self.manual and tag in self.core.producers:
            options = self.core.producers[tag].options
            assert size <= options.max_demand - options.min_demand

    def absorb_downstream(self, effect: Effect) -> None:
        raise AssertionError(effect)

    @invariant()
    def automatic_demand_never_exceeds_its_maximum(self) -> None:
        for tag in set(self.high) - self.manual:
            open_demand = self.asked[tag] - len(self.received[tag])
            assert open_demand <= self.high[tag]
        for subscription in self.core.producers.values():
            assert subscription.demand >= 0
            if not subscription.manual:
                assert subscription.options.min_demand < subscription.demand
                assert subscription.demand <= subscription.options.max_demand

    @invariant()
    def every_event_is_worked_on_once_and_in_order(self) -> None:
        for tag, events in self.worked.items():
            assert events == self.received[tag][: len(events)]

    @invariant()
    def nothing_waits_for_an_idle_stage(self) -> None:
        if self.in_hand is None and not self.both_sides:
            assert filled(self.worked) == filled(self.received)
            assert set(self.told) == self.leaving

    def teardown(self) -> None:
        """Everything received is worked on in the end, and every end is told once."""
        if not hasattr(self, "core"):
            return
        while self.in_hand is not None:
            self.finish(times=1)
        self.finish_downstream()
        assert filled(self.worked) == filled(self.received)
        assert sorted(self.told) == sorted(self.leaving)

    def has_demand_downstream(self) -> bool:
        return True

    def finish_downstream(self) -> None:
        pass


class ProducerConsumerMachine(ConsumerMachine):
    """The same, but work is done only for the demand of consumers downstream."""

    both_sides = True
    core: ProducerConsumer

    @precondition(lambda self: len(self.below) < 3)
    @rule()
    def consumer_subscribes(self) -> None:
        tag = 1000 + self.created + len(self.below)
        if tag in self.core.consumers:
            return
        self.below[tag] = 0
        effects = self.core.on_subscribe(f"consumer {tag}", tag, {})
        assert effects[0] == HandleSubscribe(f"consumer {tag}", tag, {})
        self.absorb(effects[1:])

    @precondition(lambda self: self.below)
    @rule(which=st.integers(0, 9), count=st.integers(1, 9))
    def consumer_asks(self, which: int, count: int) -> None:
        tag = sorted(self.below)[which % len(self.below)]
        self.below[tag] += count
        self.absorb(self.core.on_ask(f"consumer {tag}", tag, count))

    @precondition(lambda self: self.below)
    @rule(which=st.integers(0, 9), down=st.booleans())
    def consumer_ends(self, which: int, down: bool) -> None:
        tag = sorted(self.below)[which % len(self.below)]
        del self.below[tag]
        core = self.core
        effects = core.on_down(tag, "killed") if down else core.on_cancel(tag, "done")
        self.absorb(effects)

    @rule(count=st.integers(1, 5))
    def emit(self, count: int) -> None:
        self.made += count
        self.absorb(self.core.emit(range(count)))

    def absorb_downstream(self, effect: Effect) -> None:
        match effect:
            case SendEvents(process, tag, events):
                assert events
                assert process == f"consumer {tag}"
                self.below[tag] -= len(events)  # type: ignore[index]
                self.delivered += len(events)
            case SendCancelled() | HandleCancel("consumer"):
                pass
            case StopStage() | _:
                raise AssertionError(effect)

    def absorb(self, effects: Effects, *, after_work: bool = False) -> None:
        # A warning of greedy consumers is no matter here.
        quiet = tuple(e for e in effects if not (isinstance(e, Warn) and "greedy" in e.problem))
        super().absorb(quiet, after_work=after_work)

    @invariant()
    def credit_downstream_is_kept(self) -> None:
        assert all(count >= 0 for count in self.below.values())
        assert self.core.dispatcher.capacity == sum(self.below.values())

    @invariant()
    def output_is_delivered_or_buffered(self) -> None:
        assert self.made == self.delivered + len(self.core.buffer)

    @invariant()
    def neither_output_nor_work_waits_while_somebody_wants_it(self) -> None:
        if self.core.dispatcher.capacity:
            assert not len(self.core.buffer)
            assert self.in_hand is not None or not self.core._queue

    @invariant()
    def nothing_received_is_forgotten(self) -> None:
        in_work = sum(len(work.events) for work in self.core._work)
        in_inbox = sum(len(getattr(message, "events", ())) for message in self.core._inbox)
        worked = sum(len(events) for events in self.worked.values())
        assert self.created == worked + in_work + in_inbox + self.core.queued_count

    def has_demand_downstream(self) -> bool:
        return self.core.dispatcher.capacity > 0

    def finish_downstream(self) -> None:
        self.below[-1] = 0
        self.absorb(self.core.on_subscribe("consumer -1", -1, {})[1:])
        self.below[-1] += 10_000
        self.absorb(self.core.on_ask("consumer -1", -1, 10_000))
        while self.in_hand is not None:
            self.finish(times=1)


LENGTH = settings(max_examples=500, stateful_step_count=30, deadline=None)
TestConsumer = ConsumerMachine.TestCase
TestConsumer.settings = LENGTH
TestProducerConsumer = ProducerConsumerMachine.TestCase
TestProducerConsumer.settings = LENGTH


@given(
    high=st.integers(1, 50),
    low=st.integers(0, 49),
    open_demand=st.integers(0, 50),
    count=st.integers(0, 200),
)
def test_batches_are_all_events_and_asks_fill_the_demand_up(
    high: int, low: int, open_demand: int, count: int
) -> None:
    low, open_demand = min(low, high - 1), min(open_demand, high)
    split = split_batches(count, low, high, open_demand)
    credited = min(count, open_demand)
    assert sum(batch.size for batch in split.batches) == count
    assert all(0 < batch.size <= high - low for batch in split.batches)
    assert split.excess == count - credited
    assert split.demand == open_demand - credited + sum(batch.ask for batch in split.batches)
    if count:
        assert low < split.demand <= high


@given(
    st.integers(1, 9),
    st.integers(0, 8),
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=60),
)
def test_held_demand_never_asks_for_more_than_its_maximum(
    high: int, low: int, steps: list[tuple[bool, int]]
) -> None:
    demand = HeldDemand(high, min(low, high - 1))
    on_the_way = high
    for arrives, count in steps:
        if arrives:
            moved = min(count, on_the_way)
            demand, excess = demand.take(moved)
            on_the_way -= moved
            assert excess == 0
        else:
            demand, ask = demand.finish(min(count, demand.held))
            on_the_way += ask
        assert demand.held + demand.finished + on_the_way == high
        assert demand.held >= 0
        assert demand.finished < max(1, demand.min_demand)
