"""Notations of a message id: one number, written as different carriers write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID


class IdForm(StrEnum):
    """How a message id is written."""

    decimal = "decimal"
    decimal_padded = "decimal-padded"
    hex = "hex"
    hex_upper = "hex-upper"
    hex_padded = "hex-padded"
    hex_0x = "hex-0x"
    uuid = "uuid"
    uuid_upper = "uuid-upper"
    long = "long"
    eight_bit = "eight-bit"


_MIXER: Final = 0x9E37_79B9_7F4A_7C15
_LOW: Final = (1 << 64) - 1


def _uuid(number: int) -> str:
    """A UUID that looks random and holds the number in its lower half, so no two are the same."""
    high = (number * _MIXER ^ number >> 7) & _LOW
    return str(UUID(int=high << 64 | number & _LOW))


_WRITERS: Final[Mapping[IdForm, Callable[[int], str]]] = MappingProxyType(
    {
        IdForm.decimal: str,
        IdForm.decimal_padded: "{:020d}".format,
        IdForm.hex: "{:x}".format,
        IdForm.hex_upper: "{:X}".format,
        IdForm.hex_padded: "{:016x}".format,
        IdForm.hex_0x: "0x{:X}".format,
        IdForm.uuid: _uuid,
        IdForm.uuid_upper: lambda number: _uuid(number).upper(),
        IdForm.long: "{:070d}".format,
        IdForm.eight_bit: "\xe9{}".format,
    }
)


def write_id(number: int, form: IdForm) -> str:
    """The number (0 to 2^64 - 1) in that notation; latin-1.

    `long` has 70 characters, more than is allowed (SMPP 3.4, 4.4.2); the others have at most 36.
    """
    return _WRITERS[form](number)
