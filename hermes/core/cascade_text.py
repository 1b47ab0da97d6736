"""The short form of a cascade: `email:10s,sms:30s`, channels in order with their waits."""

from __future__ import annotations

from typing import Final

from hermes.core.channel import CHANNELS
from hermes.core.duration import parse_duration
from hermes.core.units import Channel

FORM: Final = "channels with their waits in order, such as email:10s,sms:30s"
MOST_STEPS: Final = 10
SHORTEST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 7 * 86_400.0
WAIT_RULE: Final = "must be between 1 second and 7 days"


def parse_cascade(text: str) -> tuple[tuple[Channel, float | None], ...]:
    """Give (channel, wait in seconds or None) of each step. Raises ValueError."""
    steps: list[tuple[Channel, float | None]] = []
    for part in text.split(","):
        channel, colon, wait = part.strip().partition(":")
        if channel not in CHANNELS:
            named = f"no channel {channel!r}" if channel else "an empty step"
            raise ValueError(f"{named}; expected {FORM}; channels: {', '.join(CHANNELS)}")
        steps.append((channel, parse_duration(wait) if colon else None))
    return tuple(steps)


def is_wait(seconds: float) -> bool:
    """Say whether a step may wait so long."""
    return SHORTEST_WAIT_S <= seconds <= LONGEST_WAIT_S
