"""How many restarts are too many: a count in an inclusive sliding window (OTP: intensity)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Intensity:
    """At most `max_restarts` within `period` seconds; OTP's default is 1 in 5 s."""

    max_restarts: int = 1
    period: float = 5.0


@dataclass(frozen=True, slots=True)
class RestartWindow:
    """The restarts of the last period, newest first. All times are monotonic seconds."""

    intensity: Intensity
    restarted: tuple[float, ...] = ()

    def recent(self, now: float) -> tuple[float, ...]:
        """Keep the restarts not older than the period; one exactly that old still counts."""
        return tuple(at for at in self.restarted if at >= now - self.intensity.period)

    def add(self, now: float) -> RestartWindow:
        """Enter a restart of this moment and forget those that left the window."""
        return replace(self, restarted=(now, *self.recent(now)))

    @property
    def is_exceeded(self) -> bool:
        """True when the restart entered last is one too many."""
        return len(self.restarted) > self.intensity.max_restarts
