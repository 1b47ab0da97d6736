"""What a bind holds: how much it asks for, and which job may be submitted next; pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from hermes.core.units import PRIORITIES, TrafficClass


class Holdable(Protocol):
    """A job as the queue sees it: its class and the pair whose order is kept."""

    @property
    def traffic(self) -> TrafficClass: ...

    @property
    def pair(self) -> Hashable: ...


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
    """Jobs in hand, by priority, then by arrival; of one pair only the oldest may go.

    A pair is (source, destination): nothing later is submitted while an earlier one of the pair is
    unanswered. `take` marks the pair busy, `answered` frees it.
    """

    def __init__(self) -> None:
        self.queues: dict[TrafficClass, deque[J]] = {p: deque() for p in PRIORITIES}
        self.busy: set[Hashable] = set()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def __iter__(self) -> Iterator[J]:
        for priority in PRIORITIES:
            yield from self.queues[priority]

    def put(self, job: J) -> None:
        """Add a job behind those of its priority."""
        self.queues[job.traffic].append(job)

    def put_back(self, jobs: list[J]) -> None:
        """Return jobs to the head in their order (throttled, or never written), pairs freed."""
        for job in reversed(jobs):
            self.queues[job.traffic].appendleft(job)
            self.busy.discard(job.pair)

    def take(self, count: int) -> list[J]:
        """Take up to `count` jobs whose pair is free, marking the pairs busy."""
        taken: list[J] = []
        blocked: set[Hashable] = set()
        for priority in PRIORITIES:
            queue = self.queues[priority]
            kept: deque[J] = deque()
            while queue and len(taken) < count:
                job = queue.popleft()
                if job.pair in self.busy or job.pair in blocked:
                    blocked.add(job.pair)
                    kept.append(job)
                else:
                    self.busy.add(job.pair)
                    taken.append(job)
            queue.extendleft(reversed(kept))
        return taken

    def answered(self, job: J) -> None:
        """Free the pair of a job that is answered, uncertain or dropped."""
        self.busy.discard(job.pair)

    def hand_back(self) -> list[J]:
        """Empty the queue and give what was in it, for the belt."""
        jobs = list(self)
        for queue in self.queues.values():
            queue.clear()
        return jobs
