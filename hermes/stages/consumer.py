"""The consumer core: subscriptions, batches, and the asks that follow the work.

Only one batch is in hand at a time, as in a gen_stage process: `HandleEvents` is answered by one
call of `handled`, at once or much later, and that call releases the ask of the batch and the next
batch. What arrives in between waits in the inbox.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hermes.core.errors import HermesBug
from hermes.stages.demand import split_batches
from hermes.stages.effects import (
    BAD_OPTIONS,
    NOPROC,
    UNKNOWN_SUBSCRIPTION,
    Effect,
    Effects,
    HandleCancel,
    HandleEvents,
    RefuseSubscription,
    SendAsk,
    SendCancel,
    SendSubscribe,
    StopStage,
    Warn,
)
from hermes.stages.stage import Stage
from hermes.stages.subscription import (
    BadOptions,
    Subscription,
    SubscriptionOptions,
    stops_consumer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hermes.stages.effects import Event, Events, Kind, Options, Process, Reason, Replaces, Tag


class NoBatchInHand(HermesBug):
    """`handled` was called, but no batch was given out."""


@dataclass(frozen=True, slots=True)
class Work:
    """A batch to hand out, and the ask (0: none) that is due once it is handled."""

    producer: Process
    tag: Tag
    events: Events
    ask: int


@dataclass(frozen=True, slots=True)
class Received:
    """Events as they arrived."""

    producer: Process
    tag: Tag
    events: Events


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a subscription as it was told."""

    tag: Tag
    kind: Kind
    reason: Reason


