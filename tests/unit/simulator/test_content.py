"""The user data of a submit_sm as the log shows it."""

from __future__ import annotations

import pytest

from hermes.simulator.content import Content, read_content
from hermes.smpp.data_coding import Alphabet
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv

UDH = bytes.fromhex("050003c80201")


@pytest.mark.parametrize(
    ("esm_class", "data_coding", "octets", "text"),
    [
        (0, 0, b"a\x00b\x1be", "a@b\u20ac"),  # GSM 7-bit, unpacked
        (0, 3, b"\xe9t\xe9", "été"),
        (0, 8, "жук".encode("utf-16-be"), "жук"),
        (0, 4, b"\x01\x02", ""),  # binary
        (0x40, 0, UDH + b"part", "part"),
        (0x43, 8, UDH + "ж".encode("utf-16-be"), "ж"),
        (0x40, 0, b"\xff", ""),  # a header longer than the message
        (0x40, 0, b"", ""),
    ],
)
def test_text_is_read_and_octets_are_kept(
    esm_class: int, data_coding: int, octets: bytes, text: str
) -> None:
    fields: dict[str, object] = {
        "esm_class": esm_class,
        "data_coding": data_coding,
        "short_message": octets,
    }
    assert read_content(Pdu(4, fields=fields), Alphabet.GSM7) == Content(octets, text)


def test_a_payload_takes_the_place_of_the_short_message() -> None:
    pdu = Pdu(4, fields={"short_message": b""}, tlvs=(Tlv(0x0424, b"long"),))
    assert read_content(pdu, Alphabet.GSM7) == Content(b"long", "long")


def test_data_coding_0_is_the_alphabet_of_the_carrier() -> None:
    pdu = Pdu(4, fields={"data_coding": 0, "short_message": b"@\xe9"})
    assert read_content(pdu, Alphabet.LATIN1).text == "@é"
