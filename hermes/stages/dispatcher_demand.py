"""The demand dispatcher: events go to the consumer that has asked for most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes.stages.dispatcher import NOTHING_NEW, Dispatched
from hermes.stages.effects import SendEvents, Warn

if TYPE_CHECKING:
    from hermes.stages.effects import Events, Options, Process, Tag


class DemandDispatcher:
    """`demands` is sorted by count, highest first; equal counts stay in order of arrival.

    `pending` is demand of consumers that left: it went upstream already, so the events for it
    will come, and the next asks are answered out of it. `max_demand` is what an ask may be at
    most without a warning (None: as much as the first ask).
    """

    def __init__(self, max_demand: int | None = None) -> None:
        self.demands: list[tuple[int, Tag]] = []
        self.pending = 0
        self.max_demand = max_demand
        self._processes: dict[Tag, Process] = {}

    @property
    def capacity(self) -> int:
        return sum(count for count, _ in self.demands)

    def subscribe(self, process: Process, tag: Tag, _options: Options, /) -> Dispatched:
        self._processes[tag] = process
        self.demands.append((0, tag))
        return NOTHING_NEW

    def ask(self, tag: Tag, count: int) -> Dispatched:
        if self.max_demand is None:
            self.max_demand = count
        self._insert(self._remove(tag) + count, tag)
        already_sent = min(self.pending, count)
        self.pending -= already_sent
        demand = count - already_sent
        if count <= self.max_demand:
            return Dispatched(demand)
        greedy = Warn(
            f"demand dispatcher expects asks of at most {self.max_demand}, got {count} from"
            f" {self._processes[tag]}: different maximum demands overload greedy consumers"
        )
        return Dispatched(demand, effects=(greedy,))

    def cancel(self, tag: Tag) -> Dispatched:
        self.pending += self._remove(tag)
        del self._processes[tag]
        return NOTHING_NEW

    def dispatch(self, events: Events) -> Dispatched:
        sends = []
        start = 0
        while start < len(events) and self.demands and self.demands[0][0] > 0:
            count, tag = self.demands.pop(0)
            part = events[start : start + count]
            start += len(part)
            sends.append(SendEvents(self._processes[tag], tag, part))
            self._insert(count - len(part), tag)
        leftover = events[start:]
        # Leftovers are buffered: they answer demand that went upstream for consumers that left.
        self.pending = max(0, self.pending - len(leftover))
        return Dispatched(leftover=leftover, effects=tuple(sends))

    def _remove(self, tag: Tag) -> int:
        for place, (count, known) in enumerate(self.demands):
            if known == tag:
                del self.demands[place]
                return count
        raise KeyError(tag)

    def _insert(self, count: int, tag: Tag) -> None:
        demands = self.demands
        place = next((i for i, (other, _) in enumerate(demands) if count > other), len(demands))
        demands.insert(place, (count, tag))
