"""Cuts a text into the segments of a concatenated message (3GPP TS 23.040, 9.2.3.24.1)."""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hermes.smpp.data_coding import STANDARD, Alphabet, DataCodings, Encoded, encode_text
from hermes.smpp.gsm7 import ESCAPE
from hermes.smpp.tlv import Tlv, TlvTag

MAX_SEGMENTS: Final = 255
UDHI: Final = 0x40
"""esm_class bit: the short message begins with a user data header."""


class Concatenation(Enum):
    """How a carrier wants the parts of a long text marked."""

    UDH8 = "udh8"  # 8-bit reference in the user data header
    UDH16 = "udh16"  # 16-bit reference in the user data header
    SAR = "sar"  # TLVs sar_*; the SMSC writes the header, so the room is that of UDH8
    PAYLOAD = "payload"  # the whole text in message_payload; the SMSC splits


_SINGLE: Final = {Alphabet.GSM7: 160, Alphabet.UCS2: 70}
_PART: Final = {
    Concatenation.UDH8: {Alphabet.GSM7: 153, Alphabet.UCS2: 67},
    Concatenation.UDH16: {Alphabet.GSM7: 152, Alphabet.UCS2: 66},
    Concatenation.SAR: {Alphabet.GSM7: 153, Alphabet.UCS2: 67},
    Concatenation.PAYLOAD: {Alphabet.GSM7: 153, Alphabet.UCS2: 67},
}
_SINGLE_OCTETS: Final = 140
_PART_OCTETS: Final = {
    Concatenation.UDH8: 134,
    Concatenation.UDH16: 133,
    Concatenation.SAR: 134,
    Concatenation.PAYLOAD: 134,
}


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


def single_limit(alphabet: Alphabet) -> int:
    """Units that fit one segment: septets, octets or 16-bit units."""
    return _SINGLE.get(alphabet, _SINGLE_OCTETS)


def part_limit(alphabet: Alphabet, concatenation: Concatenation) -> int:
    """Units that fit one part of several."""
    return _PART[concatenation].get(alphabet, _PART_OCTETS[concatenation])


def single_segment(text: str, codings: DataCodings = STANDARD) -> Segment:
    """The only segment of a short text; TextTooLong when it does not fit one."""
    encoded = encode_text(text, codings)
    limit = single_limit(encoded.alphabet)
    if encoded.units > limit:
        raise TextTooLong(encoded.units, limit)
    return Segment(1, 1, encoded.data_coding, encoded.octets)


def segments(
    text: str,
    reference: int,
    codings: DataCodings = STANDARD,
    concatenation: Concatenation = Concatenation.UDH8,
) -> tuple[Segment, ...]:
    """The segments of a text, one if it fits; all of several carry `reference` (cut to its width).

    No part ends inside an escape pair, a surrogate pair or, if room allows, a grapheme. Raises
    TextTooLong beyond 255 parts.
    """
    encoded = encode_text(text, codings)
    if encoded.units <= single_limit(encoded.alphabet):
        return (Segment(1, 1, encoded.data_coding, encoded.octets),)
    parts = split(encoded, part_limit(encoded.alphabet, concatenation))
    if len(parts) > MAX_SEGMENTS:
        limit = MAX_SEGMENTS * part_limit(encoded.alphabet, concatenation)
        raise TextTooLong(encoded.units, limit)
    if concatenation is Concatenation.PAYLOAD:
        return (Segment(1, 1, encoded.data_coding, encoded.octets, payload=True),)
    total = len(parts)
    return tuple(
        _mark(encoded.data_coding, part, (reference, total, number), concatenation)
        for number, part in enumerate(parts, 1)
    )


def split(encoded: Encoded, limit: int) -> tuple[bytes, ...]:
    """Cut the octets of a text into parts of at most `limit` units, whole characters each."""
    if encoded.alphabet is Alphabet.UCS2:
        return _split_ucs2(encoded.octets.decode("utf-16-be"), limit)
    octets, parts, start = encoded.octets, [], 0
    while start < len(octets):
        end = min(start + limit, len(octets))
        if end < len(octets) and encoded.alphabet is Alphabet.GSM7 and octets[end - 1] == ESCAPE:
            end -= 1
        parts.append(octets[start:end])
        start = end
    return tuple(parts)


def _split_ucs2(text: str, limit: int) -> tuple[bytes, ...]:
    parts: list[bytes] = []
    part, units = "", 0
    for grapheme in _graphemes(text):
        size = _units(grapheme)
        if units + size <= limit:
            part, units = part + grapheme, units + size
            continue
        if part:
            parts.append(part.encode("utf-16-be"))
        part, units = "", 0
        for character in grapheme:  # longer than a part: no room to keep it together
            if units + _units(character) > limit:
                parts.append(part.encode("utf-16-be"))
                part, units = "", 0
            part, units = part + character, units + _units(character)
    if part:
        parts.append(part.encode("utf-16-be"))
    return tuple(parts)


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _graphemes(text: str) -> list[str]:
    """Characters with what joins them: combining marks, variation selectors, ZWJ, skin tones."""
    found: list[str] = []
    joined = False
    for character in text:
        if found and (joined or _extends(character)):
            found[-1] += character
        else:
            found.append(character)
        joined = character == "\u200d"
    return found


def _extends(character: str) -> bool:
    return (
        unicodedata.combining(character) != 0
        or character == "\u200d"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    )


def _mark(
    data_coding: int, part: bytes, place: tuple[int, int, int], concatenation: Concatenation
) -> Segment:
    """The part with its mark; `place` is reference, total, number."""
    reference, total, number = place
    match concatenation:
        case Concatenation.UDH8:
            udh = bytes((5, 0, 3, reference & 0xFF, total, number))
            return Segment(number, total, data_coding, udh + part, UDHI)
        case Concatenation.UDH16:
            udh = struct.pack(">BBBHBB", 6, 8, 4, reference & 0xFFFF, total, number)
            return Segment(number, total, data_coding, udh + part, UDHI)
        case Concatenation.SAR | Concatenation.PAYLOAD:
            tlvs = (
                Tlv.integer(TlvTag.sar_msg_ref_num, reference & 0xFFFF),
                Tlv.integer(TlvTag.sar_total_segments, total),
                Tlv.integer(TlvTag.sar_segment_seqnum, number),
            )
            return Segment(number, total, data_coding, part, 0, tlvs)
