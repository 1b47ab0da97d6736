"""Octets to PDUs: strictly, or keeping every part that can be read (SMPP 3.4, chapters 3 to 5)."""

from __future__ import annotations

import struct
from typing import Final

from hermes.smpp.command import RESPONSE_BIT
from hermes.smpp.layout import LAYOUTS, Kind, Parameter
from hermes.smpp.pdu import HEADER_LENGTH, Pdu, PduError
from hermes.smpp.tlv import INTEGER_LENGTHS, Tlv, decode_tlvs

_HEADER: Final = struct.Struct(">IIII")


class _Cut(Exception):
    """Reading stopped: the parameter is broken, `value` is what there is of it."""

    def __init__(self, reason: str, value: object = None) -> None:
        self.reason, self.value = reason, value
        super().__init__(reason)


def decode_header(frame: bytes) -> tuple[int, int, int, int]:
    """command_length, command_id, command_status and sequence_number; PduError below 16 octets."""
    if len(frame) < HEADER_LENGTH:
        raise PduError(f"incomplete: {len(frame)} octets are no header of 16", "command_length")
    length, command_id, status, sequence = _HEADER.unpack_from(frame)
    if length < HEADER_LENGTH:
        raise PduError(f"{length} is below 16", "command_length")
    return length, command_id, status, sequence


def decode(frame: bytes) -> Pdu:
    """Read one PDU strictly; octets after command_length become `tail`.

    Raises PduError for a cut frame, an unknown command, a missing NUL, an overrun or trailing
    octets. Values outside the tables of the specification are no error.
    """
    length, command_id, status, sequence = decode_header(frame)
    if length > len(frame):
        raise PduError(f"incomplete: {length} > {len(frame)} octets", "command_length")
    layout = LAYOUTS.get(command_id)
    if layout is None:
        raise PduError(f"unknown command 0x{command_id:08x}", "command_id")
    fields, offset, fault = _mandatory(frame, length, command_id, layout)
    if fault is not None:
        raise fault
    tlvs, _, tlv_fault = decode_tlvs(frame, offset, length)
    if tlv_fault is not None:
        raise PduError(tlv_fault, "tlvs")
    return Pdu(command_id, status, sequence, fields, tlvs, frame[length:])


def decode_tolerant(frame: bytes) -> tuple[Pdu, tuple[str, ...]]:
    """Read what can be read: the PDU, and one sentence per fault met.

    The parts before a fault are kept, `tail` is what could not be read. An unknown command gives
    no fields and its body as `tail`. Raises PduError only when there is no header.
    """
    length, command_id, status, sequence = decode_header(frame)
    problems: list[str] = []
    end = min(length, len(frame))
    if length > len(frame):
        problems.append(f"command_length: {length} > {len(frame)} octets")
    layout = LAYOUTS.get(command_id)
    if layout is None:
        problems.append(f"command_id: unknown command 0x{command_id:08x}")
        return Pdu(command_id, status, sequence, {}, (), frame[HEADER_LENGTH:]), tuple(problems)
    fields, offset, fault = _mandatory(frame, end, command_id, layout)
    if fault is not None:
        problems.append(str(fault))
        return Pdu(command_id, status, sequence, fields, (), frame[offset:]), tuple(problems)
    tlvs, offset, tlv_fault = decode_tlvs(frame, offset, end)
    if tlv_fault is not None:
        problems.append(f"tlvs: {tlv_fault}")
    if tlvs:
        problems.extend(_doubts(tlvs))
    return Pdu(command_id, status, sequence, fields, tlvs, frame[offset:]), tuple(problems)


def _doubts(tlvs: tuple[Tlv, ...]) -> list[str]:
    """Faults of single parameters that leave the PDU readable."""
    doubts: list[str] = []
    seen: set[int] = set()
    for tag, value in tlvs:
        expected = INTEGER_LENGTHS.get(tag, len(value))
        if len(value) != expected:
            doubts.append(f"tlvs: integer 0x{tag:04x} has {len(value)} octets, not {expected}")
        if tag in seen:
            doubts.append(f"tlvs: 0x{tag:04x} is there twice")
        seen.add(tag)
    return doubts


