"""The GSM 7-bit default alphabet and its extension table, unpacked (3GPP TS 23.038, 6.2.1)."""

from __future__ import annotations

import re
from typing import Final

ESCAPE: Final = 0x1B
_DEFAULT: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Character of each septet 0x00 to 0x7F."""

_EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""Character of each septet after an escape."""

# ESC (0x1B) is no character of a text: alone it would swallow the septet after it
_SEPTETS: Final[dict[int, str]] = {
    ord(character): chr(code) for code, character in enumerate(_DEFAULT) if code != ESCAPE
} | {ord(character): chr(ESCAPE) + chr(code) for code, character in _EXTENSION.items()}
_CHARACTERS: Final[dict[int, str]] = dict(enumerate(_DEFAULT))
_PAIRS: Final[dict[str, str]] = {
    chr(ESCAPE) + chr(code): character for code, character in _EXTENSION.items()
}
_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)
_FOREIGN: Final = re.compile("[^" + re.escape("".join(map(chr, _SEPTETS))) + "]")


class NotGsm7(ValueError):
    """A character outside the alphabet and its extension table."""

    def __init__(self, character: str, position: int) -> None:
        self.character, self.position = character, position
        super().__init__(f"character {character!r} at {position} is not in the GSM alphabet")


def is_gsm7(text: str) -> bool:
    """Whether every character has a septet or a pair."""
    return _FOREIGN.search(text) is None


def encode_gsm7(text: str) -> bytes:
    """One octet per septet, an escape pair for the extension table; raises NotGsm7."""
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        raise NotGsm7(foreign.group(), foreign.start())
    return text.translate(_SEPTETS).encode("latin-1")


def decode_gsm7(octets: bytes) -> str:
    """The text; never raises.

    An unknown pair is the character of its second septet (23.038 asks for that), an escape at the
    end or before another escape is a space, an octet above 0x7F is U+FFFD.
    """
    septets = octets.decode("latin-1")
    if ESCAPE not in octets:
        return _plain(septets)
    parts: list[str] = []
    start = 0
    for match in _ESCAPED.finditer(septets):
        parts.append(_plain(septets[start : match.start()]))
        parts.append(_PAIRS.get(match.group()) or _second(match.group(1)))
        start = match.end()
    parts.append(_plain(septets[start:]))
    return "".join(parts)


def _second(septet: str) -> str:
    return " " if septet in ("", "\x1b") else _plain(septet)


def _plain(septets: str) -> str:
    if septets.isascii():
        return septets.translate(_CHARACTERS)
    return "".join(_CHARACTERS.get(ord(septet), "\ufffd") for septet in septets)
