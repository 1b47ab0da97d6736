"""The producer-consumer core: works on events only while somebody downstream wants the result."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from hermes.stages.consumer import Consumer, Ended, Received
from hermes.stages.effects import Effects, Warn
from hermes.stages.producer import Mode, Producer

if TYPE_CHECKING:
    from hermes.stages.buffer import Keep
    from hermes.stages.dispatcher import Dispatcher
    from hermes.stages.effects import Effect, Events, Process, Reason, Tag
    from hermes.stages.subscription import Subscription


class ProducerConsumer(Producer, Consumer):
    """A stage with both sides. Received events wait in an inner queue for capacity downstream.

    So it stops asking upstream when nobody asks it. The end of a subscription queues behind the
    events received before it: none is lost because its producer went. Output beyond the demand
    is buffered, by default without limit.
    """

    kind: ClassVar[str] = "producer_consumer"

    def __init__(
        self,
        dispatcher: Dispatcher | None = None,
        *,
        buffer_size: int | None = None,
        buffer_keep: Keep = "last",
    ) -> None:
        """`buffer_size` None: no limit. Raises BadOptions."""
        Producer.__init__(self, dispatcher, buffer_size=buffer_size, buffer_keep=buffer_keep)
        Consumer.__init__(self)
        self._queue: deque[Received | tuple[Subscription, Ended]] = deque()

    @property
    def queued_count(self) -> int:
        """Events received and not yet cut into batches."""
        return sum(len(entry.events) for entry in self._queue if isinstance(entry, Received))

    def on_down(self, tag: Tag, reason: Reason) -> Effects:
        """The process at the other end of this subscription, on either side, is gone."""
        side = Producer if tag in self.consumers else Consumer
        return side.on_down(self, tag, reason)

    def tags_of(self, process: Process) -> tuple[Tag, ...]:
        """The subscriptions with this process, those it made first."""
        return (*Producer.tags_of(self, process), *Consumer.tags_of(self, process))

    def set_mode(self, mode: Mode) -> Effects:
        """A producer_consumer always forwards."""
        if mode == "forward":
            return ()
        return (Warn("demand can be accumulated by a producer only"),)

    def _balance(self) -> list[Effect]:
        return [*self._serve(), *self._go_on()]

    def _put_out(self, output: Events) -> list[Effect]:
        if not output:
            return []
        effects, _ = self._dispatch(output)
        return [*effects, *self._serve()]

    def _accept(self, received: Received) -> list[Effect]:
        self._queue.append(received)
        return []

    def _end(self, subscription: Subscription, ended: Ended) -> list[Effect]:
        if not self._queue:
            return super()._end(subscription, ended)
        self._queue.append((subscription, ended))
        return []

    def _has_queued(self) -> bool:
        return bool(self._queue) and self.dispatcher.capacity > 0

    def _take_queued(self) -> list[Effect]:
        entry = self._queue.popleft()
        if isinstance(entry, Received):
            return self._cut(entry)
        return super()._end(*entry)

    def _stop(self, reason: Reason) -> list[Effect]:
        self.consumers.clear()
        self._queue.clear()
        return super()._stop(reason)
