"""Learns the rate a carrier accepts from its refusals, and spaces submits evenly.

Unlimited until the first throttle, then one interval 1/rate between two submits. A token bucket is
empty at each throttle, so what was accepted between two of them, over the time, is its rate. Where
there is too little data (`blind`) the rate is halved, and grows back fast until the next throttle.
Once a rate was found (`settled`) a refusal is more often jitter than excess, and costs
a twentieth.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MIN_RATE: Final = 0.5
"""Submits per second that refusals never push below: a slow probe, not a stop."""
MAX_LEARNED: Final = 100_000.0
"""A learned rate that grew beyond this is no limit: back to unlimited."""

_BACK_OFF: Final = 0.95
_MEASURE: Final = 1.0  # carriers count in windows of up to 1 s: a shorter look sees only a burst
_FEW: Final = 3  # accepted submits that are no measure yet
_GROWTH: Final = 0.02  # per second
_QUIET_GROWTH: Final = 0.10
_QUIET: Final = 5.0
_BLIND_GROWTH: Final = 0.30
_GAP: Final = 0.25  # seconds without a submit after which the past measures nothing
_SLACK: Final = 0.01  # a timer that fires late costs no rate
_PROBE_FIRST: Final = 0.5
_PROBE_LAST: Final = 5.0
_RESTORE: Final = 0.9
_CONGESTED: Final = 80  # congestion_state from which a rate is held,
_SHRINK: Final = 90  # from which it is reduced,
_OVERLOADED: Final = 100  # and that counts as a throttle
_CONGESTION_TOLD: Final = 5.0  # seconds a level is believed


class Pacing:
    """Rate state of one bind. Every `now` is monotonic seconds and never goes back.

    `latency` is the time from the submit to its answer: it tells refusals of one round trip from
    the next. `max_rate` is a ceiling in submits per second, None for none.
    """

    def __init__(self, max_rate: float | None = None) -> None:
        self.max_rate = max_rate
        self._learned: float | None = None
        self._next_at = 0.0
        self._recent: deque[float] = deque(maxlen=64)
        self._grown_at = 0.0
        self._throttled_at = 0.0
        self._measured_from: float | None = None
        self._accepted = 0
        self._previous = 0.0
        self._clean = 0
        self._blind = False
        self._settled = False
        self._blind_growth = _BLIND_GROWTH
        self._full_since: float | None = None
        self._probe_wait = _PROBE_FIRST
        self._probe_out = False
        self._congested_until = 0.0
        self._shrunk_at = float("-inf")

    @property
    def rate(self) -> float | None:
        """Submits per second at present, None while unlimited."""
        if self._learned is None:
            return self.max_rate
        return self._learned if self.max_rate is None else min(self._learned, self.max_rate)

    @property
    def probing(self) -> bool:
        """Whether the carrier's queue is full and one probe at a time goes out."""
        return self._full_since is not None

    def delay(self, now: float) -> float:
        """Seconds until the next submit may go; 0 means now."""
        if self.rate is None and self._full_since is None:
            return 0.0
        return max(0.0, self._next_at - now)

    def on_submit(self, now: float) -> None:
        """A submit went out."""
        if self._full_since is not None:
            self._probe_out = True
            # should the probe never be answered, the next one goes after the longest wait
            self._next_at = now + _PROBE_LAST
            return
        if self._learned is None:
            self._roll(now)
        elif now - self._next_at > max(2 / self._learned, _GAP):
            self._restart(now, self._learned)  # idle: the carrier's bucket filled up meanwhile
        elif now - self._next_at <= max(1 / self._learned, 2 * _SLACK):
            self._grow(now)  # only where the pacing, not the window, holds submits back
        self._grown_at = now
        self._recent.append(now)
        rate = self.rate
        if rate is not None:
            self._next_at = max(self._next_at, now - min(_SLACK, 1 / rate)) + 1 / rate

    def on_accept(self, now: float, latency: float) -> None:
        """A submit was answered with anything but a throttle or a full queue."""
        self._accepted += 1
        if self._learned is not None and now - latency > self._throttled_at:
            self._clean += 1
        if self._full_since is not None and now - latency >= self._full_since:
            self._full_since, self._probe_out, self._probe_wait = None, False, _PROBE_FIRST
            if self._learned is not None:
                self._learned = max(MIN_RATE, self._learned * _RESTORE)
            self._restart(now, self._learned or 0.0)
            self._grown_at = self._throttled_at = self._next_at = now

    def on_throttle(self, now: float, latency: float) -> None:
        """A submit was refused for going too fast: reduce once per round trip."""
        if self._full_since is not None:
            self._probe_failed(now)
            return
        if self._learned is not None and now - latency <= self._throttled_at:
            return
        before = self._offered(now, latency) if self._learned is None else self._learned
        if self.max_rate is not None:
            before = min(before, self.max_rate)
        self._learned = max(MIN_RATE, min(self._reduced(now, before), before * _BACK_OFF))
        if not self._blind:
            self._restart(now, self._learned)
        self._clean = 0
        self._throttled_at = self._grown_at = now
        self._next_at = now + 1 / self._learned

    def on_queue_full(self, now: float) -> None:
        """A submit was refused because the carrier's queue is full: stop, then probe."""
        if self._full_since is not None:
            self._probe_failed(now)
            return
        if self._learned is None and self._accepted:
            self._learned = max(MIN_RATE, self._observed(now))
        self._full_since = now
        self._probe_wait, self._probe_out = _PROBE_FIRST, False
        self._next_at = now + _PROBE_FIRST

    def on_congestion(self, now: float, level: int) -> None:
        """The carrier told its congestion_state (SMPP 5.0, 4.8.4.18): 0 idle to 100 overloaded.

        80 to 89 hold the rate, 90 to 99 reduce it once a second, 100 is a throttle.
        """
        if not _CONGESTED <= level <= _OVERLOADED:
            self._congested_until = 0.0
            return
        self._congested_until = now + _CONGESTION_TOLD
        if level < _SHRINK or now - self._shrunk_at < _MEASURE:
            return
        self._shrunk_at = now
        if level >= _OVERLOADED or self._learned is None:
            self.on_throttle(now, 0.0)
        else:
            self._learned = max(MIN_RATE, self._learned * _BACK_OFF)

    def _probe_failed(self, now: float) -> None:
        """Wait longer; refusals of submits from before the first probe count once."""
        if not self._probe_out:
            return
        self._probe_out = False
        self._probe_wait = min(self._probe_wait * 2, _PROBE_LAST)
        self._next_at = now + self._probe_wait

    def _offered(self, now: float, latency: float) -> float:
        """The tempo of the last round trip, for the first throttle."""
        span = max(latency, 1e-3)
        count = sum(at >= now - span for at in self._recent) or 1
        if count == self._recent.maxlen:
            span = max(now - self._recent[0], 1e-3)
        return count / span

    def _observed(self, now: float) -> float:
        """Accepted per second since the measure began."""
        return self._accepted / max(self._elapsed(now), 1e-3)

    def _elapsed(self, now: float) -> float:
        return 0.0 if self._measured_from is None else now - self._measured_from

    def _reduced(self, now: float, before: float) -> float:
        """The rate after a refusal at the rate `before`."""
        observed, elapsed = self._observed(now), self._elapsed(now)
        if self._clean >= _FEW and (self._blind or now - self._throttled_at >= _MEASURE):
            if self._blind:
                self._blind_growth /= 2
            self._blind, self._settled = False, True
            return before * _BACK_OFF
        self._blind = elapsed < _MEASURE or self._accepted == 0
        if self._blind and self._settled:
            self._blind = False
            return before * _BACK_OFF
        if not self._blind:
            self._blind_growth = _BLIND_GROWTH
            return observed * _BACK_OFF
        if self._accepted < _FEW:
            observed = (self._previous * _MEASURE + self._accepted) / (_MEASURE + elapsed)
        return max(before / 2, observed * _BACK_OFF)

    def _restart(self, now: float, previous: float) -> None:
        self._measured_from, self._accepted, self._previous = now, 0, previous

    def _roll(self, now: float) -> None:
        """While unlimited, measure the last second only, and nothing across a gap."""
        if not self._recent or now - self._recent[-1] > _GAP:
            self._restart(now, 0.0)
        elif self._elapsed(now) > _MEASURE:
            self._restart(now, self._observed(now))

    def _grow(self, now: float) -> None:
        assert self._learned is not None
        if now < self._congested_until:
            return
        if self._blind:
            growth = max(_GROWTH, self._blind_growth)
        elif now - self._throttled_at > _QUIET:
            growth = _QUIET_GROWTH
        else:
            growth = _GROWTH
        grown = self._learned * (1 + growth) ** (now - self._grown_at)
        if self.max_rate is not None:
            grown = min(grown, self.max_rate)
        self._learned = grown if grown <= MAX_LEARNED else None
