"""Header fields of a mail: folded, other letters encoded, and nothing that begins a new field."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

from hermes.core.errors import TenantError
from hermes.mail.address import Mailbox

WIDTH: Final = 76
"""Octets of a line, if its words allow (RFC 2047, 2; RFC 5322, 2.1.1)."""
MAX_WORD: Final = 900
"""Octets of a word that may stand unencoded: a line must not have more than 998."""
MAX_VALUE: Final = 4000
_ENCODED_OVERHEAD: Final = len("=?utf-8?b??=")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


class UnsafeHeader(TenantError):
    """A value that must not go into a header field: a line break in it would begin another."""

    def __init__(self, field: str, why: str) -> None:
        self.field, self.why = field, why
        super().__init__(f"the {field} {why}")


def text_field(name: str, value: str) -> str:
    """Give the field `name: value` with its line end, for any text of one line.

    Raises UnsafeHeader for control characters and for more than 4,000 characters.
    """
    refuse_unsafe(name, value)
    if _is_plain(value):
        return _folded(f"{name}:", value.split(" ") if value else [])
    return _folded(f"{name}:", _encoded_words(value, WIDTH - len(name) - 2))


def mailbox_field(name: str, mailbox: Mailbox) -> str:
    """Give the field of one mailbox. Raises UnsafeHeader."""
    refuse_unsafe(name, mailbox.name)
    return _folded(f"{name}:", [*_phrase(mailbox.name, WIDTH - len(name) - 2), _angled(mailbox)])


def refuse_unsafe(name: str, value: str) -> None:
    """Raise UnsafeHeader for a value that could end its line, or is out of all measure."""
    if len(value) > MAX_VALUE:
        raise UnsafeHeader(name, f"has {len(value)} characters, the limit is {MAX_VALUE}")
    found = _CONTROL.search(value)
    if found is not None:
        raise UnsafeHeader(name, f"holds the character U+{ord(found[0]):04X}")


def _angled(mailbox: Mailbox) -> str:
    return f"<{mailbox.address}>" if mailbox.name else str(mailbox.address)


def _phrase(name: str, first_width: int) -> list[str]:
    """Give the words of a display name: as they are, in quotes, or encoded (RFC 5322, 3.2.5)."""
    if not name:
        return []
    if not _is_plain(name):
        return _encoded_words(name, first_width)
    if _ATOMS.fullmatch(name):
        return name.split(" ")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{quoted}"']


def _is_plain(value: str) -> bool:
    """Say whether a value comes through folding unchanged and is not taken for encoded words."""
    words = value.split(" ")
    return (
        value.isascii()
        and "=?" not in value
        and (not value or all(words))
        and all(len(word) <= MAX_WORD for word in words)
    )


def _encoded_words(value: str, first_width: int) -> list[str]:
    """Give the encoded words of a text (RFC 2047): no character is split between two."""
    words: list[str] = []
    room, octets = _room(min(first_width, WIDTH - 1)), b""
    for character in value:
        encoded = character.encode()
        if len(octets) + len(encoded) > room:
            words.append(_encoded_word(octets))
            room, octets = _room(WIDTH - 1), b""
        octets += encoded
    return [*words, _encoded_word(octets)]


def _room(width: int) -> int:
    return max(4, (width - _ENCODED_OVERHEAD) // 4 * 3)


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{b64encode(octets).decode()}?="


def _folded(line: str, words: list[str]) -> str:
    """Join words with blanks, and with a line break before the blank where a line gets full."""
    lines: list[str] = []
    for word in words:
        # the first word stays with the name: a line of a name alone is lawful and ill seen
        if len(line) + 1 + len(word) > WIDTH and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"
