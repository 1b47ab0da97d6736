"""Cuts a text into the segments of a concatenated message (3GPP TS 23.040, 9.2.3.24.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

from hermes.smpp.data_coding import (
    STANDARD,
    Alphabet,
    DataCodings,
    Encoded,
    encode_text,
    encodings,
)
from hermes.smpp.grapheme import graphemes
from hermes.smpp.gsm7 import ESCAPE
from hermes.smpp.gsm7_national import DEFAULT, Shift, tables_of
from hermes.smpp.tlv import Tlv, TlvTag

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SEGMENTS: Final = 255
UDHI: Final = 0x40
"""esm_class bit: the short message begins with a user data header."""


class Concatenation(Enum):
    """How a carrier wants the parts of a long text marked."""

    UDH8 = "udh8"  # 8-bit reference in the user data header
    UDH16 = "udh16"  # 16-bit reference in the user data header
    SAR = "sar"  # TLVs sar_*; the SMSC writes the header, so the room is that of UDH8
    PAYLOAD = "payload"  # the whole text in message_payload; the SMSC splits


_USER_DATA: Final = 140
"""Octets of one short message, its header included (3GPP TS 23.040, 9.2.3.24)."""
_MARK: Final = {
    Concatenation.UDH8: 6,
    Concatenation.UDH16: 7,
    Concatenation.SAR: 6,
    Concatenation.PAYLOAD: 6,
}
"""Octets of a header that marks a part, its length octet included."""


class TextTooLong(ValueError):
    """The text needs more room than there is: `units` septets or 16-bit units, `limit` allowed."""

    def __init__(self, units: int, limit: int) -> None:
        self.units, self.limit = units, limit
        super().__init__(f"text has {units} units, {limit} is the limit")


@dataclass(frozen=True, slots=True)
class Segment:
    """One submit_sm of a text: `number` of `total`, counted from 1.

    `octets` go into short_message (message_payload when `payload`), header included; `esm_class`
    is the bit to add and `tlvs` the parameters that mark the part.
    """

    number: int
    total: int
    data_coding: int
    octets: bytes
    esm_class: int = 0
    tlvs: tuple[Tlv, ...] = ()
    payload: bool = False


def room(alphabet: Alphabet, header: int) -> int:
    """Units beside a header of so many octets: septets, octets or 16-bit units."""
    left = _USER_DATA - header
    match alphabet:
        case Alphabet.GSM7:
            return left * 8 // 7
        case Alphabet.UCS2:
            return left // 2
        case Alphabet.LATIN1 | Alphabet.ASCII | Alphabet.BINARY:
            return left


def single_limit(alphabet: Alphabet, shift: Shift = DEFAULT) -> int:
    """Units that fit one segment."""
    elements = shift.elements
    return room(alphabet, 1 + len(elements) if elements else 0)


def part_limit(alphabet: Alphabet, concatenation: Concatenation, shift: Shift = DEFAULT) -> int:
    """Units that fit one part of several."""
    return room(alphabet, _MARK[concatenation] + len(shift.elements))


def single_segment(text: str, codings: DataCodings = STANDARD) -> Segment:
    """The only segment of a short text; TextTooLong when it does not fit one."""
    for encoded in encodings(text, codings):
        if encoded.units <= single_limit(encoded.alphabet, encoded.shift):
            return _alone(encoded)
    plain = encode_text(text, codings)
    raise TextTooLong(plain.units, single_limit(plain.alphabet))


def segments(
    text: str,
    reference: int,
    codings: DataCodings = STANDARD,
    concatenation: Concatenation = Concatenation.UDH8,
) -> tuple[Segment, ...]:
    """The segments of a text, one if it fits; all of several carry `reference` (cut to its width).

    The alphabet is the one with the fewest segments among the carrier's small one or UCS-2 and the
    national tables it allows; of equal ones the first in the order of `encodings`. No part ends
    inside an escape pair, a surrogate pair or, if room allows, a grapheme. Raises TextTooLong
    beyond 255 parts.
    """
    encoded, parts = _fewest(text, codings, concatenation)
    if len(parts) == 1:
        return (_alone(encoded),)
    if len(parts) > MAX_SEGMENTS:
        limit = MAX_SEGMENTS * part_limit(encoded.alphabet, concatenation, encoded.shift)
        raise TextTooLong(encoded.units, limit)
    if concatenation is Concatenation.PAYLOAD:
        return (Segment(1, 1, encoded.data_coding, encoded.octets, payload=True),)
    total = len(parts)
    return tuple(
        _mark(encoded, part, (reference, total, number), concatenation)
        for number, part in enumerate(parts, 1)
    )


def _fewest(
    text: str, codings: DataCodings, concatenation: Concatenation
) -> tuple[Encoded, tuple[bytes, ...]]:
    """The encoding with the fewest parts, and the octets of each part."""
    best: tuple[Encoded, tuple[bytes, ...]] | None = None
    for encoded in encodings(text, codings):
        parts = _parts(encoded, concatenation)
        # an SMSC that splits or marks itself need not keep the tables' header in every part
        headed = concatenation in (Concatenation.UDH8, Concatenation.UDH16) or len(parts) == 1
        if best is None or (headed and len(parts) < len(best[1])):
            best = encoded, parts
        if len(best[1]) == 1:
            break
    assert best is not None
    return best


def _parts(encoded: Encoded, concatenation: Concatenation) -> tuple[bytes, ...]:
    if encoded.units <= single_limit(encoded.alphabet, encoded.shift):
        return (encoded.octets,)
    return split(encoded, part_limit(encoded.alphabet, concatenation, encoded.shift))


def split(encoded: Encoded, limit: int) -> tuple[bytes, ...]:
    """Cut the octets of a text into parts of at most `limit` units, whole characters each."""
    octets = encoded.octets
    if encoded.alphabet is Alphabet.UCS2:
        return _split_text(octets.decode("utf-16-be"), 2 * limit, _utf16)
    if encoded.shift != DEFAULT:
        tables = tables_of(encoded.shift)
        return _split_text(tables.decode(octets), limit, tables.encode)
    parts: list[bytes] = []
    start = 0
    while start < len(octets):
        end = min(start + limit, len(octets))
        if end < len(octets) and encoded.alphabet is Alphabet.GSM7 and octets[end - 1] == ESCAPE:
            end -= 1
        parts.append(octets[start:end])
        start = end
    return tuple(parts)


def _split_text(text: str, limit: int, encode: Callable[[str], bytes]) -> tuple[bytes, ...]:
    """Cut between graphemes, and inside one only when it is longer than a part (`limit` octets)."""
    parts: list[bytes] = []
    part = b""
    for grapheme in graphemes(text):
        octets = encode(grapheme)
        if len(part) + len(octets) <= limit:
            part += octets
            continue
        if part:
            parts.append(part)
        part = b""
        for character in grapheme if len(octets) > limit else (grapheme,):
            octets = encode(character)
            if len(part) + len(octets) > limit:
                parts.append(part)
                part = b""
            part += octets
    if part:
        parts.append(part)
    return tuple(parts)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


def _alone(encoded: Encoded) -> Segment:
    """The one segment of a text, behind a header when it needs to name its tables."""
    elements = encoded.shift.elements
    if not elements:
        return Segment(1, 1, encoded.data_coding, encoded.octets)
    return Segment(1, 1, encoded.data_coding, _behind(elements, encoded.octets), UDHI)


def _mark(
    encoded: Encoded, part: bytes, place: tuple[int, int, int], concatenation: Concatenation
) -> Segment:
    """The part with its mark; `place` is reference, total, number."""
    reference, total, number = place
    match concatenation:
        case Concatenation.UDH8:
            mark = bytes((0, 3, reference & 0xFF, total, number))
        case Concatenation.UDH16:
            mark = struct.pack(">BBHBB", 8, 4, reference & 0xFFFF, total, number)
        case Concatenation.SAR | Concatenation.PAYLOAD:
            tlvs = (
                Tlv.integer(TlvTag.sar_msg_ref_num, reference & 0xFFFF),
                Tlv.integer(TlvTag.sar_total_segments, total),
                Tlv.integer(TlvTag.sar_segment_seqnum, number),
            )
            return Segment(number, total, encoded.data_coding, part, 0, tlvs)
        case _:
            assert_never(concatenation)
    octets = _behind(mark + encoded.shift.elements, part)
    return Segment(number, total, encoded.data_coding, octets, UDHI)


def _behind(elements: bytes, body: bytes) -> bytes:
    """The body behind a user data header of these information elements."""
    return bytes((len(elements),)) + elements + body
