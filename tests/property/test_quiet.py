"""Quiet hours: what is given is the first minute that is quiet nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes.core.quiet import LONGEST, MINUTE, NEVER, QuietHours, is_quiet, quiet_until, zones_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
NIGHT = QuietHours(time(21), time(8))
FORWARD = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
BACK = datetime(2026, 10, 24, 23, 0, tzinfo=UTC)
walls = st.builds(time, st.integers(0, 23), st.integers(0, 59))
hours = st.builds(QuietHours, walls, walls)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
changes = st.sampled_from([FORWARD, BACK]).flatmap(
    lambda at: st.integers(0, 360).map(lambda minutes: at + timedelta(minutes=minutes))
)


def first_minute(now: datetime, quiet: QuietHours, places: list[ZoneInfo]) -> datetime:
    """Look at every minute."""
    at = now.replace(second=0, microsecond=0)
    if at < now:
        at += MINUTE
    for _ in range(round(LONGEST / MINUTE)):
        if not is_quiet(at, quiet, places):
            return at
        at += MINUTE
    return NEVER


@settings(max_examples=60, deadline=None)
@given(moments | changes, hours, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3))
@example(FORWARD, QuietHours(time(22), time(2, 30)), ["Europe/Berlin"])  # an end that is skipped
@example(BACK, QuietHours(time(22), time(2, 30)), ["Europe/Berlin"])  # and one that comes twice
@example(BACK, QuietHours(time(2, 30), time(2)), ["Europe/Berlin"])
@example(FORWARD, QuietHours(time(2, 40), time(2, 39)), ["Europe/Berlin"])
@example(FORWARD, QuietHours(time(9), time(8, 59)), ["Europe/Berlin", "UTC"])
def test_it_is_the_first_minute_that_is_quiet_nowhere(
    now: datetime, quiet: QuietHours, zones: list[str]
) -> None:
    places = [ZoneInfo(zone) for zone in zones]
    expected = first_minute(now, quiet, places) if is_quiet(now, quiet, places) else None
    assert quiet_until(now, quiet, zones) == expected


@given(moments, hours)
def test_one_zone_is_quiet_for_a_day_at_most(now: datetime, quiet: QuietHours) -> None:
    until = quiet_until(now, quiet, ["UTC"])
    assert until is None or now < until <= now + timedelta(hours=24)


@pytest.mark.parametrize(
    ("now", "zone", "until"),
    [
        ("2026-01-01T22:00+00:00", "UTC", "2026-01-02T08:00+00:00"),
        ("2026-01-01T20:00+00:00", "Europe/Berlin", "2026-01-02T07:00+00:00"),
        # the night the clocks go forward has an hour less
        ("2026-03-28T23:00+00:00", "Europe/Berlin", "2026-03-29T06:00+00:00"),
        # and back: an hour more
        ("2026-10-24T23:00+00:00", "Europe/Berlin", "2026-10-25T07:00+00:00"),
        ("2026-01-01T12:00+00:00", "UTC", None),
    ],
)
def test_nights(now: str, zone: str, until: str | None) -> None:
    found = quiet_until(datetime.fromisoformat(now), NIGHT, [zone])
    assert found == (None if until is None else datetime.fromisoformat(until))


def test_an_end_the_clocks_skip_is_the_moment_they_skip_it() -> None:
    quiet = QuietHours(time(22), time(2, 30))
    assert quiet_until(FORWARD, quiet, ["Europe/Berlin"]) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_nobody_knows_where_is_utc() -> None:
    assert quiet_until(datetime(2026, 1, 1, 23, tzinfo=UTC), NIGHT, []) == datetime(
        2026, 1, 2, 8, tzinfo=UTC
    )


def test_zones_that_are_never_awake_together_leave_no_time() -> None:
    zones = ["Europe/Berlin", "Pacific/Auckland"]
    assert quiet_until(FORWARD, QuietHours(time(17), time(9)), zones) is NEVER


def test_a_number_tells_its_zones() -> None:
    assert zones_of("+4512345678") == ("Europe/Copenhagen",)
    assert len(zones_of("+18005550100")) > 1
    assert zones_of("+99900000000") == zones_of("a@example.net") == zones_of("+1") == ()
