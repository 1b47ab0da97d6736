"""Receipts are recognised and read by rule, one row for each rule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hermes.smpp.command import CommandId
from hermes.smpp.message_id import IdForm, IdKey, convert, forms
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import is_receipt, moment, parse_receipt, parse_words
from hermes.smpp.tlv import Tlv, TlvTag


def deliver(text: bytes = b"", esm_class: int = 4, tlvs: tuple[Tlv, ...] = ()) -> Pdu:
    fields: dict[str, object] = {"esm_class": esm_class, "short_message": text}
    return Pdu(CommandId.deliver_sm, fields=fields, tlvs=tlvs)


ID = Tlv.text(TlvTag.receipted_message_id, "a1")
STATE = Tlv(TlvTag.message_state, b"\x02")
RECOGNISED = [
    (deliver(esm_class=0x04), True),
    (deliver(esm_class=0x20), True),
    (deliver(esm_class=0xC4), True),
    (deliver(esm_class=0x08), False),
    (deliver(esm_class=0, tlvs=(ID, STATE)), True),
    (deliver(esm_class=0, tlvs=(ID,)), False),
    (deliver(b"id:1 stat:DELIVRD", esm_class=0), False),
]


@pytest.mark.parametrize(("pdu", "expected"), RECOGNISED)
def test_a_receipt_is_recognised(pdu: Pdu, expected: bool) -> None:
    assert is_receipt(pdu) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"id:1 stat:DELIVRD", True),
        (b"id:1 stat:enroute", True),
        (b"id:1 stat:GOOD", False),
        (b"id: stat:DELIVRD", False),
        (b"my id:1 is lost", False),
    ],
)
def test_a_carrier_may_send_receipts_that_only_the_text_shows(text: bytes, expected: bool) -> None:
    assert is_receipt(deliver(text, esm_class=0), by_text=True) == expected


WORDS = [
    (b"submit_date:1 done_date:2 stat:X", {"submit": "1", "done": "2", "stat": "X"}),
    (b"SUBMT DATE:1 DONEDATE:2", {"submit": "1", "done": "2"}),
    (b"delivrd:001", {"dlvrd": "001"}),
    (b"err: stat: DELIVRD", {"err": "", "stat": "DELIVRD"}),
    (b"id:1 id:2", {"id": "1"}),
    (b"xid:1", {}),
    (b"stat:X text:id:9 stat:Y", {"stat": "X", "text": "id:9 stat:Y"}),
    (
        b"id:1 text:id:9 stat:Y err:5",
        {"id": "1", "text": "id:9 stat:Y err:5", "stat": "Y", "err": "5"},
    ),
    (b"stat:X\0\0", {"stat": "X"}),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words_are_found_by_key(text: bytes, expected: dict[str, str]) -> None:
    assert parse_words(text) == expected


STATES = [
    (b"stat:DELIVERD", b"\x02", "DELIVERD"),  # both agree: the text's spelling
    (b"stat:DELIVRD", b"\x05", "UNDELIV"),
    (b"stat:DELIVRD", b"\x63", "DELIVRD"),  # no such message_state
    (b"stat:DELIVRD", b"", "DELIVRD"),
    (b"", b"\x00", "SCHEDULED"),
    (b"stat:UNDELIVERABLE", b"\x05", "UNDELIV"),
    (b"stat:nonsense", b"\x01", "ENROUTE"),
]


@pytest.mark.parametrize(("text", "state", "expected"), STATES)
def test_the_state_of_the_tlv_comes_first(text: bytes, state: bytes, expected: str) -> None:
    pdu = deliver(text, tlvs=(Tlv(TlvTag.message_state, state),))
    assert parse_receipt(pdu).stat == expected


def test_a_network_error_is_read_both_ways() -> None:
    def error(octets: bytes) -> tuple[int | None, int | None, str | None]:
        pdu = deliver(tlvs=(Tlv(TlvTag.network_error_code, octets),))
        found = parse_receipt(pdu).network_error
        assert found is not None
        return found.network_type, found.code, found.digits

    assert error(b"\x03\x00\x15") == (3, 21, None)
    assert error(b"021") == (0x30, 0x3231, "021")
    assert error(b"0214\0") == (None, None, "0214")
    assert parse_receipt(deliver()).network_error is None


def test_the_text_of_a_receipt_begins_after_its_header() -> None:
    receipt = parse_receipt(deliver(b"\x05\0\x03\x01\x01\x01id:7 stat:EXPIRED", esm_class=0x44))
    assert (receipt.id, receipt.stat, receipt.final) == ("7", "EXPIRED", True)


MOMENTS = [
    ("1305050826", datetime(2013, 5, 5, 8, 26, tzinfo=UTC)),
    ("141016003650", datetime(2014, 10, 16, 0, 36, 50, tzinfo=UTC)),
    ("201506201641", datetime(2015, 6, 20, 16, 41, tzinfo=UTC)),
    ("20180721020159", datetime(2018, 7, 21, 2, 1, 59, tzinfo=UTC)),
    ("0000000000", None),
    ("1313050826", None),
    ("13050508", None),
    ("yesterday", None),
    ("١٢٣٤٥٦٧٨٩٠", None),
    ("", None),
]


@pytest.mark.parametrize(("word", "expected"), MOMENTS)
def test_a_date_word_is_a_time_or_nothing(word: str, expected: datetime | None) -> None:
    assert moment(word, UTC) == expected


def test_an_id_has_a_key_for_every_notation() -> None:
    assert forms("0000436949") == (
        IdKey(IdForm.AS_IS, "0000436949", needs_address_check=False),
        IdKey(IdForm.ZEROS, "436949", needs_address_check=True),
        IdKey(IdForm.HEX_TO_DEC, "4417865", needs_address_check=True),
        IdKey(IdForm.DEC_TO_HEX, "6aad5", needs_address_check=True),
    )
    assert forms("0x1A2B3C4D")[1:] == (
        IdKey(IdForm.CASE, "0x1a2b3c4d", needs_address_check=True),
        IdKey(IdForm.ZEROS, "1a2b3c4d", needs_address_check=True),
        IdKey(IdForm.HEX_TO_DEC, "439041101", needs_address_check=True),
    )
    assert [key.key for key in forms("C87C-x")] == ["C87C-x", "c87c-x"]
    assert forms("") == ()


def test_an_id_that_is_no_number_has_no_converted_form() -> None:
    assert convert("c87c2273-7edb", IdForm.HEX_TO_DEC) is None
    assert convert("9" * 5000, IdForm.DEC_TO_HEX) is None
    assert convert("²²", IdForm.DEC_TO_HEX) is None
