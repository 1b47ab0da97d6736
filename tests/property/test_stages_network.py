"""Laws of stages at work together: messages cross, processes crash and come back."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes.stages.consumer import Consumer
from hermes.stages.dispatcher_broadcast import BroadcastDispatcher
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.effects import HandleCancel, HandleEvents, SendAsk, SendCancelled
from hermes.stages.producer import Producer
from tests.unit.stages.network import Counter, Network, Shell

MAX_CONSUMERS = 3


class NetworkMachine(RuleBasedStateMachine):
    """One producer and some consumers, every process with a name used once, as a pid."""

    @initialize(broadcast=st.booleans(), buffer_size=st.sampled_from([5, None]))
    def start(self, broadcast: bool, buffer_size: int | None) -> None:
        self.broadcast, self.buffer_size = broadcast, buffer_size
        self.net = Network()
        self.names = self.tags = 0
        self.supply = Counter()
        self.owed = 0
        self.limits: dict[Any, int] = {}
        self.gone: list[Shell] = []
        self.start_producer()

    def start_producer(self) -> None:
        self.producer = self.new_name("producer")
        dispatcher = BroadcastDispatcher() if self.broadcast else DemandDispatcher()
        core = Producer(dispatcher, buffer_size=self.buffer_size)
        self.owed = 0
        self.net.shells[self.producer] = Shell(core, on_demand=self.remember)

    def remember(self, count: int) -> tuple[int, ...]:
        self.owed += count
        return ()

    def new_name(self, kind: str) -> str:
        self.names += 1
        return f"{kind} {self.names}"

    @property
    def consumers(self) -> dict[str, Shell]:
        return {
            name: shell
            for name, shell in self.net.shells.items()
            if isinstance(shell.core, Consumer)
        }

    def pick(self, which: int) -> str:
        names = list(self.consumers)
        return names[which % len(names)]

    # inputs

    @precondition(lambda self: len(self.consumers) < MAX_CONSUMERS)
    @rule()
    def consumer_starts(self) -> None:
        self.net.shells[self.new_name("consumer")] = Shell(Consumer())

    @precondition(lambda self: self.consumers)
    @rule(which=st.integers(0, 9), high=st.integers(1, 6), low=st.integers(0, 5))
    def subscribe(self, which: int, high: int, low: int) -> None:
        name = self.pick(which)
        if self.consumers[name].core.tags_of(self.producer):
            return
        self.subscribe_as(name, high, min(low, high - 1))

    def subscribe_as(self, name: str, high: int, low: int) -> None:
        self.tags += 1
        tag = f"tag {self.tags}"
        self.limits[tag] = high
        options = {"max_demand": high, "min_demand": low, "cancel": "temporary"}
        self.net.subscribe(name, self.producer, tag, **options)

    @precondition(lambda self: self.net.mail)
    @rule(which=st.integers(0, 30), count=st.integers(1, 6))
    def deliver(self, which: int, count: int) -> None:
        for _ in range(count):
            pairs = self.net.pairs()
            if pairs:
                self.net.deliver(*pairs[which % len(pairs)])

    @rule(count=st.integers(1, 8))
    def emit(self, count: int) -> None:
        self.owed = max(0, self.owed - count)
        events = self.supply(count)
        self.net.call(self.producer, lambda core: core.emit(events))

    @precondition(lambda self: self.owed)
    @rule()
    def emit_what_was_demanded(self) -> None:
        self.emit(self.owed)

    @rule(mode=st.sampled_from(["forward", "accumulate"]))
    def set_mode(self, mode: Any) -> None:
        self.net.call(self.producer, lambda core: core.set_mode(mode))

    @precondition(lambda self: self.consumers)
    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        name = self.pick(which)
        for tag in self.consumers[name].core.tags_of(self.producer):
            self.net.call(name, lambda core, tag=tag: core.cancel(tag, "done"))  # type: ignore[misc]

    @precondition(lambda self: self.consumers)
    @rule(which=st.integers(0, 9))
    def consumer_crashes(self, which: int) -> None:
        name = self.pick(which)
        self.gone.append(self.net.shells[name])
        self.net.end(name, "killed")

    @rule()
    def producer_crashes_and_restarts(self) -> None:
        self.net.end(self.producer, "killed")
        self.start_producer()

    # the laws

    @invariant()
    def no_automatic_subscription_has_more_on_its_way_than_its_maximum(self) -> None:
        for shell in [*self.consumers.values(), *self.gone]:
            asked: dict[Any, int] = {}
            for effect in shell.of(SendAsk, HandleEvents):
                if isinstance(effect, SendAsk):
                    asked[effect.tag] = asked.get(effect.tag, 0) + effect.count
                    assert asked[effect.tag] <= self.limits[effect.tag]
                else:
                    asked[effect.tag] -= len(effect.events)
                    assert asked[effect.tag] >= 0

    @invariant()
    def each_subscription_sees_events_in_order(self) -> None:
        for shell in [*self.consumers.values(), *self.gone]:
            seen: dict[Any, int] = {}
            for effect in shell.of(HandleEvents):
                for event in effect.events:
                    assert event > seen.get(effect.tag, -1)
                    seen[effect.tag] = event

    @invariant()
    def no_event_waits_while_somebody_wants_it(self) -> None:
        core = self.net.shells[self.producer].core
        if core.mode == "forward":
            assert not len(core.buffer) or not core.dispatcher.capacity

    @invariant()
    def every_end_is_confirmed_once(self) -> None:
        shell = self.net.shells[self.producer]
        told = [e.tag for e in shell.of(HandleCancel)]
        assert len(told) == len(set(told))
        confirmed = [e.tag for e in shell.of(SendCancelled) if e.reason == "done"]
        assert set(confirmed) <= set(told)
        assert len(confirmed) == len(set(confirmed))

    def teardown(self) -> None:
        """With supply without end, every consumer that stays is served for ever."""
        if not hasattr(self, "net"):
            return
        self.net.shells[self.producer].on_demand = self.supply
        self.set_mode("forward")
        if self.owed:
            self.emit(self.owed)
        self.net.run(len(self.net.mail) + 60)
        for name, shell in self.consumers.items():
            if not shell.core.tags_of(self.producer):
                self.subscribe_as(name, 4, 2)
        before = {name: len(shell.events()) for name, shell in self.consumers.items()}
        self.net.run(120 * len(before))
        for name, shell in self.consumers.items():
            assert len(shell.events()) > before[name] + 10
            for subscription in shell.core.producers.values():
                assert subscription.demand > subscription.options.min_demand


TestNetwork = NetworkMachine.TestCase
TestNetwork.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)
