"""Notations of a carrier's message id: responses and receipts may write one number differently."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple


class IdForm(Enum):
    """How a key was made from an id."""

    AS_IS = "as-is"
    CASE = "case"  # lower case
    ZEROS = "zeros"  # lower case, without 0x and leading zeros
    HEX_TO_DEC = "hex-dec"
    DEC_TO_HEX = "dec-hex"


class IdKey(NamedTuple):
    """One key an id is looked up by.

    `needs_address_check`: a match by this key counts only when the addresses agree too, for one
    number in two notations may be two messages.
    """

    form: IdForm
    key: str
    needs_address_check: bool


_HEX: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_DECIMAL: Final = re.compile(r"[0-9]+")
_LONGEST_NUMBER: Final = 64
"""Characters: a number is shorter, and Python refuses to print very long ones."""


def convert(message_id: str, form: IdForm) -> str | None:
    """The id in that form, None where it has none (a UUID is no number)."""
    if form is IdForm.AS_IS:
        return message_id
    if form is IdForm.CASE:
        return message_id.lower()
    if len(message_id) > _LONGEST_NUMBER:
        return None
    digits = _HEX.fullmatch(message_id)
    if digits is None:
        return None
    if form is IdForm.ZEROS:
        return digits.group(1).lower().lstrip("0") or "0"
    if form is IdForm.HEX_TO_DEC:
        return str(int(digits.group(1), 16))
    return f"{int(message_id):x}" if _DECIMAL.fullmatch(message_id) else None


def forms(message_id: str) -> tuple[IdKey, ...]:
    """Every key of an id, the id itself first, each key once; none for an empty id.

    Both the response and the receipt are stored and looked up under all of them: two notations of
    one number always share a key.
    """
    if not message_id:
        return ()
    keys: dict[str, IdForm] = {}
    for form in IdForm:
        key = convert(message_id, form)
        if key is not None:
            keys.setdefault(key, form)
    return tuple(IdKey(form, key, form is not IdForm.AS_IS) for key, form in keys.items())
