"""Caps on accepted submits per second, in the three ways carriers count them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, assert_never


class CapKind(StrEnum):
    """How a carrier counts its cap."""

    fixed = "fixed"
    sliding = "sliding"
    bucket = "bucket"


class Cap(Protocol):
    """Decides submit by submit; a refused one costs nothing."""

    def admit(self, now: float) -> bool:
        """Whether a submit at `now` (monotonic seconds, never decreasing) is within the cap."""
        ...


@dataclass(slots=True)
class FixedWindow:
    """At most `limit` per window of `period` seconds; windows start at multiples of `period`.

    Two bursts can meet at a border: 2 x `limit` within less than one period is possible, as with
    the carriers that count this way.
    """

    limit: int
    period: float
    _index: int = -1
    _used: int = 0

    def admit(self, now: float) -> bool:
        index = int(now // self.period)
        if index != self._index:
            self._index, self._used = index, 0
        if self._used >= self.limit:
            return False
        self._used += 1
        return True


@dataclass(slots=True)
class SlidingWindow:
    """At most `limit` in any interval of `period` seconds."""

    limit: int
    period: float
    _admitted: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        admitted = self._admitted
        while admitted and now - admitted[0] >= self.period:
            admitted.popleft()
        if len(admitted) >= self.limit:
            return False
        admitted.append(now)
        return True


@dataclass(slots=True)
class TokenBucket:
    """`rate` tokens a second, at most `capacity` saved; a submit costs one; full at the start."""

    rate: float
    capacity: float
    _tokens: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._tokens = self.capacity

    def admit(self, now: float) -> bool:
        if self._at is not None:
            self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def new_cap(kind: CapKind, tps: float, burst_s: float) -> Cap | None:
    """A cap of `tps` submits a second, or None when `tps` is 0.

    `burst_s` seconds of the rate may come at once: the length of a window, or what a bucket
    saves. It is stretched until it holds one submit, so a low rate stays exact.
    """
    if tps <= 0:
        return None
    burst = max(1.0, tps * burst_s)
    limit = int(burst)
    match kind:
        case CapKind.fixed:
            return FixedWindow(limit, limit / tps)
        case CapKind.sliding:
            return SlidingWindow(limit, limit / tps)
        case CapKind.bucket:
            return TokenBucket(tps, burst)
    assert_never(kind)
