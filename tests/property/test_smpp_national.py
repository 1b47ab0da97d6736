"""Any text comes back from its segments, whatever tables and headers it went by."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.smpp.command import CommandId
from hermes.smpp.content import Content, content_of
from hermes.smpp.data_coding import Alphabet, DataCodings, Encoded, encodings
from hermes.smpp.grapheme import graphemes
from hermes.smpp.gsm7 import ESCAPE
from hermes.smpp.gsm7_national import (
    Shift,
    cells,
    decode_national,
    encode_national,
    shifts_of,
    tables_of,
)
from hermes.smpp.gsm7_national_tables import LOCKING, SINGLE, Language
from hermes.smpp.pdu import Pdu
from hermes.smpp.segment import (
    Concatenation,
    Segment,
    part_limit,
    segments,
    single_limit,
    split,
)

SHIFTS = [Shift()] + [shift for language in Language for shift in shifts_of(language)]
HEADERS = [Concatenation.UDH8, Concatenation.UDH16]
EMOJI = ["👩\u200d👩\u200d👧", "🇩🇰", "👍🏽", "e\u0301", "क्षि", "\u1112\u1161\u11ab", "😀", "я", "a"]
ANY_TEXT = st.lists(
    st.one_of(st.sampled_from(EMOJI), st.characters(codec="utf-16-be")), max_size=250
).map("".join)


def letters_of(shift: Shift) -> list[str]:
    """Every character that can be written by these tables."""
    everything = {chr(code) for code in range(0x20, 0x7F)} | set("\n\r\f€ñÑ")
    for language in (shift.single, shift.locking):
        if language is not None:
            everything |= set(cells(SINGLE[language] + LOCKING.get(language, "")).values())
    return sorted(character for character in everything if tables_of(shift).holds(character))


LETTERS = {shift: letters_of(shift) for shift in SHIFTS}


def texts_of(shift: Shift) -> st.SearchStrategy[str]:
    """Texts of one pair of tables, long enough for some parts."""
    return st.text(st.sampled_from(LETTERS[shift]), max_size=500)


def deliver(segment: Segment) -> Pdu:
    """The segment as a handset's message."""
    fields: dict[str, object] = {
        "esm_class": segment.esm_class,
        "data_coding": segment.data_coding,
        "short_message": segment.octets,
    }
    return Pdu(CommandId.deliver_sm, fields=fields, tlvs=segment.tlvs)


def read(parts: tuple[Segment, ...], codings: DataCodings) -> list[Content]:
    """What the segments say, each by itself."""
    contents = [content_of(deliver(part), codings) for part in parts]
    assert [content.problems for content in contents] == [()] * len(parts)
    return contents


@pytest.mark.parametrize("shift", SHIFTS, ids=str)
@settings(max_examples=25)
@given(st.data())
def test_a_text_of_any_tables_comes_back(shift: Shift, data: st.DataObject) -> None:
    text = data.draw(texts_of(shift))
    octets = encode_national(text, shift)
    assert decode_national(octets, shift) == text
    assert max(octets, default=0) < 0x80
    for limit in (single_limit(Alphabet.GSM7, shift), 20):
        parts = split(Encoded(Alphabet.GSM7, 0, octets, shift), limit)
        assert b"".join(parts) == octets
        assert all(0 < len(part) <= limit for part in parts)
        assert all(part[-1] != ESCAPE for part in parts)
        assert "".join(decode_national(part, shift) for part in parts) == text


@pytest.mark.parametrize("concatenation", HEADERS)
@pytest.mark.parametrize("shift", SHIFTS, ids=str)
@settings(max_examples=10)
@given(st.data())
def test_a_text_of_any_language_comes_back_from_its_segments(
    shift: Shift, concatenation: Concatenation, data: st.DataObject
) -> None:
    text = data.draw(texts_of(shift))
    reference = data.draw(st.integers(0, 0xFFFF))
    language = shift.single or shift.locking
    codings = DataCodings(languages=() if language is None else (language,))
    parts = segments(text, reference, codings, concatenation)
    contents = read(parts, codings)
    assert "".join(content.text or "" for content in contents) == text
    assert len({content.shift for content in contents}) == 1
    for number, content in enumerate(contents, 1):
        concat = content.concat
        if len(parts) == 1:
            assert concat is None
            continue
        assert concat is not None
        width = 0xFF if concatenation is Concatenation.UDH8 else 0xFFFF
        assert (concat.reference, concat.number) == (reference & width, number)
        assert concat.total == len(parts)
    for part in parts:
        header = 1 + part.octets[0] if part.esm_class else 0
        if part.data_coding == 0:
            assert len(part.octets) - header <= (140 - header) * 8 // 7
        else:
            assert len(part.octets) <= 140


@settings(max_examples=150)
@given(ANY_TEXT, st.sampled_from(HEADERS), st.sampled_from(list(Language)))
def test_no_other_way_needs_fewer_segments(
    text: str, concatenation: Concatenation, language: Language
) -> None:
    codings = DataCodings(languages=(language,))
    chosen = segments(text, 1, codings, concatenation)
    for encoded in encodings(text, codings):
        if encoded.units <= single_limit(encoded.alphabet, encoded.shift):
            assert len(chosen) == 1
            continue
        limit = part_limit(encoded.alphabet, concatenation, encoded.shift)
        assert len(chosen) <= len(split(encoded, limit))
    assert "".join(content.text or "" for content in read(chosen, codings)) == text


@settings(max_examples=200)
@given(ANY_TEXT, st.integers(2, 70))
def test_a_part_of_ucs2_ends_between_graphemes_that_fit_a_part(text: str, limit: int) -> None:
    encoded = Encoded(Alphabet.UCS2, 8, text.encode("utf-16-be"))
    parts = [part.decode("utf-16-be") for part in split(encoded, limit)]  # no half pair decodes
    assert "".join(parts) == text
    ends = set(accumulate(len(part) for part in parts))
    at = 0
    for grapheme in graphemes(text):
        inside = range(at + 1, at + len(grapheme))
        if len(grapheme.encode("utf-16-be")) <= 2 * limit:
            assert not ends & set(inside), grapheme
        at += len(grapheme)


@given(ANY_TEXT)
def test_graphemes_are_the_text_in_order(text: str) -> None:
    parts = graphemes(text)
    assert "".join(parts) == text
    assert all(parts)


@given(st.binary(max_size=160), st.sampled_from(SHIFTS))
def test_any_octets_are_text_by_any_tables(octets: bytes, shift: Shift) -> None:
    assert len(decode_national(octets, shift)) <= len(octets)
