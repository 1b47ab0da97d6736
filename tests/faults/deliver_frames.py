"""Frames a carrier may send as deliver_sm or data_sm, whole and broken, for the inbound rows."""

from __future__ import annotations

from typing import Final, NamedTuple

from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag
from tests.contract.scripted_smsc import deliver_sm

SEQUENCE: Final = 4_711
DATA_SM: Final = 0x103
OLD = b"id:%s sub:001 dlvrd:001 submit date:%s done date:%s stat:%s err:%s text:hello"
PAYLOAD: Final = int(TlvTag.message_payload)
TEXT: Final = b"id:abc stat:DELIVRD err:000"
BY_TLV: Final = (
    Tlv.text(TlvTag.receipted_message_id, "abc"),
    Tlv.integer(TlvTag.message_state, 2),
)


class Case(NamedTuple):
    """A frame; whether it is whole, and the id and state read from it if it is a receipt."""

    frame: bytes
    is_whole: bool = True
    id: str = ""
    stat: str = ""


def deliver(
    text: bytes = b"", esm_class: int = 4, tlvs: tuple[Tlv, ...] = (), **fields: object
) -> bytes:
    """A deliver_sm, by default a receipt."""
    pdu = deliver_sm(SEQUENCE, text, esm_class)
    return encode(Pdu(pdu.command_id, 0, SEQUENCE, {**pdu.fields, **fields}, tlvs))


def longer(frame: bytes, octets: bytes) -> bytes:
    """The frame with octets after it that count as its own."""
    return (len(frame) + len(octets)).to_bytes(4, "big") + frame[4:] + octets


def cut(frame: bytes, length: int) -> bytes:
    """The frame with a body that ends too early."""
    return length.to_bytes(4, "big") + frame[4:length]


def receipt(
    word: bytes = b"DELIVRD", err: bytes = b"000", dates: tuple[bytes, bytes] | None = None
) -> Case:
    """A receipt in the usual form."""
    submit, done = dates or (b"2601010000", b"2601010001")
    return Case(deliver(OLD % (b"abc", submit, done, word, err)), True, "abc", word.decode())


def data_sm(tlvs: tuple[Tlv, ...]) -> bytes:
    """A data_sm of a receipt."""
    fields: dict[str, object] = {
        "service_type": "",
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": "447700900123",
        "dest_addr_ton": 5,
        "dest_addr_npi": 0,
        "destination_addr": "HERMES",
        "esm_class": 4,
        "registered_delivery": 0,
        "data_coding": 0,
    }
    return encode(Pdu(DATA_SM, 0, SEQUENCE, fields, tlvs))


RECEIPTS: Final[dict[str, Case]] = {
    "dates with seconds": receipt(dates=(b"260101000059", b"260101000159")),
    "dates of 14 digits": receipt(dates=(b"20260101000059", b"20260101000159")),
    "a word for a date": receipt(dates=(b"never", b"0000000000")),
    "err alphanumeric": receipt(err=b"00A"),
    "err empty": receipt(err=b""),
    "every final word": receipt(b"UNDELIV", b"148"),
    "TLV only": Case(deliver(tlvs=BY_TLV), True, "abc", "DELIVRD"),
    "TLV only, esm 0": Case(deliver(esm_class=0, tlvs=BY_TLV), True, "abc", "DELIVRD"),
    "in payload": Case(deliver(tlvs=(Tlv(PAYLOAD, TEXT),)), True, "abc", "DELIVRD"),
    "in payload with NUL": Case(
        deliver(tlvs=(Tlv(PAYLOAD, TEXT + b"\0"),)), True, "abc", "DELIVRD"
    ),
    "8-bit text": Case(deliver(TEXT + b" text:\x06\x05\x04\xff\xe9"), True, "abc", "DELIVRD"),
    "binary network_error_code": Case(
        deliver(TEXT, tlvs=(Tlv(TlvTag.network_error_code, b"\x03\x00\xff"),)),
        True,
        "abc",
        "DELIVRD",
    ),
    "esm 0x20": Case(deliver(b"id:abc stat:ENROUTE", 0x20), True, "abc", "ENROUTE"),
    "TON 7": Case(
        deliver(TEXT, source_addr_ton=7, dest_addr_ton=7, source_addr_npi=19),
        True,
        "abc",
        "DELIVRD",
    ),
    "UDH before the text": Case(
        deliver(b"\x05\0\x03\x01\x01\x01" + TEXT, 0x44), True, "abc", "DELIVRD"
    ),
    "data_sm": Case(data_sm((*BY_TLV, Tlv(PAYLOAD, TEXT))), True, "abc", "DELIVRD"),
    "vendor TLV": Case(deliver(TEXT, tlvs=(Tlv(0x1403, b"\0\xff"),)), True, "abc", "DELIVRD"),
}