def _mandatory(
    frame: bytes, end: int, command_id: int, layout: tuple[Parameter, ...]
) -> tuple[dict[str, object], int, PduError | None]:
    """The mandatory parameters, the offset after them, and the fault that stopped the reading.

    A response may have no body at all. Of a broken response id, text or message the octets that
    are there are kept.
    """
    fields: dict[str, object] = {}
    offset, is_response = HEADER_LENGTH, command_id & RESPONSE_BIT != 0
    if offset == end and is_response:
        return fields, offset, None
    text, octet, find = Kind.text, Kind.octet, frame.find
    for name, kind in layout:
        # the two kinds of nearly every parameter, without a call each: half the time of a decode
        if kind is octet and offset < end:
            fields[name] = frame[offset]
            offset += 1
            continue
        if kind is text and (stop := find(0, offset, end)) >= 0:
            fields[name] = frame[offset:stop].decode("latin-1") if stop > offset else ""
            offset = stop + 1
            continue
        try:
            value, offset = _read(frame, offset, end, kind)
        except _Cut as cut:
            whole = kind is Kind.message or (is_response and kind is Kind.text)
            if whole and cut.value is not None:
                fields[name] = cut.value
                offset = end
            return fields, offset, PduError(cut.reason, name)
        fields[name] = value
    return fields, offset, None


def _read(frame: bytes, offset: int, end: int, kind: Kind) -> tuple[object, int]:
    """One parameter and the offset after it; _Cut when it is not whole."""
    if kind is Kind.text:
        return _text(frame, offset, end)
    if kind is Kind.octet:
        return _octet(frame, offset, end)
    if kind is Kind.message:
        length, offset = _octet(frame, offset, end)
        if offset + length > end:
            over = offset + length - end
            raise _Cut(f"sm_length {length} overruns by {over}", frame[offset:end])
        return frame[offset : offset + length], offset + length
    count, offset = _octet(frame, offset, end)
    read = _dest if kind is Kind.dests else _unsuccess
    entries: list[dict[str, object]] = []
    for _ in range(count):
        entry, offset = read(frame, offset, end)
        entries.append(entry)
    return entries, offset


def _octet(frame: bytes, offset: int, end: int) -> tuple[int, int]:
    if offset >= end:
        raise _Cut(f"missing at octet {offset}")
    return frame[offset], offset + 1


def _text(frame: bytes, offset: int, end: int) -> tuple[str, int]:
    stop = frame.find(0, offset, end)
    if stop < 0:
        raise _Cut(f"no NUL from octet {offset} on", frame[offset:end].decode("latin-1"))
    return frame[offset:stop].decode("latin-1"), stop + 1


def _address(frame: bytes, offset: int, end: int) -> tuple[dict[str, object], int]:
    ton, offset = _octet(frame, offset, end)
    npi, offset = _octet(frame, offset, end)
    addr, offset = _text(frame, offset, end)
    return {"ton": ton, "npi": npi, "addr": addr}, offset


def _dest(frame: bytes, offset: int, end: int) -> tuple[dict[str, object], int]:
    """dest_address of submit_multi: flag 1 is an SME address, 2 a distribution list."""
    flag, offset = _octet(frame, offset, end)
    if flag == 1:
        address, offset = _address(frame, offset, end)
        return {"flag": flag, **address}, offset
    if flag == 2:
        dl_name, offset = _text(frame, offset, end)
        return {"flag": flag, "dl_name": dl_name}, offset
    raise _Cut(f"dest_flag {flag} is neither 1 nor 2")


def _unsuccess(frame: bytes, offset: int, end: int) -> tuple[dict[str, object], int]:
    """unsuccess_sme of submit_multi_resp: an SME address and its command_status."""
    address, offset = _address(frame, offset, end)
    if end - offset < 4:
        raise _Cut(f"no error_status_code at octet {offset}")
    status = int.from_bytes(frame[offset : offset + 4], "big")
    return {**address, "error_status_code": status}, offset + 4
