"""Quiet hours: when a recipient is not to be disturbed, by the clock on the recipient's wall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

UNKNOWN: Final = "Etc/Unknown"
MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(hours=48)
"""Where no minute within this is quiet nowhere, there is none at all."""
NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` to `end` each day, wall time; `end` is no longer quiet. It may pass midnight.

    Two equal times are no quiet hours.
    """

    begin: time
    end: time

    def hold(self, wall: time) -> bool:
        """Say whether it is quiet at this time of day."""
        if self.begin <= self.end:
            return self.begin <= wall < self.end
        return wall >= self.begin or wall < self.end


def quiet_until(now: datetime, hours: QuietHours, zones: Iterable[str]) -> datetime | None:
    """Give the first minute at which it is quiet in none of the zones; None: it is not quiet now.

    `now` is aware, the answer is UTC. Where a number may be in several zones, it is quiet while it
    is in any; no zone at all is UTC. NEVER: one or other of the zones is always quiet.
    """
    places: Sequence[tzinfo] = [ZoneInfo(zone) for zone in zones] or [UTC]
    if not is_quiet(now, hours, places):
        return None
    at = now.astimezone(UTC).replace(second=0, microsecond=0)
    if at < now:
        at += MINUTE
    last = at + LONGEST
    while at <= last:
        # until the latest of these ends it is quiet in that zone at least
        ends = max(end_in(at, hours, place) for place in places)
        if ends == at:
            return at
        at = ends
    return NEVER


def end_in(at: datetime, hours: QuietHours, place: tzinfo) -> datetime:
    """Give the first minute from `at` (UTC, a whole minute) on that is not quiet in one zone."""
    here = at.astimezone(place)
    wall = here.time()
    if not hours.hold(wall):
        return at
    today = date(2000, 1, 1)
    left = datetime.combine(today, hours.end) - datetime.combine(today, wall)
    ends = at + (left if left > timedelta(0) else left + DAY)
    if ends.astimezone(place).utcoffset() == here.utcoffset():
        return ends
    # the clocks are changed in between
    while hours.hold(at.astimezone(place).time()):
        at += MINUTE
    return at


def is_quiet(at: datetime, hours: QuietHours, places: Iterable[tzinfo]) -> bool:
    """Say whether it is quiet anywhere."""
    return any(hours.hold(at.astimezone(place).time()) for place in places)


def zones_of(number: str) -> tuple[str, ...]:
    """Give the time zones an E.164 number may be in; none for what is no number."""
    if not number.startswith("+"):
        return ()
    # few processes ask, and all of them load the settings, which know of quiet hours
    import phonenumbers  # noqa: PLC0415
    import phonenumbers.timezone as number_zones  # noqa: PLC0415

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(
        zone for zone in number_zones.time_zones_for_geographical_number(parsed) if zone != UNKNOWN
    )
