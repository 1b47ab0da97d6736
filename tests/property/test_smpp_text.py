"""Alphabets, segments, ids and receipts hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.smpp.command import CommandId
from hermes.smpp.data_coding import Alphabet, decode_text, encode_text
from hermes.smpp.gsm7 import NotGsm7, decode_gsm7, encode_gsm7, is_gsm7
from hermes.smpp.message_id import convert, forms
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import FINAL, KNOWN, MESSAGE_STATES, is_receipt, parse_receipt
from hermes.smpp.segment import (
    Concatenation,
    TextTooLong,
    part_limit,
    segments,
    single_limit,
    single_segment,
)
from hermes.smpp.tlv import Tlv, TlvTag

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"
GSM_TEXT = st.text(st.sampled_from(BASIC + EXTENDED), max_size=700)
ANY_TEXT = st.text(
    st.one_of(
        st.characters(codec="utf-16-be"),
        st.sampled_from("ab€[😀👩\u200d🏽\ufe0f\u0301" + EXTENDED),
    ),
    max_size=400,
)


def units(text: str, alphabet: Alphabet) -> int:
    if alphabet is Alphabet.GSM7:
        return len(text) + sum(character in EXTENDED for character in text)
    return len(text.encode("utf-16-be")) // 2


@given(GSM_TEXT)
def test_gsm7_text_comes_back(text: str) -> None:
    octets = encode_gsm7(text)
    assert is_gsm7(text)
    assert decode_gsm7(octets) == text
    assert len(octets) == units(text, Alphabet.GSM7)


@given(st.binary(max_size=200))
def test_any_octets_decode_as_gsm7(octets: bytes) -> None:
    assert len(decode_gsm7(octets)) <= len(octets)


@given(ANY_TEXT)
def test_a_foreign_character_is_an_error_and_never_a_question_mark(text: str) -> None:
    foreign = [character for character in text if character not in BASIC + EXTENDED]
    if not foreign:
        assert encode_gsm7(text)[:0] == b""
        return
    assert not is_gsm7(text)
    with pytest.raises(NotGsm7) as caught:
        encode_gsm7(text)
    assert caught.value.character == foreign[0]


@given(ANY_TEXT)
def test_every_text_is_readable_after_the_automatic_choice(text: str) -> None:
    encoded = encode_text(text)
    assert decode_text(encoded.octets, encoded.data_coding) == text
    assert encoded.units == units(text, encoded.alphabet)
    assert (encoded.alphabet is Alphabet.GSM7) == is_gsm7(text)


@given(st.binary(max_size=100), st.integers(0, 255))
def test_any_octets_of_any_coding_are_text(octets: bytes, data_coding: int) -> None:
    assert isinstance(decode_text(octets, data_coding), str)


@given(ANY_TEXT)
def test_one_segment_is_the_whole_text_or_a_clear_error(text: str) -> None:
    encoded = encode_text(text)
    limit = single_limit(encoded.alphabet)
    if encoded.units <= limit:
        assert single_segment(text).octets == encoded.octets
        return
    with pytest.raises(TextTooLong) as caught:
        single_segment(text)
    assert (caught.value.units, caught.value.limit) == (encoded.units, limit)


@settings(max_examples=300)
@given(
    st.one_of(GSM_TEXT, ANY_TEXT),
    st.integers(0, 100_000),
    st.sampled_from([Concatenation.UDH8, Concatenation.UDH16, Concatenation.SAR]),
)
def test_parts_join_to_the_text_and_none_breaks_a_character(
    text: str, reference: int, concatenation: Concatenation
) -> None:
    parts = segments(text, reference, concatenation=concatenation)
    encoded = encode_text(text)
    if len(parts) == 1:
        assert (parts[0].octets, parts[0].esm_class, parts[0].tlvs) == (encoded.octets, 0, ())
        return
    header = {Concatenation.UDH8: 6, Concatenation.UDH16: 7, Concatenation.SAR: 0}[concatenation]
    bodies = [part.octets[header:] for part in parts]
    assert b"".join(bodies) == encoded.octets
    # a broken escape or surrogate pair would not decode to the same text piece by piece
    assert (
        "".join(
            decode_text(body, part.data_coding) for body, part in zip(bodies, parts, strict=True)
        )
        == text
    )
    size = 2 if encoded.alphabet is Alphabet.UCS2 else 1
    limit = part_limit(encoded.alphabet, concatenation) * size
    assert all(len(body) <= limit for body in bodies)
    assert [part.number for part in parts] == list(range(1, parts[0].total + 1))
    assert len({part.octets[: header - 2] for part in parts} if header else {0}) == 1
    assert all((part.esm_class == 0x40) == (header > 0) for part in parts)
    assert all((len(part.tlvs) == 3) == (header == 0) for part in parts)


@given(st.integers(0, 2**200), st.integers(0, 12))
def test_two_notations_of_one_number_share_a_key(number: int, zeros: int) -> None:
    padding = "0" * zeros
    decimal, hexadecimal = padding + str(number), padding + f"{number:x}"
    written = [decimal, str(number), hexadecimal, f"{number:X}", f"0x{number:X}"]
    for one in written:
        for other in (decimal, f"{number:x}") if max(map(len, written)) <= 64 else (one,):
            ours, theirs = forms(one), forms(other)
            assert {key.key for key in ours} & {key.key for key in theirs}


@given(st.text(st.characters(max_codepoint=255), max_size=6000))
def test_an_id_is_its_own_first_key_and_no_key_repeats(message_id: str) -> None:
    keys = forms(message_id)
    assert [key.key for key in keys[:1]] == ([message_id] if message_id else [])
    assert len({key.key for key in keys}) == len(keys)
    assert all(convert(message_id, form) == key for form, key, _ in keys)
    assert [key.needs_address_check for key in keys] == [False, *[True] * (len(keys) - 1)][
        : len(keys)
    ]


RECEIPT_PIECES = st.sampled_from(
    ["id:", "stat:", "text:", "err:", "submit date:", "done date:", " ", "DELIVRD", "\0", "a1", "é"]
)


@settings(max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=254),
        st.lists(RECEIPT_PIECES).map(lambda p: "".join(p).encode("latin-1")),
    ),
    st.integers(0, 255),
    st.lists(
        st.builds(
            Tlv,
            st.sampled_from(
                [
                    int(t)
                    for t in (
                        TlvTag.receipted_message_id,
                        TlvTag.message_state,
                        TlvTag.network_error_code,
                        TlvTag.message_payload,
                    )
                ]
            ),
            st.binary(max_size=20),
        ),
        max_size=4,
    ).map(tuple),
)
def test_any_deliver_sm_is_read_as_a_receipt_without_an_error(
    octets: bytes, esm_class: int, tlvs: tuple[Tlv, ...]
) -> None:
    pdu = Pdu(
        CommandId.deliver_sm, fields={"esm_class": esm_class, "short_message": octets}, tlvs=tlvs
    )
    receipt = parse_receipt(pdu)
    assert receipt.stat in KNOWN | set(MESSAGE_STATES.values())
    assert receipt.final == (receipt.stat in FINAL)
    assert is_receipt(pdu) or esm_class & 0x3C not in (0x04, 0x20)
