"""Replays delivery receipts of real carriers against the receipt parser."""

from __future__ import annotations

import re

import pytest

from hermes.smpp.command import CommandId
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import is_receipt, parse_receipt, parse_words
from hermes.smpp.tlv import Tlv, TlvTag
from tests.replay.traces import TraceRow, corpus_rows


def recorded_tlv(name: str, value: str | int) -> Tlv:
    """A TLV of the corpus: id as text, state as integer, others in hexadecimal or as text."""
    tag = int(name, 16) if name.startswith("0x") else int(TlvTag[name])
    if isinstance(value, int):
        return Tlv.integer(tag, value)
    if tag == TlvTag.receipted_message_id:
        return Tlv.text(tag, value)
    is_hex = re.fullmatch(r"(?:[0-9a-fA-F]{2})+", value) is not None
    return Tlv(tag, bytes.fromhex(value) if is_hex else value.encode("latin-1"))


def recorded_pdu(row: TraceRow) -> Pdu:
    octets = row["text"].encode("latin-1")
    tlvs = [recorded_tlv(name, value) for name, value in row["tlvs"].items()]
    in_payload = row["via"].endswith("message_payload") or (row["via"] == "data_sm" and octets)
    if in_payload:
        tlvs.append(Tlv(TlvTag.message_payload, octets))
    fields: dict[str, object] = {"esm_class": row["esm_class"]}
    if row["via"].startswith("deliver_sm"):
        fields["short_message"] = b"" if in_payload else octets
        return Pdu(CommandId.deliver_sm, fields=fields, tlvs=tuple(tlvs))
    return Pdu(CommandId.data_sm, fields=fields, tlvs=tuple(tlvs))


@pytest.mark.parametrize("row", corpus_rows("dlr_receipts", "n"))
def test_a_recorded_receipt_parses_as_expected(row: TraceRow) -> None:
    pdu = recorded_pdu(row)
    assert is_receipt(pdu)
    receipt = parse_receipt(pdu)
    assert {name: getattr(receipt, name) for name in row["expect"]} == row["expect"]


@pytest.mark.parametrize("row", corpus_rows("dlr_receipts", "n"))
def test_a_recorded_receipt_cut_anywhere_still_parses(row: TraceRow) -> None:
    octets = row["text"].encode("latin-1")
    for end in range(len(octets)):
        parse_words(octets[:end])
