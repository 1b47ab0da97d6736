"""How demand is shared among the priorities: deficit round robin, strict above a floor of 5 %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from hermes.core.units import PRIORITIES, Priority

FLOOR: Final = 20
"""One in so many messages is every priority's own: 5 %."""
MOST_OWED: Final = 20
"""Messages a priority can have to its credit; without a bound, one that was blocked floods."""


class PriorityPull(NamedTuple):
    """Pull `n` messages of one priority."""

    priority: Priority
    n: int


@dataclass(frozen=True, slots=True)
class Shares:
    """What each priority has to its credit, in twentieths of a message, in order of priority."""

    owed: tuple[int, ...] = (0,) * len(PRIORITIES)

    def plan(
        self, n: int, backlog: Mapping[Priority, int | None]
    ) -> tuple[Shares, tuple[PriorityPull, ...]]:
        """Share a demand of n messages, most urgent first.

        `backlog` in messages; None or absent means unknown, and is taken for enough. A priority
        is given what it is owed, then the rest goes by strict priority. One known to be empty is
        owed nothing. The pulls sum to n, or to the whole backlog where that is less.
        """
        waiting = [backlog.get(priority) for priority in PRIORITIES]
        most = [n if known is None else min(n, max(0, known)) for known in waiting]
        owed = [
            min(credit, MOST_OWED * FLOOR) + n if room else 0
            for credit, room in zip(self.owed, most, strict=True)
        ]
        given = [0] * len(PRIORITIES)
        left = n
        # who is owed most comes first, so that a demand of one cannot pass the last one by for ever
        for i in sorted(range(len(PRIORITIES)), key=lambda i: -owed[i]):
            given[i] = min(owed[i] // FLOOR, most[i], left)
            left -= given[i]
        for i, room in enumerate(most):
            more = min(room - given[i], left)
            given[i] += more
            left -= more
        rest = tuple(max(0, credit - FLOOR * g) for credit, g in zip(owed, given, strict=True))
        pulls = zip(PRIORITIES, given, strict=True)
        return Shares(rest), tuple(PriorityPull(p, g) for p, g in pulls if g)
