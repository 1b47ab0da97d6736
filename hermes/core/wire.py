"""Reading what another version, or a fault, may have written: a value, or Unreadable."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

import msgspec

from hermes.core.errors import Unreadable

T = TypeVar("T")
# a value nested too deep for the reader is no less unreadable than a truncated one
BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read(decoder: msgspec.json.Decoder[T], what: str, data: bytes | str) -> T:
    """Decode, whatever the octets are. Raises Unreadable."""
    try:
        return decoder.decode(data)
    except BROKEN as error:
        raise Unreadable(what, said(error)) from error


def check_version(what: str, version: int, readable: Container[int]) -> None:
    """Refuse what a version this reader does not know has written. Raises Unreadable."""
    if version not in readable:
        raise Unreadable(what, f"version {version}, this reader knows {readable}")


def said(error: Exception) -> str:
    """Give a decoder's words without the value it quotes, which may be a text or an address."""
    words = str(error)
    if not words.startswith("Invalid enum value"):
        return words
    place = words.rpartition(" - at ")[2]
    return f"no known value at {place}" if place.startswith("`$") else "no known value"
