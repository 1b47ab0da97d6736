"""What a deliver_sm or data_sm says: octets, text, header and place among parts (SMPP 3.4, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes.smpp.data_coding import STANDARD, Alphabet, DataCodings, alphabet_of, decode_text
from hermes.smpp.gsm7_national import DEFAULT, Shift
from hermes.smpp.pdu import Pdu
from hermes.smpp.segment import UDHI, Concatenation
from hermes.smpp.tlv import TlvTag
from hermes.smpp.user_data_header import (
    NONE,
    Concat,
    Element,
    UserDataHeader,
    concat_of,
    shift_of,
    split_user_data,
)

_SAR: Final = (
    TlvTag.sar_msg_ref_num,
    TlvTag.sar_total_segments,
    TlvTag.sar_segment_seqnum,
)
_LONGEST_SAR: Final = 4
"""Octets: the standard has two at most, some carriers pad."""


@dataclass(frozen=True, slots=True)
class Content:
    """The user data of one PDU.

    `octets` are those behind the header; `text` is None for binary data. `concat` is None for a
    message of one part. `problems` has one sentence per fault; whatever they are, the octets are
    all there.
    """

    octets: bytes
    text: str | None
    data_coding: int
    alphabet: Alphabet
    shift: Shift = DEFAULT
    elements: tuple[Element, ...] = ()
    concat: Concat | None = None
    problems: tuple[str, ...] = ()


def content_of(pdu: Pdu, codings: DataCodings = STANDARD) -> Content:
    """Read the user data, from short_message or message_payload; never raises."""
    octets, problems = _user_data(pdu)
    header = NONE
    if pdu.number("esm_class") & UDHI:
        header, octets = split_user_data(octets)
        problems += header.problems
    data_coding = pdu.number("data_coding")
    alphabet = alphabet_of(data_coding, codings)
    shift, unknown = shift_of(header.elements)
    concat, doubts = _concat(pdu, header)
    text = None
    if alphabet is not Alphabet.BINARY:
        text = decode_text(octets, data_coding, codings, shift)
        problems += _unreadable(octets, alphabet)
    return Content(
        octets=octets,
        text=text,
        data_coding=data_coding,
        alphabet=alphabet,
        shift=shift,
        elements=header.elements,
        concat=concat,
        problems=(*problems, *unknown, *doubts),
    )


def _user_data(pdu: Pdu) -> tuple[bytes, tuple[str, ...]]:
    """short_message, or message_payload where that is empty."""
    message, payload = pdu.octets("short_message"), pdu.tlv(TlvTag.message_payload)
    if not message:
        return payload or b"", ()
    if payload is None:
        return message, ()
    problem = f"message_payload: {len(payload)} octets beside a short_message are not read"
    return message, (problem,)


def _concat(pdu: Pdu, header: UserDataHeader) -> tuple[Concat | None, tuple[str, ...]]:
    """The place among parts, by the header first, then by the sar TLVs."""
    concat, fault = concat_of(header.elements)
    problems: tuple[str, ...] = () if fault is None else (fault,)
    if concat is None:
        concat, fault = _by_tlvs(pdu)
        problems += () if fault is None else (fault,)
    if concat is not None and not concat.is_sound:
        problems += (f"concatenation: part {concat.number} of {concat.total} cannot be",)
    return concat, problems


def _by_tlvs(pdu: Pdu) -> tuple[Concat | None, str | None]:
    """The place the sar TLVs tell, and what is wrong with them."""
    values = [value for tag in _SAR if (value := pdu.tlv(tag)) is not None]
    if not values:
        return None, None
    if len(values) < len(_SAR):
        return None, f"concatenation: {len(values)} of 3 sar TLVs are there"
    longest = max(map(len, values))
    if longest > _LONGEST_SAR:
        return None, f"concatenation: a sar TLV has {longest} octets, {_LONGEST_SAR} at most count"
    return Concat(Concatenation.SAR, *(int.from_bytes(value, "big") for value in values)), None


def _unreadable(octets: bytes, alphabet: Alphabet) -> tuple[str, ...]:
    """What of the octets is no text; they are read with replacement characters."""
    match alphabet:
        case Alphabet.UCS2 if len(octets) % 2:
            return (f"text: {len(octets)} octets of UCS-2, an odd number",)
        case Alphabet.GSM7 | Alphabet.ASCII:
            count = sum(octet > 0x7F for octet in octets)
            return (f"text: {count} octets above 0x7f",) if count else ()
        case Alphabet.UCS2 | Alphabet.LATIN1 | Alphabet.BINARY:
            return ()
