"""Receipts: when one is due, and what is in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hermes.simulator.outcome import Stat
from hermes.simulator.profile import Profile, ReceiptForm, ReceiptMode
from hermes.simulator.receipt import is_due, receipt_frame, wants_intermediate, with_sequence
from hermes.simulator.receipt_text import USUAL_TEXT, Sent, parse_template
from hermes.smpp.decode import decode
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import FINAL, is_receipt, parse_receipt

SUBMIT = Pdu(
    4,
    fields={
        "source_addr_ton": 5,
        "source_addr_npi": 0,
        "source_addr": "Hermes",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": "447700900123",
    },
)
TEXT = Profile(receipt_form=ReceiptForm.text)


def sent(stat: Stat, echo: str = "") -> Sent:
    return Sent(
        pdu=SUBMIT,
        receipt_id="77",
        stat=stat,
        submitted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        done_at=datetime(2026, 1, 2, 3, 5, 59, tzinfo=UTC),
        echo=echo,
    )


def receipt_text(about: Sent) -> str:
    return parse_template(USUAL_TEXT).write(about)


def test_the_text_is_the_usual_one() -> None:
    assert receipt_text(sent(Stat.UNDELIV, "a text that is longer than twenty")) == (
        "id:77 sub:001 dlvrd:000 submit date:2601020304 done date:2601020305"
        " stat:UNDELIV err:003 text:a text that is longe"
    )
    assert "dlvrd:001" in receipt_text(sent(Stat.DELIVRD))


def test_a_receipt_goes_back_the_way_the_message_came() -> None:
    pdu = decode(with_sequence(receipt_frame(sent(Stat.UNDELIV), Profile()), 4711))
    assert (pdu.command, pdu.sequence_number) == ("deliver_sm", 4711)
    assert pdu.text("source_addr") == "447700900123"
    assert pdu.text("destination_addr") == "Hermes"
    assert [pdu.number("source_addr_ton"), pdu.number("dest_addr_ton")] == [1, 5]
    assert pdu.number("esm_class") == 0x04
    assert pdu.tlvs == ((0x001E, b"77\0"), (0x0427, b"\x05"), (0x0423, b"\x03\x00\x03"))


def test_an_intermediate_notification_has_its_own_esm_class() -> None:
    pdu = decode(receipt_frame(sent(Stat.ENROUTE), TEXT))
    assert pdu.number("esm_class") == 0x20
    assert b"stat:ENROUTE" in pdu.octets("short_message")
    assert pdu.tlvs == ()


def test_a_receipt_in_tlvs_has_no_text() -> None:
    pdu = decode(receipt_frame(sent(Stat.DELIVRD), Profile(receipt_form=ReceiptForm.tlv)))
    assert pdu.octets("short_message") == b""
    assert pdu.tlvs == ((0x001E, b"77\0"), (0x0427, b"\x02"))


@pytest.mark.parametrize("form", ReceiptForm)
@pytest.mark.parametrize("stat", Stat)
def test_the_reader_of_receipts_understands_every_one(stat: Stat, form: ReceiptForm) -> None:
    pdu = decode(receipt_frame(sent(stat, "hello"), Profile(receipt_form=form)))
    assert is_receipt(pdu)
    read = parse_receipt(pdu)
    assert (read.id, read.stat) == ("77", stat)
    assert read.final == (stat in FINAL)


def test_a_character_outside_latin_1_does_not_break_the_receipt() -> None:
    pdu = decode(receipt_frame(sent(Stat.DELIVRD, "\u20ac uro"), TEXT))
    assert pdu.octets("short_message").endswith(b"text:? uro")


@pytest.mark.parametrize(
    ("registered_delivery", "due_for"),
    [
        (0, []),
        (1, [Stat.DELIVRD, Stat.EXPIRED, Stat.ACCEPTD]),
        (2, [Stat.EXPIRED]),  # on failure only
        (3, [Stat.DELIVRD]),  # SMPP 5.0: on success only
        (0x10, []),  # an intermediate notification and nothing else
        (0x11, [Stat.DELIVRD, Stat.EXPIRED, Stat.ACCEPTD]),
    ],
)
def test_registered_delivery_decides(registered_delivery: int, due_for: list[Stat]) -> None:
    stats = [Stat.DELIVRD, Stat.EXPIRED, Stat.ACCEPTD]
    due = [stat for stat in stats if is_due(ReceiptMode.requested, registered_delivery, stat)]
    assert due == due_for


def test_the_carrier_may_send_all_receipts_or_none() -> None:
    assert is_due(ReceiptMode.all, 0, Stat.DELIVRD)
    assert not is_due(ReceiptMode.none, 1, Stat.DELIVRD)
    assert not wants_intermediate(Profile(receipts=ReceiptMode.none), 0x10)
    assert wants_intermediate(Profile(), 0x11)
    assert not wants_intermediate(Profile(), 0x01)
    assert wants_intermediate(Profile(intermediate=ReceiptMode.all), 0x01)
    assert not wants_intermediate(Profile(intermediate=ReceiptMode.none), 0x11)
