"""Carriers with a rate limit, and a sender that paces itself, on a simulated clock."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from hermes.smpp.pacing import Pacing


class Limit(Protocol):
    """A carrier's limit: whether it accepts a submit at this instant."""

    def accepts(self, now: float) -> bool: ...


class TokenBucket:
    """`rate` tokens per second, at most `burst` seconds of them."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.most = self.tokens = max(1.0, rate * burst)
        self.at = 0.0

    def accepts(self, now: float) -> bool:
        self.tokens = min(self.most, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


class FixedWindow:
    """So many in each period that begins at a multiple of it, shifted by `offset` seconds."""

    def __init__(self, rate: float, period: float, offset: float = 0.0) -> None:
        self.most, self.period, self.offset = round(rate * period), period, offset
        self.number, self.used = -1, 0

    def accepts(self, now: float) -> bool:
        number = int((now + self.offset) / self.period)
        if number != self.number:
            self.number, self.used = number, 0
        self.used += 1
        return self.used <= self.most


class SlidingWindow:
    """So many in any period."""

    def __init__(self, rate: float, period: float) -> None:
        self.most, self.period = round(rate * period), period
        self.accepted: deque[float] = deque()

    def accepts(self, now: float) -> bool:
        while self.accepted and self.accepted[0] <= now - self.period + 1e-9:
            self.accepted.popleft()
        if len(self.accepted) >= self.most:
            return False
        self.accepted.append(now)
        return True


class QueueFull:
    """Refuses everything between two instants."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end

    def accepts(self, now: float) -> bool:
        return not self.begin <= now < self.end


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of the sender ended; `submits` are the instants of every submit."""

    seconds: float
    throttled: int
    submits: tuple[float, ...]
    rates: tuple[float | None, ...]


def send(
    limit: Limit,
    messages: int,
    *,
    window: int = 10,
    latency: float = 0.05,
    pacing: Pacing | None = None,
    queue_full: bool = False,
) -> Run:
    """Send until all are accepted; a refused message goes back to the head of the queue."""
    pacing = pacing or Pacing()
    now = start = 100.0
    answers: list[tuple[float, int, float, bool]] = []
    order, waiting, accepted, throttled = count(), messages, 0, 0
    submits: list[float] = []
    rates: list[float | None] = []
    while accepted < messages:
        assert now < start + 10_000, f"only {accepted} of {messages} were accepted"
        while waiting and len(answers) < window and pacing.delay(now) <= 0:
            pacing.on_submit(now)
            submits.append(now)
            waiting -= 1
            taken = limit.accepts(now - start + latency / 2)
            heapq.heappush(answers, (now + latency, next(order), now, taken))
        due = [answers[0][0]] if answers else []
        if waiting and len(answers) < window:
            due.append(now + pacing.delay(now))
        now = max(now + 1e-9, min(due))
        while answers and answers[0][0] <= now:
            _, _, sent, taken = heapq.heappop(answers)
            accepted, waiting, throttled = (
                accepted + taken,
                waiting + (not taken),
                throttled + (not taken),
            )
            if taken:
                pacing.on_accept(now, now - sent)
            elif queue_full:
                pacing.on_queue_full(now)
            else:
                pacing.on_throttle(now, now - sent)
            rates.append(pacing.rate)
    return Run(now - start, throttled, tuple(submits), tuple(rates))
