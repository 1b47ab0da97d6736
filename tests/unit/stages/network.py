"""Stages in one thread: shells that carry effects out at once and a mailbox per pair of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from hermes.stages.consumer import Consumer
from hermes.stages.effects import (
    Effect,
    Effects,
    HandleCancel,
    HandleDemand,
    HandleEvents,
    HandleSubscribe,
    RefuseSubscription,
    ReportDiscarded,
    SendAsk,
    SendCancel,
    SendCancelled,
    SendEvents,
    SendSubscribe,
    StopStage,
    Warn,
    carry_out,
)
from hermes.stages.producer import Producer
from hermes.stages.producer_consumer import ProducerConsumer

Core: TypeAlias = Producer | Consumer | ProducerConsumer
Call: TypeAlias = Callable[[Any], Effects]

NO_EVENTS: tuple[int, ...] = ()


@dataclass
class Shell:
    """One process: a core, and the callbacks a program would write."""

    core: Any
    on_demand: Callable[[int], Iterable[int]] = lambda _: NO_EVENTS
    on_batch: Callable[[tuple[int, ...]], Iterable[int]] = lambda _: NO_EVENTS
    seen: list[Effect] = field(default_factory=list)

    def batches(self) -> list[list[Any]]:
        """Every batch handled so far."""
        return [list(effect.events) for effect in self.of(HandleEvents)]

    def events(self) -> list[Any]:
        """Every event handled so far."""
        return [event for effect in self.of(HandleEvents) for event in effect.events]

    def of(self, *kinds: type[Any]) -> list[Any]:
        """The effects of these kinds, in the order they were carried out."""
        return [effect for effect in self.seen if isinstance(effect, kinds)]


class Network:
    """Processes by name. Messages between two of them arrive in the order they were sent."""

    def __init__(self, **shells: Shell) -> None:
        self.shells = dict(shells)
        self.mail: deque[tuple[str, str, Call]] = deque()

    def call(self, name: str, call: Call) -> None:
        """Let a process do something now, such as `lambda core: core.emit([1])`."""
        shell = self.shells[name]
        carry_out(call(shell.core), lambda effect: self._perform(name, shell, effect))

    def run(self, messages: int = 10_000) -> int:
        """Deliver up to so many messages, oldest first; returns how many there were."""
        for delivered in range(messages):
            if not self.mail:
                return delivered
            self.deliver(*self.mail[0][:2])
        return messages

    def pairs(self) -> list[tuple[str, str]]:
        """Senders and receivers between which a message is on its way."""
        return list(dict.fromkeys((sender, to) for sender, to, _ in self.mail))

    def deliver(self, sender: str, to: str) -> None:
        """Deliver the oldest message between two processes; one to nobody is lost."""
        place = next(i for i, mail in enumerate(self.mail) if mail[:2] == (sender, to))
        _, _, call = self.mail[place]
        del self.mail[place]
        if to in self.shells:
            self.call(to, call)

    def subscribe(self, consumer: str, producer: str, tag: str = "", **options: Any) -> str:
        """Subscribe, without delivering anything yet; `manual` and `replaces` as in the core."""
        tag = tag or f"{consumer}<{producer}"
        manual = options.pop("manual", False)
        replaces = options.pop("replaces", None)
        alive = producer if producer in self.shells else None
        self.call(
            consumer,
            lambda core: core.subscribe(alive, tag, options, replaces=replaces, manual=manual),
        )
        return tag

    def end(self, name: str, reason: Any) -> None:
        """A process ends; those that share a subscription with it learn of it in time."""
        self.shells.pop(name, None)
        for other in self.shells:
            self._post(name, other, lambda core: core.on_process_down(name, reason))

    def _perform(self, name: str, shell: Shell, effect: Effect) -> Effects:
        shell.seen.append(effect)
        match effect:
            case SendSubscribe(to, tag, options, replaces):
                self._post(name, to, lambda core: core.on_subscribe(name, tag, options, replaces))
            case SendAsk(to, tag, count):
                self._post(name, to, lambda core: core.on_ask(name, tag, count))
            case SendCancel(to, tag, reason):
                self._post(name, to, lambda core: core.on_cancel(tag, reason))
            case SendEvents(to, tag, events):
                self._post(name, to, lambda core: core.on_events(name, tag, events))
            case SendCancelled(to, tag, reason):
                self._post(name, to, lambda core: core.on_cancelled(tag, reason))
            case HandleDemand(count):
                emitted: Effects = shell.core.emit(shell.on_demand(count))
                return emitted
            case HandleEvents(_, _, events):
                followed: Effects = shell.core.handled(shell.on_batch(events))
                return followed
            case StopStage(reason):
                self.end(name, reason)
            case HandleSubscribe() | HandleCancel() | RefuseSubscription():
                pass
            case ReportDiscarded() | Warn():
                pass
            case never:
                assert_never(never)
        return ()

    def _post(self, sender: str, to: Any, call: Call) -> None:
        self.mail.append((sender, to, call))


class Counter:
    """Supply without end: as many of the next integers as were demanded."""

    def __init__(self, start: int = 0) -> None:
        self.next = start
        self.demands: list[int] = []

    def __call__(self, count: int) -> range:
        self.demands.append(count)
        first, self.next = self.next, self.next + count
        return range(first, self.next)


def counting(core: Producer | None = None) -> Shell:
    """A producer that emits what it is asked for, counting from 0."""
    return Shell(core or Producer(), on_demand=Counter())


def double(events: tuple[int, ...]) -> list[int]:
    """Every event twice."""
    return [event for event in events for _ in range(2)]
