"""What becomes of a message in the simulated SMSC."""

from __future__ import annotations

from random import Random

import pytest

from hermes.simulator.outcome import Mix, Stat, by_last_digit, is_failure, parse_mix


@pytest.mark.parametrize(
    ("destination", "stat"),
    [
        ("447700900120", Stat.DELIVRD),
        ("447700900121", Stat.EXPIRED),
        ("447700900122", Stat.DELETED),
        ("447700900123", Stat.UNDELIV),
        ("447700900124", Stat.ACCEPTD),
        ("447700900125", Stat.REJECTD),
        ("447700900126", Stat.DELIVRD),
        ("447700900129", Stat.DELIVRD),
        ("shortcode", Stat.DELIVRD),  # no digit at the end
        ("", Stat.DELIVRD),
    ],
)
def test_the_last_digit_decides(destination: str, stat: Stat) -> None:
    assert by_last_digit(destination) is stat


def test_a_mix_gives_its_shares_and_repeats_with_the_seed() -> None:
    mix = parse_mix("delivrd=80, UNDELIV=15,EXPIRED=5")
    assert mix == Mix(((Stat.DELIVRD, 80.0), (Stat.UNDELIV, 15.0), (Stat.EXPIRED, 5.0)))
    row = [mix.draw(chance) for chance in [Random(7)] for _ in range(10_000)]
    again = [mix.draw(chance) for chance in [Random(7)] for _ in range(10_000)]
    assert row == again
    assert row.count(Stat.DELIVRD) == pytest.approx(8000, abs=150)
    assert row.count(Stat.UNDELIV) == pytest.approx(1500, abs=120)
    assert row.count(Stat.EXPIRED) == pytest.approx(500, abs=80)


def test_no_mix_is_none() -> None:
    assert parse_mix("") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("DELIVRD=50", "add up to 50, not 100"),
        ("DELIVERED=100", "'DELIVERED' is none of DELIVRD"),
        ("ENROUTE=100", "'ENROUTE' is none of"),  # not an end
        ("DELIVRD", "'' after DELIVRD is no percentage"),
        ("DELIVRD=150,UNDELIV=-50", "outside 0..100"),
    ],
)
def test_a_wrong_mix_says_what_is_wrong(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_mix(text)


def test_accepted_is_no_failure_and_rejected_is_one() -> None:
    assert [stat for stat in Stat if is_failure(stat)] == [
        Stat.EXPIRED,
        Stat.DELETED,
        Stat.UNDELIV,
        Stat.REJECTD,
        Stat.UNKNOWN,
    ]
