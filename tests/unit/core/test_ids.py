"""Ids read back to what they were made of, sort by time, and refuse what is none."""

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
    is_name,
    lane_of,
    split_attempt_id,
)

UUIDS = st.uuids()


@given(UUIDS)
def test_a_message_id_reads_back(value: UUID) -> None:
    text = encode_message_id(value)
    assert len(text) == 30
    assert decode_message_id(text) == value


@given(UUIDS, UUIDS)
def test_message_ids_sort_like_their_numbers(one: UUID, other: UUID) -> None:
    assert (one < other) == (encode_message_id(one) < encode_message_id(other))


@given(UUIDS, st.integers(0, 99), st.integers(0, 99))
def test_an_attempt_id_reads_back(value: UUID, step: int, n: int) -> None:
    message = encode_message_id(value)
    assert split_attempt_id(attempt_id(message, step, n)) == (message, step, n)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg_",
        "msg_" + "0" * 25,
        "msg_" + "0" * 27,
        "msg_" + "0" * 25 + "u",  # Crockford has no i, l, o, u
        "MSG_" + "0" * 26,
        "msg_" + "0" * 26 + "\n",
        "msg_8" + "0" * 25,  # 130 bits hold more than a uuid
        "msg_" + "٠" * 26,  # noqa: RUF001 - digits of another script
    ],
)
def test_what_is_no_message_id_is_refused(text: str) -> None:
    with pytest.raises(BadId, match="message"):
        decode_message_id(text)


@pytest.mark.parametrize("rest", ["", ".0", ".0.", ".a.0", ".-1.0", ".0.0.0", " .0.0"])
def test_what_is_no_attempt_id_is_refused(rest: str) -> None:
    with pytest.raises(BadId, match="attempt"):
        split_attempt_id("msg_" + "0" * 26 + rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("sim-2", True), ("a" * 32, True), ("a" * 33, False), ("A", False), ("", False)],
)
def test_names_are_short_and_lower_case(text: str, expected: bool) -> None:
    assert is_name(text) is expected


def test_a_tenants_lane_never_changes() -> None:
    # The lane is part of subjects that outlive a process.
    assert [lane_of(tenant) for tenant in ("acme", "other", "a", "")] == [7, 5, 4, 5]


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32))
def test_a_lane_is_one_of_eight(tenant: str) -> None:
    assert 0 <= lane_of(tenant) < 8
