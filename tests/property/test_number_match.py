"""Addresses agree whatever their format, and different ones do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hermes.core.number_match import addresses_agree, digits, same_number

countries = st.sampled_from(["1", "44", "49", "351", "995"])
nationals = st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True)
short_codes = st.from_regex(r"[1-9][0-9]{2,4}", fullmatch=True)
anything = st.text(max_size=24)


@given(anything)
def test_digits_are_digits_without_zeros_in_front_and_stay_so(text: str) -> None:
    found = digits(text)
    assert found == "" or (found.isdecimal() and found.isascii() and not found.startswith("0"))
    assert digits(found) == found


@given(countries, nationals)
def test_one_number_in_all_its_formats_is_the_same(country: str, national: str) -> None:
    e164 = digits(f"+{country}{national}")
    formats = [f"00{country}{national}", f"0{national}", f"({country}) {national}", national]
    assert all(same_number(e164, digits(one)) and same_number(digits(one), e164) for one in formats)


@given(short_codes, nationals)
def test_a_short_code_is_no_ending_of_a_number(code: str, national: str) -> None:
    assert not same_number(code, national + code)


@given(countries, nationals, nationals)
def test_another_subscriber_never_agrees(country: str, one: str, other: str) -> None:
    submitted = ("", country + one)
    received = (country + other, "")
    assert addresses_agree(submitted, received) == (one == other)


@given(st.text(max_size=12).map(digits), nationals, st.text(max_size=12).map(digits))
def test_a_missing_subscriber_never_agrees(source: str, number: str, back: str) -> None:
    assert not addresses_agree((source, ""), ("", back))
    assert not addresses_agree((source, number), ("", back))
