"""What carriers send against the rules is read as far as it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hermes.smpp.command import CommandId
from hermes.smpp.decode import decode, decode_tolerant
from hermes.smpp.encode import encode, encode_header_only, encode_submit_sm
from hermes.smpp.pdu import Pdu, PduError, SubmitSm
from hermes.smpp.tlv import Tlv, TlvTag, encode_tlvs

SUBMIT = SubmitSm(source_addr="123", destination_addr="447700900123", short_message=b"hi")
DELIVER = replace(decode(encode_submit_sm(SUBMIT, 7)), command_id=int(CommandId.deliver_sm))


def with_octets(pdu: Pdu, octets: bytes) -> bytes:
    """The PDU with octets after it, counted in its length."""
    frame = encode(pdu) + octets
    return len(frame).to_bytes(4, "big") + frame[4:]


GOOD = Tlv(TlvTag.message_state, b"\x02")
BROKEN_TLVS = [
    (b"\x00\x1e\x00\x41A3005", "tlvs: TLV 0x001e length 65 overruns by 60"),
    (b"\x00\x1e", "tlvs: 2 trailing octets are no TLV"),
    (b"\x04\x27\x00\x03\x00\x00", "tlvs: TLV 0x0427 length 3 overruns by 1"),
]


@pytest.mark.parametrize(("octets", "problem"), BROKEN_TLVS)
def test_the_tlvs_before_a_broken_one_are_kept(octets: bytes, problem: str) -> None:
    frame = with_octets(DELIVER, encode_tlvs([GOOD]) + octets)
    with pytest.raises(PduError):
        decode(frame)
    pdu, problems = decode_tolerant(frame)
    assert (pdu.fields, pdu.tlvs, pdu.tail) == (DELIVER.fields, (GOOD,), octets)
    assert problems == (problem,)


def test_an_integer_of_odd_length_is_kept_and_told() -> None:
    odd = Tlv(TlvTag.message_state, b"\0\0\x02")
    pdu, problems = decode_tolerant(encode(replace(DELIVER, tlvs=(odd,))))
    assert (pdu.tlvs, pdu.tlvs[0].as_integer()) == ((odd,), 2)
    assert problems == ("tlvs: integer 0x0427 has 3 octets, not 1",)


def test_a_repeated_tlv_is_kept_and_told() -> None:
    pdu, problems = decode_tolerant(encode(replace(DELIVER, tlvs=(GOOD, GOOD))))
    assert pdu.tlvs == (GOOD, GOOD)
    assert problems == ("tlvs: 0x0427 is there twice",)


def test_a_cut_message_keeps_what_came() -> None:
    frame = encode(DELIVER)[:-1]
    cut = len(frame).to_bytes(4, "big") + frame[4:]
    pdu, problems = decode_tolerant(cut)
    assert pdu.octets("short_message") == b"h"
    assert problems == ("short_message: sm_length 2 overruns by 1",)


def test_a_text_without_its_nul_stops_a_request_and_keeps_what_is_before() -> None:
    frame = encode(DELIVER)[: 16 + 1 + 2 + 2]
    pdu, problems = decode_tolerant(len(frame).to_bytes(4, "big") + frame[4:])
    assert list(pdu.fields) == ["service_type", "source_addr_ton", "source_addr_npi"]
    assert pdu.tail == b"12"
    assert problems == ("source_addr: no NUL from octet 19 on",)


def test_an_id_without_its_nul_is_an_id() -> None:
    frame = bytes.fromhex("0000001380000004000000000a342ee1393837")
    pdu, problems = decode_tolerant(frame)
    assert (pdu.fields, len(problems)) == ({"message_id": "987"}, 1)


def test_octets_outside_the_tables_are_no_problem() -> None:
    odd = {"source_addr_ton": 7, "data_coding": 0xF5, "source_addr": "\xe9" * 40}
    pdu = replace(DELIVER, fields=DELIVER.fields | odd, command_status=0x400)
    assert decode_tolerant(encode(pdu)) == (pdu, ())


def test_an_unknown_command_is_data() -> None:
    frame = with_octets(Pdu(0x1FF, 0, 9), b"body")
    with pytest.raises(PduError, match="unknown command 0x000001ff"):
        decode(frame)
    pdu, problems = decode_tolerant(frame)
    assert (pdu.command, pdu.fields, pdu.tail) == ("0x000001ff", {}, b"body")
    assert problems == ("command_id: unknown command 0x000001ff",)
    assert encode(pdu) == frame


def test_a_response_may_have_no_body_at_any_status() -> None:
    for status in (0, 0x58, 0x400):
        frame = encode_header_only(CommandId.submit_sm_resp, status, 3)
        assert decode(frame) == Pdu(CommandId.submit_sm_resp, status, 3)


WRONG = [
    ({"source_addr": "a\0b"}, "source_addr: a NUL inside the text"),
    ({"source_addr": "Привет"}, "source_addr: character 'П' is not latin-1"),
    ({"data_coding": 256}, "data_coding: 256 is outside 0..255"),
    ({"short_message": bytes(256)}, "short_message: 256 octets do not fit sm_length"),
    ({"short_message": "text"}, "short_message: str is no message"),
    ({"adress": "1"}, "adress: deliver_sm has no such field"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG)
def test_a_value_that_has_no_octets_is_a_pdu_error(fields: dict[str, object], told: str) -> None:
    with pytest.raises(PduError) as caught:
        encode(replace(DELIVER, fields=DELIVER.fields | fields))
    assert str(caught.value) == told


def test_a_missing_field_is_a_pdu_error() -> None:
    with pytest.raises(PduError, match="service_type: missing in deliver_sm"):
        encode(Pdu(CommandId.deliver_sm))


WRONG_SUBMITS = [
    ({"source_addr": "1" * 21}, "source_addr: 21 octets, 20 is the limit"),
    ({"short_message": bytes(255)}, "short_message: 255 octets, 254 is the limit"),
    ({"service_type": "TOOBIG"}, "service_type: 6 octets, 5 is the limit"),
    ({"esm_class": 300}, "a number does not fit: bytes must be in range"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG_SUBMITS)
def test_a_submit_that_breaks_a_limit_is_a_pdu_error(fields: dict[str, object], told: str) -> None:
    known = {name: getattr(SUBMIT, name) for name in SUBMIT.__struct_fields__}
    with pytest.raises(PduError) as caught:
        encode_submit_sm(SubmitSm(**(known | fields)))
    assert str(caught.value).startswith(told)
