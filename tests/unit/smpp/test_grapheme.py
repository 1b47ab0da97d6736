"""What a reader sees as one character is one part."""

from __future__ import annotations

import pytest

from hermes.smpp.grapheme import graphemes

CLUSTERS = [
    ["e\u0301", "a"],  # combining mark
    ["👩\u200d👩\u200d👧", "x"],  # ZWJ sequence
    ["👍🏽", "👍"],  # skin tone
    ["❤\ufe0f", "1\ufe0f\u20e3"],  # variation selector, keycap
    ["🇩🇰", "🇸🇪", "🇳"],  # flags are pairs
    ["🏴\U000e0067\U000e0062\U000e007f", "a"],  # tags of a subdivision flag
    ["\u1112\u1161\u11ab", "\u1100\u1173\u11af"],  # Hangul jamo
    ["한", "국"],  # syllables
    ["가\u11a8", "각\u11a8", "각", "\u1161"],  # a trailing consonant may follow, a vowel may not
    ["क्ष", "त्रि"],  # Devanagari conjuncts with a vowel sign
    ["क्\u200dष", "a"],  # conjunct by joiner
    ["কা", "ল"],  # vowel sign of its own width
    ["นำ", "ก"],  # Thai SARA AM
    ["\r\n", "\n", "\r", "a"],
    ["a", "b", "ñ", "æ"],
    ["\u0301"],
]


@pytest.mark.parametrize("parts", CLUSTERS)
def test_these_are_kept_together(parts: list[str]) -> None:
    assert graphemes("".join(parts)) == parts


def test_no_text_has_no_parts() -> None:
    assert graphemes("") == []
