"""Durations and the short form of a cascade: what is written is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.core.cascade_text import parse_cascade
from hermes.core.channel import CHANNELS
from hermes.core.duration import duration_text, parse_duration

milliseconds = st.integers(1, 10_000_000_000).map(lambda n: n / 1000)


@given(milliseconds)
def test_what_is_written_is_read(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds, abs=0.0005)


@given(st.text(max_size=20))
def test_any_text_is_seconds_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), (7, 7.0)]
)
def test_units(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "10 s", "-1s", "1w", "s", "1e3s", float("nan")])
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="seconds as a number"):
        parse_duration(text)


@given(st.lists(st.tuples(st.sampled_from([*CHANNELS]), milliseconds | st.none()), min_size=1))
def test_the_short_form_is_read_as_it_was_written(
    steps: list[tuple[str, float | None]],
) -> None:
    text = ", ".join(c if w is None else f"{c}:{duration_text(w)}" for c, w in steps)
    read = parse_cascade(text)
    assert [channel for channel, _ in read] == [channel for channel, _ in steps]


@pytest.mark.parametrize("text", ["", "fax", "sms:", "sms:soon", "sms,,email", "sms;email"])
def test_what_is_no_short_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_cascade(text)