class Consumer(Stage):
    """A stage that only consumes. Demand of a subscription is automatic, or the shell's own."""

    kind: ClassVar[str] = "consumer"

    def __init__(self) -> None:
        self.producers: dict[Tag, Subscription] = {}
        self._in_hand: Work | None = None
        self._work: deque[Work] = deque()
        self._inbox: deque[Received | Ended] = deque()
        self._stopped = False

    def subscribe(
        self,
        producer: Process | None,
        tag: Tag,
        options: Options,
        *,
        replaces: Replaces = None,
        manual: bool = False,
    ) -> Effects:
        """Subscribe to `producer` (None: it is not alive) under a tag never used before.

        `manual`: no ask is sent but through `ask`, and lists are handed over whole; the shell
        then keeps to the demand it means to allow.
        """
        try:
            checked = SubscriptionOptions.checked(options)
        except BadOptions as error:
            return (RefuseSubscription(tag, BAD_OPTIONS, str(error)),)
        if tag in self.producers:
            return (RefuseSubscription(tag, BAD_OPTIONS, f"tag {tag} is in use already"),)
        if producer is None:
            if checked.cancel == "temporary":
                return ()
            return (Warn(f"the producer of {tag} is not alive"), *self._stop(NOPROC))
        demand = 0 if manual else checked.max_demand
        self.producers[tag] = Subscription(producer, checked, manual, demand)
        sent = SendSubscribe(producer, tag, options, replaces)
        return (sent,) if manual else (sent, SendAsk(producer, tag, demand))

    def ask(self, tag: Tag, count: int) -> Effects:
        """Ask by hand, on a manual subscription. Asking for 0, or under an old tag, is void."""
        subscription = self.producers.get(tag)
        if subscription is None or count < 1:
            return ()
        if not subscription.manual:
            return (Warn(f"{self.kind} asked by hand on the automatic subscription {tag}"),)
        subscription.demand += count
        return (SendAsk(subscription.producer, tag, count),)

    def cancel(self, tag: Tag, reason: Reason) -> Effects:
        """Ask the producer to end a subscription; it stands until that confirms."""
        subscription = self.producers.get(tag)
        return () if subscription is None else (SendCancel(subscription.producer, tag, reason),)

    def demand_of(self, tag: Tag) -> int:
        """Events asked under this tag and not received; 0 for an unknown tag."""
        subscription = self.producers.get(tag)
        return 0 if subscription is None else subscription.demand

    def on_events(self, producer: Process, tag: Tag, events: Iterable[Event]) -> Effects:
        """Events came, a non-empty list."""
        events = tuple(events)
        if not events:
            return self.on_stray("empty list of events", producer, tag)
        return self._arrived(Received(producer, tag, events))

    def on_cancelled(self, tag: Tag, reason: Reason) -> Effects:
        """The producer says that a subscription is over."""
        return self._arrived(Ended(tag, "cancel", reason))

    def on_down(self, tag: Tag, reason: Reason) -> Effects:
        """The process at the other end of this subscription is gone."""
        return self._arrived(Ended(tag, "down", reason))

    def on_process_down(self, process: Process, reason: Reason) -> Effects:
        """A process is gone, and with it all its subscriptions."""
        return tuple(
            effect for tag in self.tags_of(process) for effect in self.on_down(tag, reason)
        )

    def tags_of(self, process: Process) -> tuple[Tag, ...]:
        """The subscriptions with this process, in order of subscription."""
        return tuple(tag for tag, known in self.producers.items() if known.producer == process)

    def handled(self, output: Iterable[Event] = ()) -> Effects:
        """The batch in hand is done. Raises NoBatchInHand when none was given out."""
        done, self._in_hand = self._in_hand, None
        if done is None:
            raise NoBatchInHand(f"{self.kind} has no batch in hand")
        if self._stopped:
            return ()
        effects = self._put_out(tuple(output))
        if done.ask:
            effects.append(SendAsk(done.producer, done.tag, done.ask))
        return (*effects, *self._go_on())

    def _put_out(self, output: Events) -> list[Effect]:
        if not output:
            return []
        return [Warn(f"{self.kind} cannot emit events, {len(output)} are lost")]

    def _arrived(self, message: Received | Ended) -> Effects:
        if self._in_hand is not None and not self._stopped:
            self._inbox.append(message)
            return ()
        return (*self._take_in(message), *self._go_on())

    def _take_in(self, message: Received | Ended) -> list[Effect]:
        match message:
            case Received(producer, tag, _) if tag not in self.producers:
                return [SendCancel(producer, tag, UNKNOWN_SUBSCRIPTION)]
            case Received():
                return self._accept(message)
            case Ended(tag, _, _):
                subscription = self.producers.pop(tag, None)
                return [] if subscription is None else self._end(subscription, message)

    def _accept(self, received: Received) -> list[Effect]:
        return self._cut(received)

    def _end(self, subscription: Subscription, ended: Ended) -> list[Effect]:
        """Tell the callback, then stop if the subscription was that important."""
        reason = ended.reason
        effects: list[Effect] = [
            HandleCancel("producer", ended.kind, reason, subscription.producer, ended.tag)
        ]
        if stops_consumer(subscription.options.cancel, reason):
            effects += self._stop(reason)
        return effects

    def _cut(self, received: Received) -> list[Effect]:
        """Make batches of events and settle their demand."""
        producer, tag, events = received.producer, received.tag, received.events
        subscription = self.producers.get(tag)
        if subscription is None or subscription.manual:
            if subscription is not None:
                subscription.demand = max(0, subscription.demand - len(events))
            self._work.append(Work(producer, tag, events, 0))
            return []
        options = subscription.options
        split = split_batches(
            len(events), options.min_demand, options.max_demand, subscription.demand
        )
        subscription.demand = split.demand
        start = 0
        for size, ask in split.batches:
            self._work.append(Work(producer, tag, events[start : start + size], ask))
            start += size
        if not split.excess:
            return []
        return [Warn(f"{self.kind} received {split.excess} events in excess from {producer}")]

    def _go_on(self) -> list[Effect]:
        """Hand out the next batch, or take in what waits, until a batch is in hand."""
        effects: list[Effect] = []
        while self._in_hand is None and (self._work or self._inbox or self._has_queued()):
            if self._work:
                work = self._in_hand = self._work.popleft()
                effects.append(HandleEvents(work.producer, work.tag, work.events))
            elif self._has_queued():
                effects += self._take_queued()
            else:
                effects += self._take_in(self._inbox.popleft())
        return effects

    def _has_queued(self) -> bool:
        return False

    def _take_queued(self) -> list[Effect]:
        return []

    def _stop(self, reason: Reason) -> list[Effect]:
        self._stopped = True
        self.producers.clear()
        self._work.clear()
        self._inbox.clear()
        return [StopStage(reason)]
