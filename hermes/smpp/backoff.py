"""When a bind that ended is tried again; jitter is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from hermes.smpp.status import BindRetry


@dataclass(frozen=True, slots=True)
class BackoffTimes:
    """Seconds: first wait and longest wait of a normal loss, an old session, wrong credentials."""

    first: float = 1.0
    longest: float = 60.0
    old_session: float = 45.0
    credentials: float = 60.0


def next_wait(retry: BindRetry, failures: int, jitter: float, times: BackoffTimes) -> float:
    """Give the seconds to wait after the `failures`-th failure in a row (from 1).

    `jitter` is uniform in 0..1. A normal loss waits 1 s doubling to 60 s with full jitter, but
    never less than a tenth of a second; the others wait their fixed time and up to a third more.
    """
    match retry:
        case BindRetry.NORMAL:
            ceiling = min(times.longest, times.first * float(2 ** min(failures - 1, 16)))
            return max(0.1, ceiling * jitter)
        case BindRetry.OLD_SESSION:
            return times.old_session * (2 + jitter) / 3
        case BindRetry.CREDENTIALS:
            return times.credentials * (1 + jitter / 3)
