"""Reads octets written in hexadecimal by people and tools."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[^\s:]+")
_FOREIGN: Final = re.compile(r"[^0-9a-fA-F]")


class BadHex(ValueError):
    """Text that is no octets: `position` counts its characters from 1."""

    def __init__(self, position: int, rule: str) -> None:
        self.position, self.rule = position, rule
        super().__init__(f"at character {position}: {rule}")


def read_hex(text: str) -> bytes:
    """The octets of digits in pairs; white space, colons and `0x` may stand between octets.

    Raises BadHex at the first character that breaks that rule.
    """
    octets = bytearray()
    for match in _WORD.finditer(text):
        word, start = match.group(), match.start()
        if word[:2] in ("0x", "0X"):
            word, start = word[2:], start + 2
        foreign = _FOREIGN.search(word)
        if foreign is not None:
            rule = f"{foreign.group()!r} is no hexadecimal digit"
            raise BadHex(start + foreign.start() + 1, rule)
        if len(word) % 2 or not word:
            raise BadHex(start + 1, f"{len(word)} digits are no whole octets, two make one")
        octets += bytes.fromhex(word)
    return bytes(octets)
