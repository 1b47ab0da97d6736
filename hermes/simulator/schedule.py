"""What is due when: a heap of things with times, first in first out among equals."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Schedule(Generic[Thing]):
    """Things to do later; times are monotonic seconds."""

    _heap: list[tuple[float, int, Thing]] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: float, thing: Thing) -> None:
        """Remember a thing until `due`."""
        self._count += 1
        heappush(self._heap, (due, self._count, thing))

    def next_due(self) -> float | None:
        """When the earliest thing is due, None when there is none."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[Thing]:
        """Take everything due at or before `now`, earliest first."""
        heap, due = self._heap, list[Thing]()
        while heap and heap[0][0] <= now:
            due.append(heappop(heap)[2])
        return due

    def keep(self, is_kept: Callable[[Thing], bool]) -> None:
        """Forget everything else."""
        self._heap = [entry for entry in self._heap if is_kept(entry[2])]
        heapify(self._heap)

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
