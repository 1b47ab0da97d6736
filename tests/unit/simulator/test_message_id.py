"""Message ids in the notations of carriers."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.simulator.message_id import IdForm, write_id


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (IdForm.decimal, "1789569706"),
        (IdForm.decimal_padded, "00000000001789569706"),
        (IdForm.hex, "6aaaaaaa"),
        (IdForm.hex_upper, "6AAAAAAA"),
        (IdForm.hex_padded, "000000006aaaaaaa"),
        (IdForm.hex_0x, "0x6AAAAAAA"),
    ],
)
def test_one_number_in_every_notation(form: IdForm, text: str) -> None:
    assert write_id(1_789_569_706, form) == text


def test_a_uuid_is_one_in_both_cases() -> None:
    lower, upper = write_id(77, IdForm.uuid), write_id(77, IdForm.uuid_upper)
    assert UUID(lower) == UUID(upper)
    assert lower == lower.lower()
    assert upper == lower.upper()


@given(st.sampled_from(IdForm), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_different_numbers_have_different_ids_of_at_most_36_characters_but_for_the_long_one(
    form: IdForm, one: int, other: int
) -> None:
    assert (write_id(one, form) == write_id(other, form)) == (one == other)
    assert len(write_id(one, form)) <= (70 if form is IdForm.long else 36)
