"""The buffer of a producer: events that nobody asked for yet, up to a limit."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

from hermes.stages.subscription import BadOptions

if TYPE_CHECKING:
    from hermes.stages.effects import Event, Events

Keep: TypeAlias = Literal["first", "last"]


class Buffer:
    """Events in order of emission, at most `limit` of them (None: no limit).

    When it is full, `keep` says which ones stay: "last" drops the oldest, "first" the newest.
    """

    def __init__(self, limit: int | None, keep: Keep = "last") -> None:
        if limit is not None and limit < 0:
            raise BadOptions(f"expected buffer_size to be 0 or more, got: {limit}")
        if keep not in ("first", "last"):
            raise BadOptions(f"expected buffer_keep to be first or last, got: {keep!r}")
        self.limit = limit
        self.keep = keep
        self.discarded_count = 0
        self._events: deque[Event] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def events(self) -> Events:
        """What is stored, the oldest first."""
        return tuple(self._events)

    def store(self, events: Events) -> int:
        """Store events behind the others; returns how many were discarded, of either."""
        wanted = len(self._events) + len(events)
        if self.keep == "first" and self.limit is not None:
            events = events[: self.limit - len(self._events)]
        self._events.extend(events)  # a full deque drops on the other side: the oldest
        discarded = wanted - len(self._events)
        self.discarded_count += discarded
        return discarded

    def take(self, count: int) -> Events:
        """Remove and return the oldest `count` events, or all there are."""
        pop = self._events.popleft
        return tuple(pop() for _ in range(min(count, len(self._events))))
