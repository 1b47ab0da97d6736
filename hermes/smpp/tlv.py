"""Optional parameters: tag, length, value (SMPP 3.4, 5.3; SMPP 5.0, 4.8)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD: Final = struct.Struct(">HH")


class TlvTag(IntEnum):
    """Tags of SMPP 3.4 and the ones of 5.0 a carrier uses; a wire value may be none of these."""

    dest_addr_subunit = 0x0005
    dest_network_type = 0x0006
    dest_bearer_type = 0x0007
    dest_telematics_id = 0x0008
    source_addr_subunit = 0x000D
    source_network_type = 0x000E
    source_bearer_type = 0x000F
    source_telematics_id = 0x0010
    qos_time_to_live = 0x0017
    payload_type = 0x0019
    additional_status_info_text = 0x001D
    receipted_message_id = 0x001E
    ms_msg_wait_facilities = 0x0030
    privacy_indicator = 0x0201
    source_subaddress = 0x0202
    dest_subaddress = 0x0203
    user_message_reference = 0x0204
    user_response_code = 0x0205
    source_port = 0x020A
    destination_port = 0x020B
    sar_msg_ref_num = 0x020C
    language_indicator = 0x020D
    sar_total_segments = 0x020E
    sar_segment_seqnum = 0x020F
    sc_interface_version = 0x0210
    callback_num_pres_ind = 0x0302
    callback_num_atag = 0x0303
    number_of_messages = 0x0304
    callback_num = 0x0381
    dpf_result = 0x0420
    set_dpf = 0x0421
    ms_availability_status = 0x0422
    network_error_code = 0x0423
    message_payload = 0x0424
    delivery_failure_reason = 0x0425
    more_messages_to_send = 0x0426
    message_state = 0x0427
    congestion_state = 0x0428
    ussd_service_op = 0x0501
    display_time = 0x1201
    sms_signal = 0x1203
    ms_validity = 0x1204
    alert_on_message_delivery = 0x130C
    its_reply_type = 0x1380
    its_session_info = 0x1383


INTEGER_LENGTHS: Final[dict[int, int]] = {
    TlvTag.dest_addr_subunit: 1,
    TlvTag.dest_network_type: 1,
    TlvTag.dest_bearer_type: 1,
    TlvTag.dest_telematics_id: 2,
    TlvTag.source_addr_subunit: 1,
    TlvTag.source_network_type: 1,
    TlvTag.source_bearer_type: 1,
    TlvTag.source_telematics_id: 1,
    TlvTag.qos_time_to_live: 4,
    TlvTag.payload_type: 1,
    TlvTag.ms_msg_wait_facilities: 1,
    TlvTag.privacy_indicator: 1,
    TlvTag.user_message_reference: 2,
    TlvTag.user_response_code: 1,
    TlvTag.source_port: 2,
    TlvTag.destination_port: 2,
    TlvTag.sar_msg_ref_num: 2,
    TlvTag.language_indicator: 1,
    TlvTag.sar_total_segments: 1,
    TlvTag.sar_segment_seqnum: 1,
    TlvTag.sc_interface_version: 1,
    TlvTag.callback_num_pres_ind: 1,
    TlvTag.number_of_messages: 1,
    TlvTag.dpf_result: 1,
    TlvTag.set_dpf: 1,
    TlvTag.ms_availability_status: 1,
    TlvTag.delivery_failure_reason: 1,
    TlvTag.more_messages_to_send: 1,
    TlvTag.message_state: 1,
    TlvTag.congestion_state: 1,
    TlvTag.ussd_service_op: 1,
    TlvTag.display_time: 1,
    TlvTag.sms_signal: 2,
    TlvTag.ms_validity: 1,
    TlvTag.its_reply_type: 1,
    TlvTag.its_session_info: 2,
}
"""Octets of the integer-valued tags; any other tag carries octets or text of free length."""


class Tlv(NamedTuple):
    """One optional parameter; `value` is the octets on the wire, whatever the tag means."""

    tag: int
    value: bytes

    @classmethod
    def integer(cls, tag: int, number: int) -> Tlv:
        """An integer-valued parameter in the length the specification gives (1 octet if none)."""
        return cls(tag, number.to_bytes(INTEGER_LENGTHS.get(tag, 1), "big"))

    @classmethod
    def text(cls, tag: int, value: str) -> Tlv:
        """A C-octet string parameter: latin-1 and a closing NUL."""
        return cls(tag, value.encode("latin-1") + b"\0")

    def as_integer(self) -> int:
        """The octets as one big-endian number; an empty value is 0."""
        return int.from_bytes(self.value, "big")

    def as_text(self) -> str:
        """The octets before the first NUL as latin-1."""
        return self.value.split(b"\0", 1)[0].decode("latin-1")


def decode_tlvs(frame: bytes, start: int, end: int) -> tuple[tuple[Tlv, ...], int, str | None]:
    """Read from `start` to `end`: the whole parameters, the offset after them, the fault."""
    found: list[Tlv] = []
    offset = start
    while offset < end:
        if end - offset < 4:
            return tuple(found), offset, f"{end - offset} trailing octets are no TLV"
        tag, length = _HEAD.unpack_from(frame, offset)
        value_end = offset + 4 + length
        if value_end > end:
            over = value_end - end
            return tuple(found), offset, f"TLV 0x{tag:04x} length {length} overruns by {over}"
        found.append(Tlv(tag, frame[offset + 4 : value_end]))
        offset = value_end
    return tuple(found), offset, None


def encode_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    """The parameters on the wire, in the order given; struct.error past 65,535 octets or tag."""
    return b"".join(_HEAD.pack(tag, len(value)) + value for tag, value in tlvs)


def first_tlv(tlvs: Iterable[Tlv], tag: int) -> Tlv | None:
    """The first parameter with this tag."""
    for tlv in tlvs:
        if tlv.tag == tag:
            return tlv
    return None
