"""Reads the user data header of a short message (3GPP TS 23.040, 9.2.3.24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from hermes.smpp.gsm7_national import DEFAULT, LOCKING_SHIFT, SINGLE_SHIFT, Shift
from hermes.smpp.gsm7_national_tables import LOCKING, SINGLE, Language
from hermes.smpp.segment import MAX_SEGMENTS, Concatenation

CONCAT_8: Final = 0x00
CONCAT_16: Final = 0x08
_LANGUAGES: Final = frozenset(Language)
_CONCAT_LENGTHS: Final = {CONCAT_8: 3, CONCAT_16: 4}


class Element(NamedTuple):
    """One information element: its identifier and its octets."""

    identifier: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Concat:
    """Which part of which message this is.

    `number` may be outside 1..`total`: then it is no part of anything. `kind` is how it was
    marked: references of another width are other references.
    """

    kind: Concatenation
    reference: int
    total: int
    number: int

    @property
    def is_sound(self) -> bool:
        """Whether the number is one of a total that can be."""
        return 1 <= self.number <= self.total <= MAX_SEGMENTS


@dataclass(frozen=True, slots=True)
class UserDataHeader:
    """The elements in the order they came, and one sentence per fault."""

    elements: tuple[Element, ...] = ()
    problems: tuple[str, ...] = ()


NONE: Final = UserDataHeader()


def split_user_data(octets: bytes) -> tuple[UserDataHeader, bytes]:
    """The header and the body of user data that begins with a header; never raises.

    A header longer than the data is none: all of it is body. Elements before a broken one are kept,
    the body begins where the length octet says.
    """
    if not octets:
        return UserDataHeader(problems=("header: announced, but there are no octets",)), octets
    end = 1 + octets[0]
    if end > len(octets):
        problem = f"header: length {octets[0]} overruns by {end - len(octets)}"
        return UserDataHeader(problems=(problem,)), octets
    found: list[Element] = []
    problems: list[str] = []
    offset = 1
    while offset < end:
        head = octets[offset : min(offset + 2, end)]
        if len(head) < 2:
            problems.append(f"header: element 0x{head[0]:02x} has no length")
            break
        stop = offset + 2 + head[1]
        if stop > end:
            problems.append(
                f"header: element 0x{head[0]:02x} length {head[1]} overruns by {stop - end}"
            )
            break
        found.append(Element(head[0], octets[offset + 2 : stop]))
        offset = stop
    return UserDataHeader(tuple(found), tuple(problems)), octets[end:]


def concat_of(elements: tuple[Element, ...]) -> tuple[Concat | None, str | None]:
    """The concatenation the header tells, the last one if there are several; and what is wrong."""
    marks = [element for element in elements if element.identifier in _CONCAT_LENGTHS]
    if not marks:
        return None, None
    identifier, value = marks[-1]
    expected = _CONCAT_LENGTHS[identifier]
    if len(value) != expected:
        problem = f"concatenation: 0x{identifier:02x} has {len(value)} octets, not {expected}"
        return None, problem
    kind = Concatenation.UDH8 if identifier == CONCAT_8 else Concatenation.UDH16
    reference = int.from_bytes(value[:-2], "big")
    return Concat(kind, reference, value[-2], value[-1]), None


def shift_of(elements: tuple[Element, ...]) -> tuple[Shift, tuple[str, ...]]:
    """The national tables in force, and a sentence for what is no language: it is ignored.

    The standard asks to ignore an unknown one (3GPP TS 23.040, 9.2.3.24.15 and 16).
    """
    single = locking = None
    problems: list[str] = []
    for identifier, value in elements:
        if identifier not in (SINGLE_SHIFT, LOCKING_SHIFT):
            continue
        tables = SINGLE if identifier == SINGLE_SHIFT else LOCKING
        language = _language(value)
        if language not in tables:
            problems.append(f"national language: 0x{identifier:02x} {value.hex()} has no table")
        elif identifier == SINGLE_SHIFT:
            single = language
        else:
            locking = language
    if single is None and locking is None:
        return DEFAULT, tuple(problems)
    return Shift(single, locking), tuple(problems)


def _language(value: bytes) -> Language | None:
    """The language of an element's value; None when it is no identifier of one."""
    return Language(value[0]) if len(value) == 1 and value[0] in _LANGUAGES else None
