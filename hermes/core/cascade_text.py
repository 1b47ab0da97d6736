"""The short form of a cascade: `email:10s,sms:30s`, channels in order with their waits."""

from __future__ import annotations

from hermes.core.channel import CHANNELS
from hermes.core.duration import parse_duration
from hermes.core.units import Channel

FORM = "channels with their waits in order, such as email:10s,sms:30s"


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