TLVS: Final[dict[str, Case]] = {
    "overrun": Case(longer(deliver(TEXT), b"\x14\x03\x00\x09ab"), False, "abc", "DELIVRD"),
    "overrun after a sound one": Case(
        longer(deliver(tlvs=BY_TLV), b"\x14\x03\xff\xff"), False, "abc", "DELIVRD"
    ),
    "integer of length 3": Case(
        deliver(TEXT, tlvs=(Tlv(TlvTag.message_state, b"\0\0\x02"),)), False, "abc", "DELIVRD"
    ),
    "integer of length 0": Case(
        deliver(TEXT, tlvs=(Tlv(TlvTag.message_state, b""),)), False, "abc"
    ),
    "two trailing octets": Case(longer(deliver(TEXT), b"\0\0"), False, "abc", "DELIVRD"),
    "cut integer": Case(longer(deliver(TEXT), b"\x04\x27\x00\x01"), False, "abc", "DELIVRD"),
    "twice": Case(deliver(TEXT, tlvs=BY_TLV[1:] * 2), False, "abc", "DELIVRD"),
}

MO: Final[dict[str, Case]] = {
    "empty": Case(deliver(b"", 0)),
    "data_coding 0xF5": Case(deliver(b"\x01\xff", 0, data_coding=0xF5)),
    "data_coding 4, 8-bit": Case(deliver(bytes(range(256))[116:], 0, data_coding=4)),
    "data_coding 13": Case(deliver(b"\xff\xfe", 0, data_coding=13)),
    "data_coding 255": Case(deliver(b"x", 0, data_coding=255)),
    "8-bit source": Case(deliver(b"x", 0, source_addr="é\xff\x01")),
    "source of 40": Case(deliver(b"x", 0, source_addr="9" * 40)),
    "priority 255": Case(deliver(b"x", 0, priority_flag=255, protocol_id=255)),
    "UDHI and payload": Case(
        deliver(b"", 0x40, (Tlv(PAYLOAD, b"\x06\x05\x04\x0b\x84\x23\xf0hi"),))
    ),
    "payload beside text": Case(deliver(b"text", 0, (Tlv(PAYLOAD, b"payload"),))),
    "port UDH": Case(deliver(b"\x06\x05\x04\x0b\x84\x23\xf0hello", 0x40)),
    "unknown UDH": Case(deliver(b"\x04\x70\x02\x01\x02hello", 0x40)),
    "UDH longer than the text": Case(deliver(b"\xffhello", 0x40)),
    "odd UCS2": Case(deliver(b"\x04\x1f\x04", 0, data_coding=8)),
    "payload of 64 KiB": Case(deliver(b"", 0, (Tlv(PAYLOAD, bytes(65_535)),))),
    "cut in the text": Case(cut(deliver(b"hello world", 0), 60), False),
    "cut in an address": Case(cut(deliver(b"hello world", 0), 25), False),
    "no body": Case(cut(deliver(b"hello world", 0), 16), False),
    "no NUL": Case(longer(cut(deliver(b"", 0), 17), b"A" * 100), False),
    "data_sm without a body": Case(cut(data_sm(()), 16), False),
    "sm_length overrun": Case(longer(cut(deliver(b"", 0), 56), b"\xffhello"), False),
}
