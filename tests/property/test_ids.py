"""Message ids survive their text form and sort like the time they were made."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes.core.ids import (
    BadId,
    attempt_id,
    decode_message_id,
    encode_message_id,
    lane_of,
    split_attempt_id,
)


@given(st.uuids(), st.uuids())
def test_an_id_survives_and_keeps_the_order(one: UUID, other: UUID) -> None:
    assert decode_message_id(encode_message_id(one)) == one
    assert (encode_message_id(one) < encode_message_id(other)) == (one < other)


@given(st.uuids(), st.integers(0, 99), st.integers(0, 99))
def test_an_attempt_id_survives(message: UUID, step: int, n: int) -> None:
    name = encode_message_id(message)
    assert split_attempt_id(attempt_id(name, step, n)) == (name, step, n)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_a_bad_id(text: str) -> None:
    try:
        assert encode_message_id(decode_message_id(text)) == text
    except BadId as error:
        assert error.kind == "message"  # noqa: PT017 - both ends are right


def test_an_id_beyond_128_bits_is_refused() -> None:
    with pytest.raises(BadId):
        decode_message_id("msg_" + "z" * 26)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32))
def test_a_tenant_has_one_lane_of_eight(tenant: str) -> None:
    assert lane_of(tenant) == lane_of(tenant) in range(8)
