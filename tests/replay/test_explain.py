"""Explains every recorded PDU and receipt: nothing raises, and it says what the decoder says."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from hermes.cli.main import app
from hermes.core.receipt import kind_of_receipt
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.explain import explain
from hermes.smpp.explain_receipt import explain_receipt
from hermes.smpp.receipt_text import is_receipt, parse_receipt
from hermes.smpp.tlv import Tlv
from tests.replay.test_dlr_receipts import recorded_pdu, recorded_tlv
from tests.replay.traces import TraceRow, corpus_rows

PDUS = corpus_rows("smpp_pdus", "id")
RECEIPTS = corpus_rows("dlr_receipts", "n")


def command(*words: str) -> Any:
    """Run `hermes smpp` and give its JSON; the same words must also make lines."""
    lines = CliRunner().invoke(app, ["smpp", *words])
    assert (lines.exit_code, lines.stderr) == (0, "")
    assert all(line.isprintable() for line in lines.stdout.splitlines())
    done = CliRunner().invoke(app, ["smpp", words[0], "--json", *words[1:]])
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def plain(value: object) -> object:
    """A field as JSON has it."""
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("row", PDUS)
def test_a_recorded_pdu_is_explained_as_it_is_decoded(row: TraceRow) -> None:
    octets = bytes.fromhex(row["hex"])
    answer = command("decode", row["hex"])
    pdus, rest = explain(octets)
    assert answer == json.loads(msgspec.json.encode({"pdus": pdus, "rest": rest}))
    at = 0
    for explained in answer["pdus"]:
        assert explained["at"] == at
        length = explained["command_length"]
        pdu, problems = decode_tolerant(octets[at : at + length])
        at += length
        assert explained["command_id"] == pdu.command_id
        assert explained["command"] == pdu.command
        assert explained["command_status"] == pdu.command_status
        assert explained["sequence_number"] == pdu.sequence_number
        fields = {line["name"]: line["value"] for line in explained["fields"]}
        assert fields == {name: plain(value) for name, value in pdu.fields.items()}
        tlvs = [(int(tlv["tag"], 16), tlv["value_hex"]) for tlv in explained["tlvs"]]
        assert tlvs == [(tag, value.hex()) for tag, value in pdu.tlvs]
        assert explained["tail_hex"] == pdu.tail.hex()
        assert tuple(explained["problems"][: len(problems)]) == problems
        receipt = parse_receipt(pdu)
        if explained["receipt"] is None:
            assert pdu.command not in ("deliver_sm", "data_sm") or not is_receipt(pdu)
        else:
            assert (explained["receipt"]["id"], explained["receipt"]["stat"]) == (
                receipt.id,
                receipt.stat,
            )
    if rest is None:
        assert at >= len(octets)
    else:
        assert (rest.at, bytes.fromhex(rest.hex)) == (at, octets[at:])
    if row["expect"] == "ok":
        assert answer["pdus"][0]["problems"] == [] or answer["pdus"][0]["content"]


def test_all_recorded_pdus_are_explained_from_one_text() -> None:
    rows = [row for values in PDUS if isinstance(row := values.values[0], dict)]
    whole = [row for row in rows if row["expect"] == "ok"]
    words = [row["hex"][: 2 * row["decoded"]["command_length"]] for row in whole]
    answer = command("decode", "\n0x".join(words))
    assert [pdu["command"] for pdu in answer["pdus"]] == [
        row["decoded"]["command"] for row in whole
    ]
    assert answer["rest"] is None


@pytest.mark.parametrize("row", RECEIPTS)
def test_a_recorded_receipt_is_explained_as_it_is_parsed(row: TraceRow) -> None:
    pdu = recorded_pdu(row)
    receipt, explained = parse_receipt(pdu), explain_receipt(pdu, UTC)
    assert (explained.id, explained.stat, explained.final) == (
        receipt.id,
        receipt.stat,
        receipt.final,
    )
    assert explained.event == kind_of_receipt(receipt.stat)
    said = {line.name: line.value for line in explained.lines}
    for name in ("id", "stat", "err", "submit", "done", "sub", "dlvrd", "text"):
        assert said[name] == getattr(receipt, name)


@pytest.mark.parametrize("row", RECEIPTS)
def test_a_recorded_receipt_is_explained_on_the_command_line(row: TraceRow) -> None:
    tlvs = [recorded_tlv(name, value) for name, value in row["tlvs"].items()]
    answer = command("receipt", *options(tlvs), "--", row["text"])
    pdu = recorded_pdu(row)
    assert answer == json.loads(msgspec.json.encode(explain_receipt(pdu, UTC)))


def options(tlvs: list[Tlv]) -> list[str]:
    return [word for tag, value in tlvs for word in ("--tlv", f"0x{tag:04x}={value.hex()}")]
