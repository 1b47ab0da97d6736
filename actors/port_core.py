"""Decides when an OS process is started, looked at, ended and started again.

Pure: facts and `now` (monotonic seconds) in, the next state and effects out. One process at most
runs at any time; each start has a number, `run`, so that news of a former process is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

FIRST_PROBE_S: Final = 0.05
KILL_SHARE: Final = 0.8
"""The part of a stop deadline the process gets; the rest is for its reaping and our own end."""


@dataclass(frozen=True, slots=True)
class PortTimes:
    """The durations of a port, in seconds."""

    probe_every_s: float = 2.0
    stop_timeout_s: float = 10.0
    """From the stop signal to SIGKILL."""
    backoff_first_s: float = 0.2
    backoff_max_s: float = 10.0
    steady_after_s: float = 30.0
    """A process that was ready this long without a break ends the back-off of those before it."""
    replace_unhealthy_after_s: float | None = None
    """A process that was ready and is not for this long is started again; None: never."""


class PortPhase(StrEnum):
    """Where the process of a port is in its life."""

    NEW = "new"
    SPAWNING = "spawning"
    STARTING = "starting"
    """It runs and was not ready yet."""
    UP = "up"
    """It runs and was ready; `healthy` says whether it is now."""
    ENDING = "ending"
    """It has its stop signal."""
    WAITING = "waiting"
    """None runs; the next start is at `wake_at`."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start the process; answer with on_spawned or on_spawn_failed."""

    run: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Look once whether the process is ready; answer with on_probe."""

    run: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """Send the stop signal."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Send SIGKILL."""


@dataclass(frozen=True, slots=True)
class AnnounceReady:
    """The port is started: its process was ready for the first time."""


@dataclass(frozen=True, slots=True)
class RefuseStart:
    """The process cannot even be made; nothing runs and nothing will."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReportHealth:
    """Readiness has changed."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class ReportDone:
    """The stop is complete: nothing runs and nothing will."""


Effect: TypeAlias = (
    Spawn | Probe | Terminate | Kill | AnnounceReady | RefuseStart | ReportHealth | ReportDone
)
Step: TypeAlias = "tuple[Port, tuple[Effect, ...]]"


