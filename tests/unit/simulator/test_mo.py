"""MOs: from JSON values to deliver_sm."""

from __future__ import annotations

import pytest

from hermes.simulator.mo import Mo, mo_deliveries
from hermes.simulator.receipt import Owed
from hermes.simulator.refusal import Refusal
from hermes.smpp.data_coding import Alphabet
from hermes.smpp.decode import decode


def test_a_short_text_is_one_deliver_sm() -> None:
    (delivery,) = mo_deliveries(Mo(source="4477", destination="80080", text="a@b"), 5, GSM7)
    assert (delivery.owed, delivery.message_id) == (Owed.mo, "mo-5")
    pdu = decode(delivery.frame)
    assert (pdu.command, pdu.number("esm_class")) == ("deliver_sm", 0)
    assert (pdu.text("source_addr"), pdu.text("destination_addr")) == ("4477", "80080")
    assert (pdu.number("data_coding"), pdu.octets("short_message")) == (0, b"a\x00b")


def test_a_long_text_is_cut_into_segments() -> None:
    deliveries = mo_deliveries(Mo(source="4477", destination="80080", text="x" * 161), 5, GSM7)
    assert [delivery.message_id for delivery in deliveries] == ["mo-5.1", "mo-5.2"]
    first = decode(deliveries[0].frame)
    assert first.number("esm_class") == 0x40
    assert first.octets("short_message")[:6] == bytes.fromhex("050003050201")


def test_a_text_can_go_as_payload() -> None:
    (delivery,) = mo_deliveries(
        Mo(source="4477", destination="80080", text="x" * 161, payload=True), 5, GSM7
    )
    pdu = decode(delivery.frame)
    assert pdu.octets("short_message") == b""
    assert pdu.tlv(0x0424) == b"x" * 161


def test_octets_go_as_they_are() -> None:
    mo = Mo(source="4477", destination="80080", hex="0605040b8423f0ff", esm_class=64, data_coding=4)
    pdu = decode(mo_deliveries(mo, 5, GSM7)[0].frame)
    assert pdu.octets("short_message") == bytes.fromhex("0605040b8423f0ff")
    assert (pdu.number("esm_class"), pdu.number("data_coding")) == (64, 4)


@pytest.mark.parametrize(
    ("mo", "field", "rule"),
    [
        (Mo(source="1", destination="2"), "text", "give either text or hex"),
        (Mo(source="1", destination="2", text="a", hex="00"), "text", "give either text or hex"),
        (Mo(source="1", destination="2", hex="00" * 255), "hex", "255 octets, 254 is the limit"),
        (Mo(source="1", destination="2", text="\ud800"), "text", "has a lone surrogate"),
        (Mo(source="\u20ac", destination="2", text="a"), "source_addr", "is not latin-1"),
    ],
)
def test_a_wrong_mo_names_the_field_and_the_rule(mo: Mo, field: str, rule: str) -> None:
    with pytest.raises(Refusal) as refusal:
        mo_deliveries(mo, 1, GSM7)
    assert refusal.value.field == field
    assert rule in refusal.value.rule


GSM7 = Alphabet.GSM7
