"""Segments are cut where the standard says, and counted in septets or 16-bit units."""

from __future__ import annotations

import pytest

from hermes.smpp.data_coding import (
    Alphabet,
    DataCodings,
    alphabet_of,
    decode_text,
    encode_text,
)
from hermes.smpp.segment import Concatenation, TextTooLong, segments, single_segment

COUNTS = [
    ("a" * 160, 1),
    ("a" * 161, 2),
    ("a" * 158 + "€", 1),
    ("a" * 159 + "€", 2),  # 161 septets in 160 characters
    ("a" * 306, 2),
    ("a" * 307, 3),
    ("a" * 152 + "€" + "a" * 152, 3),  # the pair moves to the second part
    ("я" * 70, 1),
    ("я" * 71, 2),
    ("я" * 134, 2),
    ("я" * 135, 3),
    ("😀" * 35, 1),
    ("😀" * 36, 2),
    ("я" * 66 + "😀" + "я" * 66, 3),  # the surrogate pair moves
    ("", 1),
]


@pytest.mark.parametrize(("text", "count"), COUNTS)
def test_a_text_has_so_many_segments(text: str, count: int) -> None:
    assert len(segments(text, 1)) == count


def test_two_hundred_letters_are_159_and_53_octets_behind_an_8_bit_header() -> None:
    first, second = segments("a" * 200, 0x1234)
    assert (len(first.octets), len(second.octets)) == (159, 53)
    assert first.octets[:6] == bytes.fromhex("050003340201")
    assert second.octets[:6] == bytes.fromhex("050003340202")
    assert (first.esm_class, first.data_coding) == (0x40, 0)


def test_a_16_bit_header_keeps_the_whole_reference() -> None:
    first, *_ = segments("a" * 200, 0x1234, concatenation=Concatenation.UDH16)
    assert first.octets[:7] == bytes.fromhex("06080412340201")
    assert len(first.octets) == 159


def test_a_payload_is_one_submit_with_the_whole_text() -> None:
    (only,) = segments("a" * 400, 1, concatenation=Concatenation.PAYLOAD)
    assert (only.payload, only.octets, only.esm_class) == (True, b"a" * 400, 0)


def test_a_grapheme_stays_together_if_room_allows() -> None:
    family = "👩\u200d👩\u200d👧"
    first, second = segments("я" * 62 + family + "я" * 10, 1)
    assert decode_text(first.octets[6:], 8) == "я" * 62
    assert decode_text(second.octets[6:], 8) == family + "я" * 10


def test_a_text_beyond_one_segment_is_a_clear_error() -> None:
    with pytest.raises(TextTooLong, match="text has 161 units, 160 is the limit"):
        single_segment("a" * 161)
    with pytest.raises(TextTooLong, match="text has 71 units, 70 is the limit"):
        single_segment("я" * 71)


def test_a_text_beyond_255_parts_is_a_clear_error() -> None:
    assert len(segments("a" * 153 * 255, 1)) == 255
    with pytest.raises(TextTooLong):
        segments("a" * (153 * 255 + 1), 1)


def test_the_numbers_of_the_carrier_are_used() -> None:
    codings = DataCodings(gsm7=0xF1, ucs2=0x18)
    assert encode_text("abc", codings).data_coding == 0xF1
    assert encode_text("яя", codings).data_coding == 0x18
    latin = DataCodings(default_alphabet=Alphabet.LATIN1)
    assert encode_text("ê", latin).octets == b"\xea"
    assert encode_text("ê").alphabet is Alphabet.UCS2


ALPHABETS = [
    (0x00, Alphabet.GSM7),
    (0x01, Alphabet.ASCII),
    (0x02, Alphabet.BINARY),
    (0x03, Alphabet.LATIN1),
    (0x04, Alphabet.BINARY),
    (0x08, Alphabet.UCS2),
    (0x0D, Alphabet.BINARY),
    (0x10, Alphabet.GSM7),
    (0x18, Alphabet.UCS2),
    (0xF0, Alphabet.GSM7),
    (0xF5, Alphabet.BINARY),
]


@pytest.mark.parametrize(("data_coding", "alphabet"), ALPHABETS)
def test_a_data_coding_means_an_alphabet(data_coding: int, alphabet: Alphabet) -> None:
    assert alphabet_of(data_coding) is alphabet
