"""User data is read whatever the carrier made of it, and every fault is told."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.smpp.command import CommandId
from hermes.smpp.content import Content, content_of
from hermes.smpp.data_coding import Alphabet, DataCodings
from hermes.smpp.gsm7_national import Shift
from hermes.smpp.gsm7_national_tables import Language
from hermes.smpp.pdu import Pdu
from hermes.smpp.segment import Concatenation
from hermes.smpp.tlv import Tlv, TlvTag
from hermes.smpp.user_data_header import Concat, Element

PAYLOAD, REF, TOTAL, NUMBER = (
    TlvTag.message_payload,
    TlvTag.sar_msg_ref_num,
    TlvTag.sar_total_segments,
    TlvTag.sar_segment_seqnum,
)


def read(
    message: str = "", *tlvs: tuple[int, str], esm: int = 0, coding: int = 0, **more: Any
) -> Content:
    """The content of a deliver_sm; octets in hexadecimal."""
    fields: dict[str, object] = {
        "esm_class": esm,
        "data_coding": coding,
        "short_message": bytes.fromhex(message),
    }
    found = tuple(Tlv(tag, bytes.fromhex(value)) for tag, value in tlvs)
    return content_of(Pdu(CommandId.deliver_sm, fields=fields, tlvs=found), **more)


def told(content: Content) -> tuple[str | None, str, Concat | None, tuple[str, ...]]:
    return content.text, content.octets.hex(), content.concat, content.problems


PLAIN = [
    (read("6869"), ("hi", "6869", None, ())),
    (read(), ("", "", None, ())),
    (read("", (PAYLOAD, "6869")), ("hi", "6869", None, ())),
    (read("", (PAYLOAD, "050003070201" + "6869"), esm=0x40), ("hi", "6869", ..., ())),
    (read("68e9", coding=3), ("hé", "68e9", None, ())),
    (read("0104", coding=4), (None, "0104", None, ())),
    (read("0104", coding=0xF5), (None, "0104", None, ())),
    (read("0104", coding=0x0D), (None, "0104", None, ())),
    (read("0439", coding=8), ("й", "0439", None, ())),
    (
        read("043904", coding=8),
        ("й\ufffd", "043904", None, ("text: 3 octets of UCS-2, an odd number",)),
    ),
    (read("68e968", coding=1), ("héh", "68e968", None, ("text: 1 octets above 0x7f",))),
    (
        read("6869", (PAYLOAD, "00")),
        ("hi", "6869", None, ("message_payload: 1 octets beside a short_message are not read",)),
    ),
]


@pytest.mark.parametrize(("content", "expected"), PLAIN)
def test_a_message_says_this(content: Content, expected: tuple[Any, ...]) -> None:
    assert [a for a, b in zip(told(content), expected, strict=True) if b is not ...] == [
        b for b in expected if b is not ...
    ]


UDH8, UDH16, SAR = Concatenation.UDH8, Concatenation.UDH16, Concatenation.SAR
CONCATS = [
    (read("05000307020168", esm=0x40), Concat(UDH8, 7, 2, 1)),
    (read("060804123403026869", esm=0x40), Concat(UDH16, 0x1234, 3, 2)),
    (read("68", (REF, "1234"), (TOTAL, "03"), (NUMBER, "02")), Concat(SAR, 0x1234, 3, 2)),
    # beside other elements, in any order
    (read("0a0504000100020003ff0201" + "68", esm=0x40), None),
    (read("0b0504000100020003ff020168", esm=0x40), Concat(UDH8, 0xFF, 2, 1)),
    # the last of two counts (3GPP TS 23.040, 9.2.3.24)
    (read("0a00030702010003080202" + "68", esm=0x40), Concat(UDH8, 8, 2, 2)),
    # the header goes before the TLVs
    (
        read("05000307020168", (REF, "1234"), (TOTAL, "03"), (NUMBER, "02"), esm=0x40),
        Concat(UDH8, 7, 2, 1),
    ),
    # ports are no concatenation
    (read("060504000100026869", esm=0x40), None),
    (read("0404020102" + "68", esm=0x40), None),
    # without the bit there is no header
    (read("050003070201"), None),
]


@pytest.mark.parametrize(("content", "concat"), CONCATS)
def test_the_place_among_parts_is_read(content: Content, concat: Concat | None) -> None:
    if concat is None:
        assert content.concat is None
    else:
        assert (content.concat, content.problems) == (concat, ())


FAULTS = [
    (read("0500030702", esm=0x40), "0500030702", "header: length 5 overruns by 1"),
    (read("", esm=0x40), "", "header: announced, but there are no octets"),
    (read("03000307" + "68", esm=0x40), "68", "header: element 0x00 length 3 overruns by 2"),
    (read("0124" + "68", esm=0x40), "68", "header: element 0x24 has no length"),
    (read("04000207" + "02" + "68", esm=0x40), "68", "concatenation: 0x00 has 2 octets, not 3"),
    (read("05000307020068", esm=0x40), "68", "concatenation: part 0 of 2 cannot be"),
    (read("05000307020368", esm=0x40), "68", "concatenation: part 3 of 2 cannot be"),
    (read("05000307000068", esm=0x40), "68", "concatenation: part 0 of 0 cannot be"),
    (read("68", (REF, "1234")), "68", "concatenation: 1 of 3 sar TLVs are there"),
    (
        read("68", (REF, "07"), (TOTAL, "0100"), (NUMBER, "01")),
        "68",
        "concatenation: part 1 of 256 cannot be",
    ),
    (
        read("68", (REF, "07"), (TOTAL, "0000000002"), (NUMBER, "01")),
        "68",
        "concatenation: a sar TLV has 5 octets, 4 at most count",
    ),
    (read("03240120" + "68", esm=0x40), "68", "national language: 0x24 20 has no table"),
    (read("03250102" + "68", esm=0x40), "68", "national language: 0x25 02 has no table"),
    (read("022400" + "68", esm=0x40), "68", "national language: 0x24  has no table"),
]


@pytest.mark.parametrize(("content", "octets", "problem"), FAULTS)
def test_a_fault_is_told_and_the_rest_is_read(content: Content, octets: str, problem: str) -> None:
    assert content.octets.hex() == octets
    assert problem in content.problems


def test_unknown_elements_are_listed_and_the_body_is_behind_them() -> None:
    content = read("07" + "700101" + "7f020304"[:8] + "6869", esm=0x40)
    assert content.elements == (Element(0x70, b"\x01"), Element(0x7F, b"\x03\x04"))
    assert (content.text, content.problems) == ("hi", ())


def test_national_tables_are_read() -> None:
    content = read("06240101250101" + "0c1b67", esm=0x40)
    assert content.shift == Shift(Language.TURKISH, Language.TURKISH)
    assert (content.text, content.problems) == ("ğğ", ())
    assert read("03240103" + "1b61", esm=0x40).text == "Â"
    assert read("03240103" + "1b61", esm=0x40, coding=3).text == "\x1ba"


def test_data_sm_has_its_text_in_the_payload() -> None:
    fields: dict[str, object] = {"esm_class": 0, "data_coding": 0}
    pdu = Pdu(CommandId.data_sm, fields=fields, tlvs=(Tlv(PAYLOAD, b"hi"),))
    assert content_of(pdu).text == "hi"


def test_the_default_alphabet_is_the_carriers() -> None:
    latin = DataCodings(default_alphabet=Alphabet.LATIN1)
    content = read("68e9", codings=latin)
    assert (content.text, content.alphabet) == ("hé", Alphabet.LATIN1)
