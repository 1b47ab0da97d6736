"""Quiet hours: when a recipient is not to be disturbed, by the clock on the recipient's wall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import phonenumbers.timezone as number_zones

UNKNOWN = "Etc/Unknown"
MINUTE = timedelta(minutes=1)
LONGEST = timedelta(hours=48)
"""No zones together are quiet for longer; a window of a whole day would never end."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` to `end` each day, wall time; `end` is no longer quiet. It may pass midnight."""

    begin: time
    end: time

    def hold(self, wall: time) -> bool:
        """Say whether it is quiet at this time of day."""
        if self.begin <= self.end:
            return self.begin <= wall < self.end
        return wall >= self.begin or wall < self.end


def quiet_until(now: datetime, hours: QuietHours, zones: Iterable[str]) -> datetime | None:
    """Give the first minute at which it is quiet in none of the zones; None: it is not quiet now.

    `now` is aware. Where a number may be in several zones, it is quiet while it is in any.
    """
    places = [ZoneInfo(zone) for zone in zones]
    if not is_quiet(now, hours, places):
        return None
    at = now.astimezone(UTC).replace(second=0, microsecond=0)
    ends = at + LONGEST
    while at < ends:
        at += MINUTE
        if not is_quiet(at, hours, places):
            return at
    return ends


def is_quiet(at: datetime, hours: QuietHours, places: Iterable[ZoneInfo]) -> bool:
    """Say whether it is quiet anywhere."""
    return any(hours.hold(at.astimezone(place).time()) for place in places)


def zones_of(number: str) -> tuple[str, ...]:
    """Give the time zones an E.164 number may be in; none for what is no number."""
    if not number.startswith("+"):
        return ()
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(
        zone for zone in number_zones.time_zones_for_geographical_number(parsed) if zone != UNKNOWN
    )
