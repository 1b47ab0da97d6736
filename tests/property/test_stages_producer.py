"""Laws of the producer core with each dispatcher, under any order of inputs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes.stages.dispatcher import Dispatcher
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.dispatcher_partition import PartitionDispatcher
from hermes.stages.effects import (
    Effects,
    HandleCancel,
    HandleDemand,
    HandleSubscribe,
    ReportDiscarded,
    SendCancelled,
    SendEvents,
    Warn,
)
from hermes.stages.producer import Producer

PARTITIONS = 3


def by_remainder(event: int) -> tuple[int, int]:
    return event, event % PARTITIONS


def dispatcher_named(name: str) -> Dispatcher:
    match name:
        case "demand":
            return DemandDispatcher()
        case "broadcast":
            return BroadcastDispatcher()
        case _:
            return PartitionDispatcher(PARTITIONS, by_remainder)


def live_tags(dispatcher: Dispatcher) -> set[Any]:
    match dispatcher:
        case DemandDispatcher():
            return {tag for _, tag in dispatcher.demands}
        case BroadcastDispatcher():
            return set(dispatcher.demands)
        case PartitionDispatcher():
            return set(dispatcher._partitions)
        case _:
            raise AssertionError(dispatcher)


def counters(dispatcher: Dispatcher) -> list[int]:
    match dispatcher:
        case DemandDispatcher():
            return [dispatcher.pending, *(count for count, _ in dispatcher.demands)]
        case BroadcastDispatcher():
            waiting = dispatcher.waiting
            return [waiting, dispatcher.requested - waiting, *dispatcher.demands.values()]
        case PartitionDispatcher():
            demands = [slot.demand for slot in dispatcher._slots.values()]
            return [dispatcher.waiting, dispatcher.pending, *demands]
        case _:
            raise AssertionError(dispatcher)


def state_of(core: Producer) -> dict[str, Any]:
    return {
        "dispatcher": {name: repr(value) for name, value in vars(core.dispatcher).items()},
        "buffer": core.buffer.events,
        "consumers": dict(core.consumers),
        "rest": (core.mode, core.outstanding, tuple(core._held), core._held_count),
    }


class ProducerMachine(RuleBasedStateMachine):
    """Consumers come, ask and go; events are emitted in any number, numbered as they come."""

    @initialize(
        name=st.sampled_from(["demand", "broadcast", "partition"]),
        limit=st.sampled_from([None, 0, 3, 8]),
        keep=st.sampled_from(["first", "last"]),
        mode=st.sampled_from(["forward", "forward", "accumulate"]),
    )
    def start(self, name: str, limit: int | None, keep: Any, mode: Any) -> None:
        self.core = Producer(dispatcher_named(name), buffer_size=limit, buffer_keep=keep, mode=mode)
        self.name = name
        self.emitted = self.tags = self.demanded = self.met = 0
        self.asked: dict[int, int] = defaultdict(int)
        self.delivered: dict[int, list[int]] = defaultdict(list)
        self.partition: dict[int, int] = {}
        self.sent: list[int] = []
        self.lost = {"buffer_full": 0, "partition_cancelled": 0}

    # inputs

    @rule(replaced=st.integers(0, 9), replace=st.booleans(), partition=st.integers(0, 2))
    def subscribe(self, replaced: int, replace: bool, partition: int) -> None:
        replaces = None
        if replace:
            live = sorted(self.core.consumers)  # type: ignore[type-var]
            replaces = (live[replaced % len(live)] if live else -1, "moved")
        taken = {self.partition[tag] for tag in self.partition if tag in self.core.consumers}
        if replaces and replaces[0] in self.partition:
            taken.discard(self.partition[replaces[0]])
        if partition in taken and self.name == "partition":
            return
        tag, self.tags = self.tags, self.tags + 1
        self.partition[tag] = partition
        known = replaces is not None and replaces[0] in self.core.consumers
        options = {"partition": partition}
        effects = self.core.on_subscribe(f"process {tag}", tag, options, replaces)
        if known:
            assert replaces is not None
            self.check_end(effects[:2], replaces[0], "cancel", "moved")
            effects = effects[2:]
        assert HandleSubscribe(f"process {tag}", tag, options) in effects
        self.absorb(effects)

    @precondition(lambda self: self.core.consumers)
    @rule(which=st.integers(0, 9), count=st.integers(1, 7))
    def ask(self, which: int, count: int) -> None:
        tag = self.live(which)
        self.asked[tag] += count
        self.absorb(self.core.on_ask(f"process {tag}", tag, count))

    @precondition(lambda self: self.core.consumers)
    @rule(which=st.integers(0, 9), down=st.booleans())
    def end(self, which: int, down: bool) -> None:
        tag = self.live(which)
        if down:
            effects = self.core.on_process_down(f"process {tag}", "killed")
            assert effects[0] == HandleCancel("consumer", "down", "killed", f"process {tag}", tag)
            self.absorb(effects[1:])
        else:
            effects = self.core.on_cancel(tag, "done")
            self.check_end(effects[:2], tag, "cancel", "done")
            self.absorb(effects[2:])

    @rule(count=st.integers(0, 12))
    def emit(self, count: int) -> None:
        events = tuple(range(self.emitted, self.emitted + count))
        self.emitted += count
        self.met += min(count, self.core.outstanding)
        before, taken = self.core.buffer.events, min(count, self.core.dispatcher.capacity)
        held = self.core.mode == "accumulate"
        effects = self.core.emit(events)
        self.absorb(effects)
        if not held:
            self.check_discarded(effects, before + events[taken:])

    @precondition(lambda self: self.core.outstanding and self.core.mode == "forward")
    @rule()
    def emit_what_was_demanded(self) -> None:
        self.emit(self.core.outstanding)

    @rule(mode=st.sampled_from(["forward", "accumulate"]))
    def set_mode(self, mode: Any) -> None:
        self.absorb(self.core.set_mode(mode))

    @rule(count=st.integers(1, 5), which=st.integers(0, 9))
    def strangers_change_nothing(self, count: int, which: int) -> None:
        before = state_of(self.core)
        answer = SendCancelled("stranger", -7, "unknown_subscription")
        assert self.core.on_ask("stranger", -7, count) == (answer,)
        assert self.core.on_cancel(-7, "done") == ()
        assert self.core.on_down(-7, "killed") == ()
        assert self.core.on_process_down("stranger", "killed") == ()
        if self.core.consumers:
            tag = self.live(which)
            assert isinstance(self.core.on_ask("process", tag, 0)[0], Warn)
            twice = self.core.on_subscribe("stranger", tag, {"partition": 0})
            assert twice[1:] == (SendCancelled("stranger", tag, "duplicated_subscription"),)
        assert state_of(self.core) == before

    # what it did

    def live(self, which: int) -> int:
        tags: list[Any] = list(self.core.consumers)
        chosen: int = tags[which % len(tags)]
        return chosen

    def check_end(self, effects: Effects, tag: Any, kind: Any, reason: str) -> None:
        process = f"process {tag}"
        assert effects == (
            SendCancelled(process, tag, reason),
            HandleCancel("consumer", kind, reason, process, tag),
        )

    def check_discarded(self, effects: Effects, wanted: tuple[int, ...]) -> None:
        buffer = self.core.buffer
        limit = len(wanted) if buffer.limit is None else buffer.limit
        kept = wanted[:limit] if buffer.keep == "first" else wanted[max(0, len(wanted) - limit) :]
        assert buffer.events == kept
        lost = len(wanted) - len(kept)
        reported = [effect for effect in effects if isinstance(effect, ReportDiscarded)]
        assert reported == ([ReportDiscarded(lost)] if lost else [])

    def absorb(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case SendEvents(process, tag, events):
                    assert events
                    assert self.core.consumers.get(tag) == process
                    self.delivered[tag].extend(events)  # type: ignore[index]
                    self.sent.extend(events)
                case HandleDemand(count):
                    assert count > 0
                    assert self.core.mode == "forward"
                    self.demanded += count
                case ReportDiscarded(count, cause):
                    assert count > 0
                    self.lost[cause] += count
                case HandleSubscribe() | Warn():
                    pass
                case _:
                    raise AssertionError(effect)

    # the laws

    @invariant()
    def credit_is_kept(self) -> None:
        for tag, events in self.delivered.items():
            assert len(events) <= self.asked[tag]

    @invariant()
    def nothing_is_lost_and_nothing_doubled(self) -> None:
        queued = 0
        if isinstance(self.core.dispatcher, PartitionDispatcher):
            queued = sum(len(slot.queue) for slot in self.core.dispatcher._slots.values())
        if self.name != "broadcast":
            assert len(self.sent) == len(set(self.sent))
        waiting = self.core.buffered_count + queued + sum(self.lost.values())
        assert self.emitted == len(set(self.sent)) + waiting

    @invariant()
    def order_is_kept(self) -> None:
        for events in self.delivered.values():
            assert events == sorted(set(events))
        if self.lost["buffer_full"]:
            return
        if self.name == "demand":
            assert self.sent == list(range(len(self.sent)))
        if self.name == "broadcast":
            for events in self.delivered.values():
                assert not events or events == list(range(events[0], events[-1] + 1))

    @invariant()
    def no_event_waits_while_somebody_wants_it(self) -> None:
        if self.core.mode == "forward":
            assert not len(self.core.buffer) or not self.core.dispatcher.capacity

    @invariant()
    def nothing_is_demanded_twice_and_nothing_forgotten(self) -> None:
        held = sum(entry for entry in self.core._held if isinstance(entry, int))
        assert self.demanded + held == self.met + self.core.outstanding
        on_its_way = self.core.outstanding + self.core.buffered_count
        assert self.core.dispatcher.capacity <= on_its_way

    @invariant()
    def a_broadcast_keeps_to_the_slowest(self) -> None:
        if self.name == "broadcast" and self.core.consumers:
            tags: list[Any] = list(self.core.consumers)
            open_demand = [self.asked[tag] - len(self.delivered[tag]) for tag in tags]
            assert self.core.dispatcher.capacity <= min(open_demand)

    @invariant()
    def counters_are_sound_and_the_dispatcher_knows_who_is_there(self) -> None:
        assert min(counters(self.core.dispatcher)) >= 0
        assert self.core.outstanding >= 0
        assert live_tags(self.core.dispatcher) == set(self.core.consumers)
        if isinstance(self.core.dispatcher, DemandDispatcher):
            counts = [count for count, _ in self.core.dispatcher.demands]
            assert counts == sorted(counts, reverse=True)

    @invariant()
    def the_buffer_keeps_to_its_limit(self) -> None:
        limit = self.core.buffer.limit
        assert limit is None or len(self.core.buffer) <= limit
        assert self.core.buffer.discarded_count == self.lost["buffer_full"]


TestProducer = ProducerMachine.TestCase
TestProducer.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)


@given(
    asks=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=40),
    consumers=st.integers(1, 4),
    supply=st.integers(0, 12),
)
def test_a_broadcast_demands_no_more_than_its_slowest_consumer_asked(
    asks: list[tuple[int, int]], consumers: int, supply: int
) -> None:
    core = Producer(BroadcastDispatcher())
    for tag in range(consumers):
        core.on_subscribe(f"process {tag}", tag, {})
    asked = [0] * consumers
    demanded = 0
    for which, count in asks:
        tag = which % consumers
        asked[tag] += count
        effects = core.on_ask(f"process {tag}", tag, count)
        demanded += sum(e.count for e in effects if isinstance(e, HandleDemand))
        assert demanded <= min(asked)
        core.emit(range(min(supply, core.outstanding)))


@given(
    accepted=st.lists(st.booleans(), min_size=1, max_size=60),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=20),
)
def test_a_selector_costs_its_consumer_no_demand(accepted: list[bool], sizes: list[int]) -> None:
    """With supply on demand, a consumer gets as many events as it asked for, and only its own."""
    core = Producer(BroadcastDispatcher())
    core.on_subscribe("A", "a", {"selector": lambda event: accepted[event]})
    got: list[int] = []
    asked = emitted = 0
    for size in sizes:
        asked += size
        queue = list(core.on_ask("A", "a", size))
        while queue:
            effect = queue.pop(0)
            if isinstance(effect, SendEvents):
                got += effect.events
            if isinstance(effect, HandleDemand) and emitted < len(accepted):
                events = range(emitted, min(emitted + effect.count, len(accepted)))
                emitted += len(events)
                queue += core.emit(events)
        wanted = [event for event, accept in enumerate(accepted) if accept]
        assert got == wanted[:asked]


@given(
    dispatcher=st.sampled_from(["demand", "broadcast", "partition"]),
    asked=st.integers(1, 30),
    emitted=st.lists(st.integers(1, 10), max_size=6),
    again=st.lists(st.integers(1, 10), min_size=1, max_size=12),
)
def test_what_was_buffered_when_a_consumer_left_reaches_the_next_in_order(
    dispatcher: str, asked: int, emitted: list[int], again: list[int]
) -> None:
    core = Producer(dispatcher_named(dispatcher))
    core.on_subscribe("A", "a", {"partition": 0})
    core.on_ask("A", "a", asked)
    core.on_process_down("A", "killed")
    for count in emitted:
        core.emit(range(0, PARTITIONS * count, PARTITIONS))
    core.on_subscribe("B", "b", {"partition": 0})
    got = sum(
        len(effect.events)
        for count in again
        for effect in core.on_ask("B", "b", count)
        if isinstance(effect, SendEvents)
    )
    assert got == min(sum(again), sum(emitted))
