"""What a bind holds: how much it asks for, and which job may be submitted next; pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from hermes.core.units import PRIORITIES, TrafficClass


class Holdable(Protocol):
    """A part of a job as the queue sees it: its class, the pair whose order is kept, its job.

    `has_begun` says that another part of the job is out or answered.
    """

    @property
    def traffic(self) -> TrafficClass: ...

    @property
    def pair(self) -> Hashable: ...

    @property
    def owner(self) -> Hashable: ...

    @property
    def has_begun(self) -> bool: ...


J = TypeVar("J", bound=Holdable)


def ready_target(rate: float, window: int, ready_s: float) -> int:
    """Give how many unclaimed jobs to hold: `ready_s` of work at `rate`/s, 1 to one window."""
    return max(1, min(window, math.ceil(rate * ready_s)))


def next_ask(*, window: int, ready: int, in_flight: int, held: int, asked: int) -> int:
    """Give how many jobs to ask for now, 0 for none.

    demand = window + ready - (in flight + held); what was asked and not delivered counts as held.
    Asks wait until half of ready is missing, because a round trip costs more than a slot.
    """
    missing = window + ready - (in_flight + held + asked)
    return missing if missing >= max(1, ready // 2) else 0


class ReadyQueue(Generic[J]):
    """Parts in hand, by priority, then by arrival; of one pair only the oldest job may go.

    A pair is (source, destination): nothing later is submitted while an earlier job of the pair is
    unanswered. `take` marks the pair busy for the job, `free` ends that.
    """

    def __init__(self) -> None:
        self.queues: dict[TrafficClass, deque[J]] = {p: deque() for p in PRIORITIES}
        self.busy: dict[Hashable, Hashable] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def __iter__(self) -> Iterator[J]:
        for priority in PRIORITIES:
            yield from self.queues[priority]

    def put(self, part: J) -> None:
        """Add a part behind those of its priority."""
        self.queues[part.traffic].append(part)

    def put_back(self, parts: Sequence[J]) -> None:
        """Return parts to the head in their order (throttled, or never written).

        The pair of a job that has not begun is free again.
        """
        for part in reversed(parts):
            self.queues[part.traffic].appendleft(part)
            if not part.has_begun:
                self.busy.pop(part.pair, None)

    def take(self, count: int) -> list[J]:
        """Take up to `count` parts whose pair is free or their job's, marking the pairs busy."""
        taken: list[J] = []
        blocked: set[Hashable] = set()
        for priority in PRIORITIES:
            queue = self.queues[priority]
            kept: deque[J] = deque()
            while queue and len(taken) < count:
                part = queue.popleft()
                pair = part.pair
                if pair in blocked or self.busy.setdefault(pair, part.owner) is not part.owner:
                    blocked.add(pair)
                    kept.append(part)
                else:
                    taken.append(part)
            queue.extendleft(reversed(kept))
        return taken

    def free(self, part: J) -> None:
        """Let the next job of a pair go: this one is answered, uncertain or dropped."""
        if self.busy.get(part.pair) is part.owner:
            del self.busy[part.pair]

    def remove(self, owner: Hashable) -> list[J]:
        """Take a job's parts out of the queue."""
        gone = [part for part in self if part.owner is owner]
        if gone:
            queue = self.queues[gone[0].traffic]
            kept = [part for part in queue if part.owner is not owner]
            queue.clear()
            queue.extend(kept)
        return gone

    def hand_back(self) -> list[J]:
        """Empty the queue and give what was in it, for the belt."""
        parts = list(self)
        for queue in self.queues.values():
            queue.clear()
        return parts
