"""Octets as people paste them, or the place where they are none."""

from __future__ import annotations

import pytest

from hermes.smpp.hex_text import BadHex, read_hex


@pytest.mark.parametrize(
    "text",
    [
        "00ff10",
        "00 FF 10",
        "0x00ff10",
        "0x00 0XfF\n0x10",
        "00:ff:10",
        " 00ff\t\n10 \r\n",
        "00ff:10",
    ],
)
def test_separators_may_stand_between_octets(text: str) -> None:
    assert read_hex(text) == b"\x00\xff\x10"


@pytest.mark.parametrize("text", ["", " \n", "::"])
def test_nothing_is_no_octets(text: str) -> None:
    assert read_hex(text) == b""


@pytest.mark.parametrize(
    ("text", "position", "rule"),
    [
        ("00 0g", 5, "'g' is no hexadecimal digit"),
        ("00 001", 4, "3 digits are no whole octets, two make one"),
        ("0 0", 1, "1 digits are no whole octets, two make one"),
        ("00-01", 3, "'-' is no hexadecimal digit"),
        ("0x", 3, "0 digits are no whole octets, two make one"),
        ("000x10", 4, "'x' is no hexadecimal digit"),
        ("٣٣", 1, "'٣' is no hexadecimal digit"),
    ],
)
def test_what_is_no_octet_is_told_with_its_place(text: str, position: int, rule: str) -> None:
    with pytest.raises(BadHex) as caught:
        read_hex(text)
    assert (caught.value.position, caught.value.rule) == (position, rule)
    assert str(caught.value) == f"at character {position}: {rule}"
