"""The partition dispatcher: a hash decides to which partition, and so to whom, an event goes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from hermes.stages.dispatcher import NOTHING_NEW, Dispatched
from hermes.stages.effects import ReportDiscarded, SendEvents
from hermes.stages.subscription import BadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from hermes.stages.effects import Event, Events, Options, Process, Tag

Partition: TypeAlias = "Hashable"
HashEvent: TypeAlias = "Callable[[Event], tuple[Event, Partition] | None]"
"""The event as it is to be sent and its partition; None discards the event."""


@dataclass(slots=True)
class _Slot:
    """One partition. A queue stands only while demand is 0."""

    consumer: tuple[Process, Tag] | None = None
    demand: int = 0
    queue: deque[Event] = field(default_factory=deque)

    def send(self) -> SendEvents | None:
        count = min(self.demand, len(self.queue))
        if self.consumer is None or not count:
            return None
        self.demand -= count
        process, tag = self.consumer
        return SendEvents(process, tag, tuple(self.queue.popleft() for _ in range(count)))


class PartitionDispatcher:
    """`waiting`: events that may be dispatched now, whatever their partition. `pending`: demand
    of consumers that left. Each partition has one consumer at most, named by `partition=` at
    subscription. Uneven traffic fills the queue of the busy partition.
    """

    def __init__(self, partitions: int | Iterable[Partition], hash_event: HashEvent) -> None:
        names = range(partitions) if isinstance(partitions, int) else partitions
        self.waiting = 0
        self.pending = 0
        self._hash_event = hash_event
        self._slots: dict[Partition, _Slot] = {name: _Slot() for name in names}
        self._partitions: dict[Tag, Partition] = {}
        if not self._slots:
            raise BadOptions("a partition dispatcher needs at least one partition")

    @property
    def capacity(self) -> int:
        return self.waiting

    @property
    def demands(self) -> dict[Partition, int]:
        """Per partition: demand open there, or minus the length of its queue."""
        return {name: slot.demand - len(slot.queue) for name, slot in self._slots.items()}

    def subscribe(self, process: Process, tag: Tag, options: Options, /) -> Dispatched:
        if "partition" not in options:
            raise BadOptions("the option partition is required by a partition dispatcher")
        partition = options["partition"]
        slot = self._slots.get(partition)
        if slot is None:
            known = ", ".join(repr(name) for name in self._slots)
            raise BadOptions(f"expected partition to be one of {known}, got: {partition!r}")
        if slot.consumer is not None:
            raise BadOptions(f"partition {partition!r} is taken already by {slot.consumer[0]}")
        slot.consumer = (process, tag)
        self._partitions[tag] = partition
        return NOTHING_NEW

    def ask(self, tag: Tag, count: int) -> Dispatched:
        slot = self._slots[self._partitions[tag]]
        slot.demand += count
        send = slot.send()
        already_sent = min(self.pending, count)
        self.pending -= already_sent
        demand = count - already_sent
        self.waiting += demand
        return Dispatched(demand, effects=() if send is None else (send,))

    def cancel(self, tag: Tag) -> Dispatched:
        partition = self._partitions.pop(tag)
        left, self._slots[partition] = self._slots[partition], _Slot()
        self.pending += left.demand
        dropped = len(left.queue)
        if not dropped:
            return NOTHING_NEW
        self.waiting += dropped
        return Dispatched(dropped, effects=(ReportDiscarded(dropped, "partition_cancelled"),))

    def dispatch(self, events: Events) -> Dispatched:
        taken = 0
        touched: dict[Partition, _Slot] = {}
        for event in events:
            if self.waiting == 0:
                break
            taken += 1
            hashed = self._hash_event(event)
            if hashed is None:
                continue
            event_to_send, partition = hashed
            slot = self._slots.get(partition)
            if slot is None:
                raise BadOptions(f"the hash gave an unknown partition: {partition!r}")
            slot.queue.append(event_to_send)
            touched[partition] = slot
            self.waiting -= 1
        sends = [send for slot in touched.values() if (send := slot.send()) is not None]
        return Dispatched(leftover=events[taken:], effects=tuple(sends))
