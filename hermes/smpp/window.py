"""Accounts for submits in flight: every slot taken is freed exactly once."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_LATE: Final = 10_000
"""Expired sequences remembered for a late answer; the oldest go first."""


class InFlight(msgspec.Struct, Generic[T], frozen=True):
    """One submit on the wire: what the owner keeps for it, and when it was written."""

    item: T
    written_at: float


class Answered(msgspec.Struct, Generic[T], frozen=True):
    """The first answer in time: the slot is free."""

    item: T
    latency: float


class LateAnswer(msgspec.Struct, Generic[T], frozen=True):
    """An answer after its response timer: the slot was freed before."""

    item: T
    latency: float


class Window(Generic[T]):
    """Slots of one session: queued, then in flight, then free.

    Sequence numbers of expired submits are kept until the session ends, so that a late answer is
    told from an unknown one. Times are monotonic seconds.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"window is {size}, at least 1 is needed")
        self.size = size
        self._queued = 0
        self._in_flight: dict[int, InFlight[T]] = {}
        self._late: dict[int, InFlight[T]] = {}

    @property
    def in_flight(self) -> int:
        """Submits written and not answered."""
        return len(self._in_flight)

    @property
    def queued(self) -> int:
        """Slots taken by submits that are not written yet."""
        return self._queued

    @property
    def credit(self) -> int:
        """Free slots, never negative."""
        return max(0, self.size - len(self._in_flight) - self._queued)

    def take(self) -> bool:
        """Take a slot for a submit to be written; False when none is free."""
        if self.credit == 0:
            return False
        self._queued += 1
        return True

    def give_back(self) -> None:
        """Free the slot of a submit that was never written."""
        if self._queued == 0:
            raise ValueError("no slot is queued")
        self._queued -= 1

    def written(self, sequence: int, item: T, now: float) -> None:
        """The submit goes on the wire under this sequence number."""
        if self._queued == 0:
            raise ValueError("no slot is queued")
        if sequence in self._in_flight:
            raise ValueError(f"sequence {sequence} is in flight")
        self._queued -= 1
        self._late.pop(sequence, None)
        self._in_flight[sequence] = InFlight(item, now)

    def peek(self, sequence: int) -> T | None:
        """What is in flight, or expired and remembered, under this sequence number."""
        entry = self._in_flight.get(sequence) or self._late.get(sequence)
        return None if entry is None else entry.item

    def answered(self, sequence: int, now: float) -> Answered[T] | LateAnswer[T] | None:
        """An answer came: in time, late, or (None) to nothing we know."""
        entry = self._in_flight.pop(sequence, None)
        if entry is not None:
            return Answered(entry.item, now - entry.written_at)
        entry = self._late.pop(sequence, None)
        return None if entry is None else LateAnswer(entry.item, now - entry.written_at)

    def expired(self, now: float, timeout: float) -> list[tuple[int, T]]:
        """Free the slots of submits without an answer for `timeout` seconds, oldest first."""
        out: list[tuple[int, T]] = []
        for sequence, entry in self._in_flight.items():
            if now - entry.written_at < timeout:
                break  # in order of writing: the rest is younger
            out.append((sequence, entry.item))
        for sequence, _ in out:
            self._late[sequence] = self._in_flight.pop(sequence)
        while len(self._late) > MAX_LATE:
            del self._late[next(iter(self._late))]
        return out

    def oldest(self) -> float | None:
        """When the oldest submit in flight was written."""
        first = next(iter(self._in_flight.values()), None)
        return None if first is None else first.written_at

    def end(self) -> list[tuple[int, T]]:
        """The session ended: free every slot in flight and forget the late ones."""
        out = [(sequence, entry.item) for sequence, entry in self._in_flight.items()]
        self._in_flight.clear()
        self._late.clear()
        return out
