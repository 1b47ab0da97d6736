"""National language tables: every cell is in its place, and a doubtful one is never written."""

from __future__ import annotations

import typing
import unicodedata

import pytest

from hermes.core.carrier import NationalLanguage
from hermes.smpp.gsm7 import BASIC, EXTENSION, NotGsm7
from hermes.smpp.gsm7_national import (
    Shift,
    cells,
    decode_national,
    encode_national,
    shifts_of,
    tables_of,
)
from hermes.smpp.gsm7_national_tables import CODES, INDIC, LOCKING, SINGLE, UNSURE, Language

INDIC_LANGUAGES = [language for language in Language if language >= Language.BENGALI]
BLOCKS = {
    Language.BENGALI: range(0x0980, 0x0A00),
    Language.GUJARATI: range(0x0A80, 0x0B00),
    Language.HINDI: range(0x0900, 0x0980),
    Language.KANNADA: range(0x0C80, 0x0D00),
    Language.MALAYALAM: range(0x0D00, 0x0D80),
    Language.ORIYA: range(0x0B00, 0x0B80),
    Language.PUNJABI: range(0x0A00, 0x0A80),
    Language.TAMIL: range(0x0B80, 0x0C00),
    Language.TELUGU: range(0x0C00, 0x0C80),
}
DANDAS = "\u0964\u0965"
"""Devanagari punctuation that the other scripts share."""
ZERO_AT = dict.fromkeys(INDIC_LANGUAGES, 28) | {Language.BENGALI: 0x19}
SAMPLES = [
    ("ğ", Shift(single=Language.TURKISH), "1b67"),
    ("İı", Shift(single=Language.TURKISH), "1b491b69"),
    ("ğĞşŞıİç€", Shift(locking=Language.TURKISH), "0c0b1d1c07406004"),
    ("[ğ", Shift(Language.TURKISH, Language.TURKISH), "1b3c0c"),
    ("áÁíÍóÓúÚç", Shift(single=Language.SPANISH), "1b611b411b691b491b6f1b4f1b751b551b09"),
    ("ê Ê ã Ã", Shift(single=Language.PORTUGUESE), "1b05201b1f201b7b201b5b"),
    ("ãõçêâôáíóú`^\\|~€∞", Shift(locking=Language.PORTUGUESE), None),
    ("नमस्ते", Shift(locking=Language.HINDI), "2f424c5f2759"),
    ("বাংলা", Shift(locking=Language.BENGALI), "4050014650"),
    ("\u0627 \u0628", Shift(locking=Language.URDU), "002002"),
]


@pytest.mark.parametrize(("text", "shift", "octets"), SAMPLES)
def test_a_text_has_these_septets(text: str, shift: Shift, octets: str | None) -> None:
    encoded = encode_national(text, shift)
    assert decode_national(encoded, shift) == text
    if octets is None:
        assert len(encoded) == len(text)
    else:
        assert encoded.hex() == octets


@pytest.mark.parametrize("language", LOCKING)
def test_a_locking_table_keeps_digits_letters_and_the_control_characters(
    language: Language,
) -> None:
    table = cells(LOCKING[language])
    kept = {0x0A: "\n", 0x0D: "\r", 0x20: " ", 0x21: "!", 0x2C: ",", 0x2E: ".", 0x3F: "?"}
    kept |= {code: chr(code) for code in [*range(0x30, 0x3A), *range(0x61, 0x7B)]}
    assert {code: table[code] for code in kept} == kept
    assert 0x1B not in table
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("language", BLOCKS)
def test_an_indic_locking_table_is_its_unicode_block_in_order(language: Language) -> None:
    codes = [ord(character) for character in cells(LOCKING[language]).values()]
    own = [code for code in codes if code > 0x7F]
    assert own == sorted(own)
    assert set(own) <= set(BLOCKS[language])


@pytest.mark.parametrize("language", INDIC_LANGUAGES)
def test_a_single_shift_table_counts_from_zero_to_nine(language: Language) -> None:
    table, zero = cells(SINGLE[language]), ZERO_AT[language]
    places = [code for code in range(zero, zero + 11) if code != 0x1B][:10]
    assert [unicodedata.digit(table[code]) for code in places] == list(range(10))


@pytest.mark.parametrize("language", INDIC_LANGUAGES)
def test_an_indic_single_shift_table_adds_its_script_to_the_common_part(
    language: Language,
) -> None:
    own, common = cells(SINGLE[language]), cells(INDIC)
    assert not own.keys() & common.keys()
    if language in BLOCKS:
        block = {chr(code) for code in BLOCKS[language]}
        assert set(own.values()) <= block | set(DANDAS)


@pytest.mark.parametrize("language", SINGLE)
def test_the_extension_table_stays_reachable(language: Language) -> None:
    shift = Shift(single=language)
    septets = [code for code in EXTENSION if code not in UNSURE.get(language, ((), ()))[1]]
    for code in septets:
        pair = bytes((0x1B, code))
        assert decode_national(pair, shift) == EXTENSION[code]


@pytest.mark.parametrize("language", Language)
def test_every_character_is_one_of_unicode(language: Language) -> None:
    rows = SINGLE[language] + LOCKING.get(language, "")
    for character in cells(rows).values():
        assert unicodedata.category(character) != "Cn"


@pytest.mark.parametrize("language", UNSURE)
def test_a_doubtful_cell_is_read_and_never_written(language: Language) -> None:
    basic, extension = UNSURE[language]
    for code in basic:
        character = cells(LOCKING[language])[code]
        assert decode_national(bytes((code,)), Shift(locking=language)) == character
        with pytest.raises(NotGsm7):
            encode_national(character, Shift(language, language))
    for code in extension:
        character = cells(SINGLE[language]).get(code) or cells(INDIC)[code]
        assert decode_national(bytes((0x1B, code)), Shift(single=language)) == character
        with pytest.raises(NotGsm7):
            encode_national(character, Shift(language, language))


def test_an_unknown_pair_is_the_character_of_the_locking_table() -> None:
    both = Shift(Language.TURKISH, Language.TURKISH)
    assert decode_national(bytes.fromhex("1b0c"), both) == "ğ"
    assert decode_national(bytes.fromhex("1b30"), both) == "0"
    assert decode_national(bytes.fromhex("1b1b1b"), both) == "  "


def test_a_septet_without_a_character_is_replaced() -> None:
    assert decode_national(b"\x0c\x80", Shift(locking=Language.TAMIL)) == "\ufffd\ufffd"


def test_spanish_has_no_locking_table() -> None:
    assert shifts_of(Language.SPANISH) == (Shift(single=Language.SPANISH),)
    assert tables_of(Shift(locking=Language.SPANISH)).encode("à") == b"\x7f"
    assert Language.SPANISH not in LOCKING


def test_the_elements_name_the_tables() -> None:
    assert Shift().elements == b""
    assert Shift(single=Language.TURKISH).elements.hex() == "240101"
    assert Shift(locking=Language.URDU).elements.hex() == "25010d"
    assert Shift(Language.HINDI, Language.HINDI).elements.hex() == "240106250106"


def test_a_profile_may_name_every_language_there_is() -> None:
    assert set(typing.get_args(NationalLanguage)) == set(CODES)
    assert sorted(CODES.values()) == list(Language)


def test_the_default_tables_are_whole() -> None:
    assert len(BASIC) == 128
    assert len(EXTENSION) == 10
