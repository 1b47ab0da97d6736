"""Quiet hours: what is given is the first minute that is quiet nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.core.quiet import QuietHours, is_quiet, quiet_until, zones_of

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
walls = st.builds(time, st.integers(0, 23), st.integers(0, 59))
hours = st.builds(QuietHours, walls, walls)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=60)
@given(moments, hours, st.lists(st.sampled_from(ZONES), max_size=3))
def test_it_is_the_first_minute_that_is_quiet_nowhere(
    now: datetime, quiet: QuietHours, zones: list[str]
) -> None:
    places = [ZoneInfo(zone) for zone in zones]
    until = quiet_until(now, quiet, zones)
    if until is None:
        assert not is_quiet(now, quiet, places)
        return
    assert is_quiet(now, quiet, places)
    assert now < until <= now + timedelta(hours=48, minutes=1)
    before = until - timedelta(minutes=1)
    assert before <= now or is_quiet(before, quiet, places)


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
    found = quiet_until(datetime.fromisoformat(now), QuietHours(time(21), time(8)), [zone])
    assert found == (None if until is None else datetime.fromisoformat(until))


def test_a_number_tells_its_zones() -> None:
    assert zones_of("+4512345678") == ("Europe/Copenhagen",)
    assert len(zones_of("+18005550100")) > 1
    assert zones_of("+99900000000") == zones_of("a@example.net") == zones_of("+1") == ()
