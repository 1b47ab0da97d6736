"""The arithmetic of demand: what a list of events settles, and when it is time to ask again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple


class Batch(NamedTuple):
    """`size` events to work on together, then an ask for `ask` more (0: none)."""

    size: int
    ask: int


class Split(NamedTuple):
    """The demand left open after a list of events, its batches, and how many came unasked."""

    demand: int
    batches: tuple[Batch, ...]
    excess: int


def split_batches(count: int, min_demand: int, max_demand: int, demand: int) -> Split:
    """Cut `count` events that meet an open `demand` into batches of at most max - min.

    Demand falls with every batch and is filled up to `max_demand` as soon as it is down to
    `min_demand`. Events beyond the demand that was open before them are worked on like the
    others, but they settle nothing.
    """
    size_limit = max_demand - min_demand
    excess = max(0, count - demand)
    open_before = demand
    batches = []
    while count > 0:
        size = min(count, size_limit)
        credited = min(size, open_before)
        count -= size
        open_before -= credited
        demand -= credited
        ask = 0
        if demand <= min_demand:
            ask, demand = max_demand - demand, max_demand
        batches.append(Batch(size, ask))
    return Split(demand, tuple(batches), excess)


@dataclass(frozen=True, slots=True)
class HeldDemand:
    """Demand of a consumer that keeps events for a while instead of finishing them in one go.

    Its first ask is `max_demand`. What it holds counts against that, and it asks for as many as
    it finished once those are `min_demand` or more (gen_stage's ConsumerSupervisor, whose events
    are children that end some time).
    """

    max_demand: int
    min_demand: int
    held: int = 0
    finished: int = 0

    def take(self, count: int) -> tuple[HeldDemand, int]:
        """Hold `count` more events; returns how many of them are in excess of `max_demand`."""
        held = self.held + count
        return replace(self, held=held), min(count, max(0, held - self.max_demand))

    def finish(self, count: int = 1) -> tuple[HeldDemand, int]:
        """`count` held events are done; returns how many to ask for now (0: none yet)."""
        finished = self.finished + count
        ask = finished if finished >= self.min_demand else 0
        return replace(self, held=self.held - count, finished=finished - ask), ask
