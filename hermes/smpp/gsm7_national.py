"""Texts in the national language tables, unpacked (3GPP TS 23.038, 6.2.1.2 and annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from hermes.smpp.gsm7 import BASIC, EXTENSION, SeptetTables
from hermes.smpp.gsm7_national_tables import CODES, INDIC, LOCKING, SINGLE, UNSURE, Language

SINGLE_SHIFT: Final = 0x24
LOCKING_SHIFT: Final = 0x25
"""Information elements of the user data header (3GPP TS 23.040, 9.2.3.24.15 and 16)."""

_WORDS: Final = {"SP": " ", "LF": "\n", "CR": "\r", "FF": "\f"}


@dataclass(frozen=True, slots=True)
class Shift:
    """Which tables stand in for the default alphabet (`locking`) and its extension (`single`)."""

    single: Language | None = None
    locking: Language | None = None

    @property
    def elements(self) -> bytes:
        """The information elements that say so, three octets each; none for the default tables."""
        octets = b""
        if self.single is not None:
            octets += bytes((SINGLE_SHIFT, 1, self.single))
        if self.locking is not None:
            octets += bytes((LOCKING_SHIFT, 1, self.locking))
        return octets


DEFAULT: Final = Shift()


def languages_of(codes: tuple[str, ...]) -> tuple[Language, ...]:
    """The languages of ISO 639-1 codes; raises KeyError for one without tables."""
    return tuple(CODES[code] for code in codes)


def shifts_of(language: Language) -> tuple[Shift, ...]:
    """The ways to write in a language: single shift, locking shift, both; as far as they exist."""
    if language not in LOCKING:
        return (Shift(single=language),)
    return (Shift(single=language), Shift(locking=language), Shift(language, language))


def encode_national(text: str, shift: Shift) -> bytes:
    """One octet per septet, an escape pair for the extension; raises NotGsm7."""
    return tables_of(shift).encode(text)


def decode_national(octets: bytes, shift: Shift) -> str:
    """The text; never raises: what has no character is U+FFFD."""
    return tables_of(shift).decode(octets)


@cache
def tables_of(shift: Shift) -> SeptetTables:
    """The two tables in force; a language without a locking table keeps the default alphabet."""
    basic, extension = BASIC, EXTENSION
    unsure_basic: frozenset[int] = frozenset()
    unsure_extension: frozenset[int] = frozenset()
    if shift.locking in LOCKING:
        basic = cells(LOCKING[shift.locking])
        unsure_basic, _ = UNSURE.get(shift.locking, (frozenset(), frozenset()))
    if shift.single in SINGLE:
        common = EXTENSION if shift.single < Language.BENGALI else cells(INDIC)
        extension = {**common, **cells(SINGLE[shift.single])}
        _, unsure_extension = UNSURE.get(shift.single, (frozenset(), frozenset()))
    return SeptetTables(basic, extension, (unsure_basic, unsure_extension))


def cells(rows: str) -> dict[int, str]:
    """The character of each septet of a written table, those without one left out."""
    found: dict[int, str] = {}
    for row in rows.split("\n"):
        at, *words = row.split() or ("0",)
        for septet, word in enumerate(words, int(at, 16)):
            if word != "--":
                found[septet] = _character(word)
    return found


def _character(word: str) -> str:
    return _WORDS.get(word) or (word if len(word) == 1 else chr(int(word, 16)))
