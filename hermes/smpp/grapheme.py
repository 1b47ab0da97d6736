"""Parts a text into what a reader sees as one character (Unicode UAX #29, as far as SMS needs)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

ZWJ: Final = "\u200d"
_EXTENDING: Final = frozenset(("Mn", "Me", "Mc"))
_OTHER_EXTENDING: Final = frozenset("\u200c\u200d\u0e33\u0eb3\uff9e\uff9f")
"""Joiners, Thai and Lao AM, halfwidth voiced sound marks: of other categories, but they extend."""
_INDIC: Final = range(0x0900, 0x0E00)
_VIRAMA: Final = 9
"""Canonical combining class of the sign that makes conjuncts."""
_LEADING: Final = (range(0x1100, 0x1160), range(0xA960, 0xA97D))
_VOWEL: Final = (range(0x1160, 0x11A8), range(0xD7B0, 0xD7C7))
_TRAILING: Final = (range(0x11A8, 0x1200), range(0xD7CB, 0xD7FC))
_SYLLABLE: Final = range(0xAC00, 0xD7A4)


def graphemes(text: str) -> list[str]:
    """The text in parts that are kept together, in order; joined they are the text again.

    Combining and vowel signs, variation selectors, skin tones, tags and ZWJ sequences stay with
    what they change; the two letters of a flag, Hangul jamo, Indic conjuncts and CR LF stay too.
    """
    found: list[str] = []
    last = ""
    for character in text:
        if found and (last == ZWJ or _may_join(character)) and _joins(found[-1], character):
            found[-1] += character
        else:
            found.append(character)
        last = character
    return found


@lru_cache(maxsize=4096)
def _may_join(character: str) -> bool:
    """Whether a character can belong to the one before it: most cannot, and cost a look-up."""
    code = ord(character)
    return (
        character == "\n"
        or _extends(character)
        or _is_regional(character)
        or (code in _INDIC and unicodedata.category(character) == "Lo")
        or code in _SYLLABLE
        or any(_within(code, ranges) for ranges in (_LEADING, _VOWEL, _TRAILING))
    )


def _joins(before: str, character: str) -> bool:
    """Whether a character belongs to the grapheme before it."""
    last = before[-1]
    if last in "\r\n":
        return before == "\r" and character == "\n"
    if _extends(character) or last == ZWJ:
        return True
    if _is_regional(character):
        return _is_regional(last) and len(before) % 2 == 1
    return _is_conjunct(before, character) or _is_hangul_sequence(ord(last), ord(character))


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in _EXTENDING
        or character in _OTHER_EXTENDING
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags of subdivision flags
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_conjunct(before: str, character: str) -> bool:
    """Whether a consonant follows a virama: they are drawn as one."""
    return (
        ord(character) in _INDIC
        and unicodedata.category(character) == "Lo"
        and unicodedata.combining(before[-1]) == _VIRAMA
        and ord(before[0]) in _INDIC
    )


def _is_hangul_sequence(last: int, code: int) -> bool:
    """Leading consonant, vowel, trailing consonant, or a syllable in their place."""
    with_vowel = _within(last, _VOWEL) or (last in _SYLLABLE and (last - 0xAC00) % 28 == 0)
    if _within(code, _VOWEL):
        return with_vowel or _within(last, _LEADING)
    if _within(code, _TRAILING):
        return with_vowel or last in _SYLLABLE or _within(last, _TRAILING)
    return _within(last, _LEADING) and (code in _SYLLABLE or _within(code, _LEADING))


def _within(code: int, ranges: tuple[range, range]) -> bool:
    return code in ranges[0] or code in ranges[1]