@dataclass(frozen=True, slots=True)
class Port:
    """The state of one port."""

    times: PortTimes
    phase: PortPhase = PortPhase.NEW
    run: int = 0
    pid: int | None = None
    healthy: bool = False
    announced: bool = False
    kill_by: float | None = None
    """A stop is asked; this is when SIGKILL follows."""
    last_exit: int | None = None
    backoff_s: float = 0.0
    """The next wait before a start; 0 stands for `backoff_first_s`."""
    spawned_at: float = 0.0
    ready_since: float | None = None
    unready_since: float = 0.0
    wake_at: float | None = None
    """When on_wake is due; None: not before something else happens."""

    @property
    def restarts(self) -> int:
        """How often the process was started again."""
        return max(0, self.run - 1)

    def begin(self, now: float) -> Step:
        """Start the first process."""
        if self.phase is not PortPhase.NEW:
            return self, ()
        return _spawn(self, now)

    def on_spawned(self, now: float, pid: int) -> Step:
        """The process exists."""
        if self.phase is not PortPhase.SPAWNING:
            return self, ()
        running = replace(
            self,
            phase=PortPhase.STARTING,
            pid=pid,
            spawned_at=now,
            unready_since=now,
            ready_since=None,
            wake_at=now + FIRST_PROBE_S,
        )
        # The stop came while the process was being made: it had no pid to signal then.
        return (running, ()) if self.kill_by is None else _end(running, self.kill_by)

    def on_spawn_failed(self, now: float, reason: str) -> Step:
        """The process could not be made. Nobody waits for an executable that was never there."""
        if self.phase is not PortPhase.SPAWNING:
            return self, ()
        if self.kill_by is not None:
            return _done(self, (ReportDone(),))
        if self.run == 1:
            return _done(self, (RefuseStart(reason),))
        return _wait(self, now), ()

    def on_probe(self, now: float, run: int, *, ready: bool) -> Step:
        """A probe was answered."""
        if run != self.run or self.phase not in (PortPhase.STARTING, PortPhase.UP):
            return self, ()
        changed: tuple[Effect, ...] = (ReportHealth(ready),) if ready is not self.healthy else ()
        if ready:
            first: tuple[Effect, ...] = () if self.announced else (AnnounceReady(),)
            since = now if self.ready_since is None else self.ready_since
            up = replace(
                self,
                phase=PortPhase.UP,
                healthy=True,
                announced=True,
                ready_since=since,
                backoff_s=0.0 if now - since >= self.times.steady_after_s else self.backoff_s,
                wake_at=now + self.times.probe_every_s,
            )
            return up, (*first, *changed)
        since = now if self.healthy else self.unready_since
        unready = replace(
            self,
            healthy=False,
            ready_since=None,
            unready_since=since,
            wake_at=now + _next_probe_s(self, now),
        )
        limit = self.times.replace_unhealthy_after_s
        if limit is not None and self.phase is PortPhase.UP and now - since >= limit:
            ending, effects = _end(unready, now + self.times.stop_timeout_s)
            return ending, (*changed, *effects)
        return unready, changed

    def on_exit(self, now: float, run: int, exit_code: int) -> Step:
        """The process ended; a negative code is the signal that ended it."""
        if run != self.run or self.pid is None:
            return self, ()
        changed: tuple[Effect, ...] = (ReportHealth(healthy=False),) if self.healthy else ()
        gone = replace(self, pid=None, healthy=False, last_exit=exit_code)
        if self.kill_by is not None:
            done, effects = _done(gone, (ReportDone(),))
            return done, (*changed, *effects)
        return _wait(gone, now), changed

    def on_wake(self, now: float) -> Step:
        """`wake_at` is due."""
        if self.wake_at is None or now < self.wake_at:
            return self, ()
        match self.phase:
            case PortPhase.STARTING | PortPhase.UP:
                return replace(self, wake_at=None), (Probe(self.run),)
            case PortPhase.ENDING:
                return replace(self, wake_at=None), (Kill(),)
            case PortPhase.WAITING:
                return _spawn(self, now)
            case PortPhase.NEW | PortPhase.SPAWNING | PortPhase.DONE:
                return self, ()

    def on_stop(self, now: float, within_s: float) -> Step:
        """End the process for good, within `within_s` seconds."""
        kill_by = now + min(self.times.stop_timeout_s, within_s * KILL_SHARE)
        stopping = replace(self, kill_by=kill_by)
        match self.phase:
            case PortPhase.NEW | PortPhase.WAITING | PortPhase.DONE:
                return _done(stopping, (ReportDone(),))
            case PortPhase.SPAWNING:
                return stopping, ()
            case PortPhase.STARTING | PortPhase.UP:
                return _end(stopping, kill_by)
            case PortPhase.ENDING:  # being replaced
                wake_at = None if self.wake_at is None else min(self.wake_at, kill_by)
                return replace(stopping, wake_at=wake_at), ()


def _spawn(port: Port, now: float) -> Step:
    run = port.run + 1
    spawning = replace(port, phase=PortPhase.SPAWNING, run=run, spawned_at=now, wake_at=None)
    return spawning, (Spawn(run),)


def _end(port: Port, kill_at: float) -> Step:
    ending = replace(port, phase=PortPhase.ENDING, wake_at=kill_at)
    return ending, (Terminate(),)


def _wait(port: Port, now: float) -> Port:
    wait_s = port.backoff_s or port.times.backoff_first_s
    return replace(
        port,
        phase=PortPhase.WAITING,
        wake_at=now + wait_s,
        backoff_s=min(2 * wait_s, port.times.backoff_max_s),
    )


def _done(port: Port, effects: tuple[Effect, ...]) -> Step:
    return replace(port, phase=PortPhase.DONE, wake_at=None), effects


def _next_probe_s(port: Port, now: float) -> float:
    # A start is found ready after at most a quarter more than it took.
    if port.phase is PortPhase.UP:
        return port.times.probe_every_s
    waited = (now - port.spawned_at) / 4
    return max(FIRST_PROBE_S, min(waited, port.times.probe_every_s))
