"""The GSM 7-bit default alphabet and its extension table, unpacked (3GPP TS 23.038, 6.2.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ESCAPE: Final = 0x1B
REPLACEMENT: Final = "\ufffd"


class NotGsm7(ValueError):
    """A character outside the alphabet and its extension table."""

    def __init__(self, character: str, position: int) -> None:
        self.character, self.position = character, position
        super().__init__(f"character {character!r} at {position} is not in the GSM alphabet")


class SeptetTables:
    """One table of single septets and one of septets behind an escape.

    `basic` and `extension` map septets to characters, `unsure` ones of either are read and never
    written. Of a character in several places the single septet and then the lowest is written.
    """

    __slots__ = ("_characters", "_codes", "_foreign", "_pairs")

    def __init__(
        self,
        basic: Mapping[int, str],
        extension: Mapping[int, str],
        unsure: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset()),
    ) -> None:
        codes: dict[int, str] = {}
        for table, unwritten, prefix in ((basic, unsure[0], ""), (extension, unsure[1], "\x1b")):
            for code in sorted(table):
                # ESC is no character of a text: alone it would swallow the septet after it
                if code != ESCAPE and code not in unwritten:
                    codes.setdefault(ord(table[code]), prefix + chr(code))
        self._codes: Final = codes
        self._characters: Final = {code: basic.get(code, REPLACEMENT) for code in range(0x80)}
        self._pairs: Final = {"\x1b" + chr(code): extension[code] for code in extension}
        self._foreign: Final = re.compile("[^" + re.escape("".join(map(chr, codes))) + "]")

    def holds(self, text: str) -> bool:
        """Whether every character has a septet or a pair."""
        return self._foreign.search(text) is None

    def encode(self, text: str) -> bytes:
        """One octet per septet, an escape pair for the extension; raises NotGsm7."""
        foreign = self._foreign.search(text)
        if foreign is not None:
            raise NotGsm7(foreign.group(), foreign.start())
        return text.translate(self._codes).encode("latin-1")

    def decode(self, octets: bytes) -> str:
        """The text; never raises.

        An unknown pair is the character of its second septet (23.038 asks for that), an escape at
        the end or before another escape is a space, an octet above 0x7F or a septet without a
        character is U+FFFD.
        """
        septets = octets.decode("latin-1")
        if ESCAPE not in octets:
            return self._plain(septets)
        parts: list[str] = []
        start = 0
        for match in _ESCAPED.finditer(septets):
            parts.append(self._plain(septets[start : match.start()]))
            parts.append(self._pairs.get(match.group()) or self._second(match.group(1)))
            start = match.end()
        parts.append(self._plain(septets[start:]))
        return "".join(parts)

    def _second(self, septet: str) -> str:
        return " " if septet in ("", "\x1b") else self._plain(septet)

    def _plain(self, septets: str) -> str:
        if septets.isascii():
            return septets.translate(self._characters)
        return "".join(self._characters.get(ord(septet), REPLACEMENT) for septet in septets)


_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)

BASIC: Final[Mapping[int, str]] = dict(
    enumerate(
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
        " !\"#¤%&'()*+,-./0123456789:;<=>?"
        "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
        "¿abcdefghijklmnopqrstuvwxyzäöñüà"
    )
)
"""Character of each septet 0x00 to 0x7F."""

EXTENSION: Final[Mapping[int, str]] = {
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

_DEFAULT: Final = SeptetTables(BASIC, EXTENSION)

is_gsm7: Final = _DEFAULT.holds
encode_gsm7: Final = _DEFAULT.encode
decode_gsm7: Final = _DEFAULT.decode
