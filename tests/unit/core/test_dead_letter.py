"""A letter names what it is about, tells nothing of it, and knows its way back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hermes.core.dead_letter import (
    MOST_KEPT,
    Admit,
    ByItself,
    DeadLetter,
    NoWay,
    Republish,
    StartClock,
    TellAgain,
    WayBack,
    decode_letter,
    encode_letter,
    file_letter,
    ids_in,
    way_back,
)
from hermes.core.ids import encode_message_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("01900000-0000-7000-8000-000000000001")
NAME = encode_message_id(ID)
LETTER = DeadLetter(stream="JOBS_sim", subject="jobs.sms.sim.otp.1", reason="why", at=NOW, seq=7)


def letter(stream: str, **fields: Any) -> DeadLetter:
    return replace(LETTER, stream=stream, **fields)


WAYS: list[tuple[DeadLetter, WayBack]] = [
    (letter("JOBS_sim", attempt=f"{NAME}.0.0"), Republish(f"{NAME}.0.0", "sim", 7, NOW)),
    (letter("JOBS_a-b"), Republish(None, "a-b", 7, NOW)),
    (letter("EVENTS", envelope=b"{}"), TellAgain("jobs.sms.sim.otp.1", b"{}")),
    (letter("EVENTS"), NoWay("the events were too large to keep")),
    (letter("INTAKE", message=NAME), Admit(ID)),
    (
        letter("LEDGER", subject="message", message=NAME, action="admit"),
        StartClock("message", NAME, "admit"),
    ),
    (
        letter(
            "LEDGER", subject="attempt", message=NAME, attempt=f"{NAME}.0.0", action="republish"
        ),
        StartClock("attempt", f"{NAME}.0.0", "republish"),
    ),
]
NO_WAYS = [
    letter("LEDGER", subject="message", message=NAME),
    letter("LEDGER", subject="other", message=NAME, action="admit"),
    letter("OTHER"),
    letter("OTHER", reason="dead letter cannot be read: Input data was truncated"),
]
BY_THEMSELVES = [
    letter("INTAKE"),
    letter("INTAKE", message="msg_x"),
    letter("CLAIMS", attempt=f"{NAME}.0.0"),
]


@pytest.mark.parametrize(("known", "way"), WAYS)
def test_each_kind_of_letter_has_its_way_back(known: DeadLetter, way: WayBack) -> None:
    assert way_back(known) == way
    assert way_back(decode_letter(encode_letter(known))) == way


@pytest.mark.parametrize("known", NO_WAYS)
def test_what_has_no_way_back_says_so(known: DeadLetter) -> None:
    assert isinstance(way_back(known), NoWay)


@pytest.mark.parametrize("known", BY_THEMSELVES)
def test_what_comes_back_by_itself_says_so(known: DeadLetter) -> None:
    assert isinstance(way_back(known), ByItself)


OCTETS: list[tuple[bytes, tuple[str | None, str | None]]] = [
    (json.dumps({"attempt": f"{NAME}.0.1", "text": "hi"}).encode(), (NAME, f"{NAME}.0.1")),
    (f'{{"text":"hi","attempt" : "{NAME}.10.2","te'.encode(), (NAME, f"{NAME}.10.2")),
    (f'{{"id":"{ID}","tenant":"ac'.encode(), (NAME, None)),
    (json.dumps({"events": [{"id": str(ID), "message": NAME}]}).encode(), (NAME, None)),
    # a text that looks like it is still a text
    (json.dumps({"text": f'"attempt":"{NAME}.0.1"'}).encode(), (None, None)),
    (f'{{"attempt":"{NAME}"}}'.encode(), (None, None)),
    (b'{"attempt":"msg_x.0.0","id":"7"}', (None, None)),
    (b"", (None, None)),
]


@pytest.mark.parametrize(("data", "ids"), OCTETS)
def test_ids_are_found_in_what_is_cut_off_or_unknown(
    data: bytes, ids: tuple[str | None, str | None]
) -> None:
    assert ids_in(data) == ids


@given(data=st.binary(max_size=300))
def test_any_octets_have_ids_or_none(data: bytes) -> None:
    message, attempt = ids_in(data)
    assert attempt is None or message is not None


def test_a_letter_always_fits_into_a_message_of_the_belt() -> None:
    long = letter("EVENTS", reason="x" * 10**6, subject="y" * 10**6, envelope=bytes(MOST_KEPT))
    whole = encode_letter(long)
    assert len(whole) < 1024**2
    assert decode_letter(whole).envelope == bytes(MOST_KEPT)
    assert (
        decode_letter(encode_letter(replace(long, envelope=bytes(MOST_KEPT + 1)))).envelope is None
    )


def test_a_letter_nobody_can_read_is_filed_all_the_same() -> None:
    filed = file_letter(3, "dead.EVENTS", b'{"stream":"EVENTS","seq":1,"reason":"old"}', NOW)
    assert (filed.seq, filed.letter.stream, filed.letter.at) == (3, "EVENTS", NOW)
    assert filed.letter.reason.startswith("dead letter cannot be read: ")
    assert isinstance(way_back(filed.letter), NoWay)
