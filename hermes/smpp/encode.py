"""PDUs to octets, and a fast path for submit_sm (SMPP 3.4, chapters 3 to 5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from hermes.smpp.command import RESPONSE_BIT, CommandId
from hermes.smpp.layout import LAYOUTS, Kind
from hermes.smpp.pdu import HEADER_LENGTH, Pdu, PduError, SubmitSm
from hermes.smpp.tlv import encode_tlvs

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER: Final = struct.Struct(">IIII")
_LIMITS: Final = (
    ("service_type", 5),
    ("source_addr", 20),
    ("destination_addr", 20),
    ("schedule_delivery_time", 16),
    ("validity_period", 16),
)
"""Octets without the NUL (SMPP 3.4, 4.4.1)."""


def encode(pdu: Pdu) -> bytes:
    """The PDU on the wire with its command_length; `tail` is left out.

    A response without any field has no body but its TLVs. An unknown command has `tail` as body.
    Raises PduError for a missing or unknown field and for a value that does not fit.
    """
    layout = LAYOUTS.get(pdu.command_id)
    if layout is None:
        return _frame(pdu, pdu.tail)
    unknown = pdu.fields.keys() - {name for name, _ in layout}
    if unknown:
        raise PduError(f"{pdu.command} has no such field", min(unknown))
    parts: list[bytes] = []
    if pdu.fields or not pdu.command_id & RESPONSE_BIT:
        for name, kind in layout:
            if name not in pdu.fields:
                raise PduError(f"missing in {pdu.command}", name)
            parts.append(_write(pdu.fields[name], kind, name))
    try:
        parts.append(encode_tlvs(pdu.tlvs))
    except struct.error as error:
        raise PduError(f"a tag or length is beyond 65,535: {error}", "tlvs") from error
    return _frame(pdu, b"".join(parts))


def encode_submit_sm(sm: SubmitSm, sequence_number: int = 0) -> bytes:
    """A submit_sm on the wire, without the detour over `Pdu`.

    Raises PduError for text that is not latin-1 or too long, a NUL in it, a number outside
    0..255 and a short_message over 254 octets.
    """
    texts: dict[str, bytes] = {}
    for name, limit in _LIMITS:
        octets = _cstring(getattr(sm, name), name)
        if len(octets) > limit + 1:
            raise PduError(f"{len(octets) - 1} octets, {limit} is the limit", name)
        texts[name] = octets
    message = sm.short_message
    if len(message) > 254:
        raise PduError(f"{len(message)} octets, 254 is the limit", "short_message")
    try:
        body = b"".join(
            (
                texts["service_type"],
                bytes((sm.source_addr_ton, sm.source_addr_npi)),
                texts["source_addr"],
                bytes((sm.dest_addr_ton, sm.dest_addr_npi)),
                texts["destination_addr"],
                bytes((sm.esm_class, sm.protocol_id, sm.priority_flag)),
                texts["schedule_delivery_time"],
                texts["validity_period"],
                bytes(
                    (
                        sm.registered_delivery,
                        sm.replace_if_present_flag,
                        sm.data_coding,
                        sm.sm_default_msg_id,
                        len(message),
                    )
                ),
                message,
                encode_tlvs(sm.tlvs) if sm.tlvs else b"",
            )
        )
        head = _HEADER.pack(HEADER_LENGTH + len(body), CommandId.submit_sm, 0, sequence_number)
    except (ValueError, struct.error) as error:
        raise PduError(f"a number does not fit: {error}") from error
    return head + body


def encode_header_only(command_id: int, command_status: int, sequence_number: int) -> bytes:
    """A PDU without a body: enquire_link, unbind, generic_nack and their like."""
    return _HEADER.pack(HEADER_LENGTH, command_id, command_status, sequence_number)


def _frame(pdu: Pdu, body: bytes) -> bytes:
    try:
        head = _HEADER.pack(
            HEADER_LENGTH + len(body), pdu.command_id, pdu.command_status, pdu.sequence_number
        )
    except struct.error as error:
        raise PduError(f"a number of the header does not fit 32 bits: {error}") from error
    return head + body


def _write(value: object, kind: Kind, name: str) -> bytes:
    match kind, value:
        case Kind.text, str():
            return _cstring(value, name)
        case Kind.octet, int():
            return _octet(value, name)
        case Kind.message, bytes():
            if len(value) > 255:
                raise PduError(f"{len(value)} octets do not fit sm_length", name)
            return _octet(len(value), name) + value
        case Kind.dests, list():
            return _octet(len(value), name) + b"".join(_dest(entry) for entry in value)
        case Kind.unsuccess, list():
            return _octet(len(value), name) + b"".join(_unsuccess(entry) for entry in value)
        case _:
            raise PduError(f"{type(value).__name__} is no {kind.name}", name)


def _octet(value: int, name: str) -> bytes:
    if not 0 <= value <= 255:
        raise PduError(f"{value} is outside 0..255", name)
    return bytes((value,))


def _cstring(value: str, name: str) -> bytes:
    if not value:
        return b"\0"
    if "\0" in value:
        raise PduError("a NUL inside the text", name)
    try:
        return value.encode("latin-1") + b"\0"
    except UnicodeEncodeError as error:
        raise PduError(f"character {value[error.start]!r} is not latin-1", name) from error


def _entry(entry: Mapping[str, object], name: str) -> bytes:
    """ton, npi and addr of one entry of `dests` or `unsuccess`."""
    try:
        ton, npi, addr = entry["ton"], entry["npi"], entry["addr"]
    except KeyError as error:
        raise PduError(f"an entry has no {error}", name) from error
    return (
        _write(ton, Kind.octet, name)
        + _write(npi, Kind.octet, name)
        + _write(addr, Kind.text, name)
    )


def _dest(entry: Mapping[str, object]) -> bytes:
    match entry:
        case {"flag": 1}:
            return b"\x01" + _entry(entry, "dests")
        case {"flag": 2, "dl_name": str(dl_name)}:
            return b"\x02" + _cstring(dl_name, "dests")
        case _:
            raise PduError(f"{entry!r} is no dest_address", "dests")


def _unsuccess(entry: Mapping[str, object]) -> bytes:
    match entry:
        case {"error_status_code": int(status)} if 0 <= status <= 0xFFFF_FFFF:
            return _entry(entry, "unsuccess") + status.to_bytes(4, "big")
        case _:
            raise PduError(f"{entry!r} is no unsuccess_sme", "unsuccess")
