"""The producer core: consumers, their demand, and a buffer for what nobody asked for yet.

It follows gen_stage 1.3.2 but for one rule. There, events buffered after a consumer left are not
given to the next one while demand of the former is still open upstream: they starve, or newer
events overtake them. Here the buffer is served whenever the dispatcher has
capacity, and upstream is asked only for capacity that is not on its way already.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from hermes.stages.buffer import Buffer, Keep
from hermes.stages.dispatcher import AlreadySubscribed
from hermes.stages.dispatcher_demand import DemandDispatcher
from hermes.stages.effects import (
    ALREADY_SUBSCRIBED,
    BAD_OPTIONS,
    DUPLICATED_SUBSCRIPTION,
    UNKNOWN_SUBSCRIPTION,
    Effect,
    Effects,
    HandleCancel,
    HandleDemand,
    HandleSubscribe,
    ReportDiscarded,
    SendCancelled,
    StopStage,
    Warn,
)
from hermes.stages.stage import Stage
from hermes.stages.subscription import BadOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hermes.stages.dispatcher import Dispatcher
    from hermes.stages.effects import Event, Events, Kind, Options, Process, Reason, Replaces, Tag

Mode: TypeAlias = Literal["forward", "accumulate"]


class Producer(Stage):
    """A stage that only emits. In mode `accumulate` it holds back demand and events alike.

    The consumers' side is always automatic: a producer cannot choose manual demand for them.
    """

    kind: ClassVar[str] = "producer"

    def __init__(
        self,
        dispatcher: Dispatcher | None = None,
        *,
        buffer_size: int | None = 10_000,
        buffer_keep: Keep = "last",
        mode: Mode = "forward",
    ) -> None:
        """`buffer_size` None: no limit. Raises BadOptions."""
        self.dispatcher: Dispatcher = DemandDispatcher() if dispatcher is None else dispatcher
        self.buffer = Buffer(buffer_size, buffer_keep)
        self.mode: Mode = mode
        self.consumers: dict[Tag, Process] = {}
        self.outstanding = 0
        self._held: deque[int | Events] = deque()  # accumulated: demands and events, as they came
        self._held_count = 0

    @property
    def open_demand(self) -> int:
        """How many events would be sent at once if they were emitted now."""
        return self.dispatcher.capacity

    @property
    def buffered_count(self) -> int:
        """Events in the buffer, and those held back while the stage accumulates."""
        return len(self.buffer) + self._held_count

    def on_subscribe(
        self, process: Process, tag: Tag, options: Options, replaces: Replaces = None
    ) -> Effects:
        """A consumer subscribes. An option its dispatcher cannot take stops the stage."""
        if tag in self.consumers:
            return (
                Warn(f"{self.kind} received a duplicated subscription {tag} from {process}"),
                SendCancelled(process, tag, DUPLICATED_SUBSCRIPTION),
            )
        effects: list[Effect] = []
        if replaces is not None:
            effects += self._forget(replaces[0], "cancel", replaces[1])
        effects.append(HandleSubscribe(process, tag, options))
        try:
            self.dispatcher.subscribe(process, tag, options)
        except AlreadySubscribed:
            effects += _ended(process, tag, "cancel", ALREADY_SUBSCRIBED)
        except BadOptions as error:
            self.consumers.clear()
            return (*effects, StopStage((BAD_OPTIONS, str(error))))
        else:
            self.consumers[tag] = process
        return (*effects, *self._balance())

    def on_ask(self, process: Process, tag: Tag, count: int) -> Effects:
        """A consumer wants `count` more events."""
        if tag not in self.consumers:
            return (SendCancelled(process, tag, UNKNOWN_SUBSCRIPTION),)
        if count < 1:
            return (Warn(f"{self.kind} received an ask for {count} events from {process}"),)
        asked = self.dispatcher.ask(tag, count)
        return (*asked.effects, *self._balance())

    def on_cancel(self, tag: Tag, reason: Reason) -> Effects:
        """A consumer ends its subscription, or the producer itself decided so."""
        return tuple(self._forget(tag, "cancel", reason))

    def on_down(self, tag: Tag, reason: Reason) -> Effects:
        """The process at the other end of this subscription is gone."""
        return tuple(self._forget(tag, "down", reason))

    def on_process_down(self, process: Process, reason: Reason) -> Effects:
        """A process is gone, and with it all its subscriptions."""
        return tuple(
            effect for tag in self.tags_of(process) for effect in self.on_down(tag, reason)
        )

    def tags_of(self, process: Process) -> tuple[Tag, ...]:
        """The subscriptions with this process, in order of subscription."""
        return tuple(tag for tag, known in self.consumers.items() if known == process)

    def emit(self, events: Iterable[Event]) -> Effects:
        """Events to send, from any callback, asked for or not, in any number."""
        events = tuple(events)
        if not events:
            return ()
        self.outstanding = max(0, self.outstanding - len(events))
        if self.mode == "accumulate":
            self._held.append(events)
            self._held_count += len(events)
            return ()
        effects, asked_again = self._dispatch(events)
        return (*effects, *self._balance()) if asked_again else tuple(effects)

    def set_mode(self, mode: Mode) -> Effects:
        """Hold back demand and events, or let go what was held, in order and unmerged."""
        if mode == self.mode:
            return ()
        self.mode = mode
        if mode == "accumulate":
            return ()
        effects = self._serve()
        while self._held:
            held = self._held.popleft()
            if isinstance(held, int):
                effects.append(HandleDemand(held))
            else:
                self._held_count -= len(held)
                effects += self._dispatch(held)[0]
        return (*effects, *self._balance())

    def _forget(self, tag: Tag, kind: Kind, reason: Reason) -> list[Effect]:
        if tag not in self.consumers:
            return []
        effects = _ended(self.consumers.pop(tag), tag, kind, reason)
        effects += self.dispatcher.cancel(tag).effects
        return [*effects, *self._balance()]

    def _dispatch(self, events: Events) -> tuple[list[Effect], bool]:
        """Share events out and buffer the rest; the flag says that selectors asked again."""
        dispatched = self.dispatcher.dispatch(events)
        effects: list[Effect] = [*dispatched.effects]
        if dispatched.leftover and (lost := self.buffer.store(dispatched.leftover)):
            effects.append(ReportDiscarded(lost))
        for tag, count in dispatched.refused:
            effects += self.dispatcher.ask(tag, count).effects
        return effects, bool(dispatched.refused)

    def _serve(self) -> list[Effect]:
        """Give buffered events to consumers while they may take any."""
        effects: list[Effect] = []
        while self.buffer and (capacity := self.dispatcher.capacity) > 0:
            effects += self._dispatch(self.buffer.take(capacity))[0]
        return effects

    def _balance(self) -> list[Effect]:
        """Serve the buffer, then demand what consumers may take and nothing is on its way for."""
        accumulating = self.mode == "accumulate"
        effects = [] if accumulating else self._serve()
        on_its_way = self.outstanding + self.buffered_count
        more = self.dispatcher.capacity - on_its_way
        if more > 0:
            self.outstanding += more
            if accumulating:
                self._held.append(more)
            else:
                effects.append(HandleDemand(more))
        return effects


def _ended(process: Process, tag: Tag, kind: Kind, reason: Reason) -> list[Effect]:
    """The consumer is told, unless it is gone; then the callback, which sees it gone."""
    told: list[Effect] = [SendCancelled(process, tag, reason)] if kind == "cancel" else []
    return [*told, HandleCancel("consumer", kind, reason, process, tag)]
