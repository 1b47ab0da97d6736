"""Replays PDUs of public test suites: decoded exactly, encoded again byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.smpp.decode import decode, decode_tolerant
from hermes.smpp.encode import encode
from hermes.smpp.frame import FrameError, FrameReader
from hermes.smpp.pdu import Pdu, PduError
from tests.replay.traces import TraceRow, corpus_rows

ROWS = corpus_rows("smpp_pdus", "id")


def as_recorded(pdu: Pdu) -> dict[str, Any]:
    """The PDU in the notation of the corpus."""
    return {
        "command_id": pdu.command_id,
        "command": pdu.command,
        "command_status": pdu.command_status,
        "sequence_number": pdu.sequence_number,
        "fields": dict(field_as_recorded(*field) for field in pdu.fields.items()),
        "tlvs": [{"tag": f"0x{tag:04x}", "value_hex": value.hex()} for tag, value in pdu.tlvs],
    }


def field_as_recorded(name: str, value: object) -> tuple[str, object]:
    if isinstance(value, bytes):
        return f"{name}_hex", value.hex()
    if isinstance(value, str) and not value.isascii():
        return name, {"hex": value.encode("latin-1").hex()}
    return name, value


@pytest.mark.parametrize("row", ROWS)
def test_a_recorded_pdu_decodes_as_expected(row: TraceRow) -> None:
    octets = bytes.fromhex(row["hex"])
    match row["expect"]:
        case "ok":
            pdu, expected = decode(octets), row["decoded"]
            length = expected["command_length"]
            assert as_recorded(pdu) | {"command_length": length} == expected
            assert list(as_recorded(pdu)["fields"]) == list(expected["fields"])
            assert pdu.tail == bytes.fromhex(row.get("tail_hex", ""))
            assert encode(pdu) == octets[:length]
            assert decode_tolerant(octets[:length])[0] == decode(octets[:length])
        case "error_or_incomplete":
            with pytest.raises(PduError):
                decode(octets)
        case unknown:
            pytest.fail(f"no rule for rows that expect {unknown!r}")


@pytest.mark.parametrize("row", ROWS)
def test_a_broken_pdu_with_a_header_still_yields_its_parts(row: TraceRow) -> None:
    octets = bytes.fromhex(row["hex"])
    if len(octets) < 16 or int.from_bytes(octets[:4], "big") < 16:
        with pytest.raises(PduError):
            decode_tolerant(octets)
        return
    pdu, problems = decode_tolerant(octets)
    assert bool(problems) or row["expect"] == "ok"
    assert pdu.sequence_number == int.from_bytes(octets[12:16], "big")


@pytest.mark.parametrize("size", [1, 2, 7, 16, 61, 100_000])
def test_any_split_of_all_recorded_pdus_gives_the_same_frames(size: int) -> None:
    frames = [
        bytes.fromhex(row["hex"])[: row["decoded"]["command_length"]]
        for row in (parameters.values[0] for parameters in ROWS)
        if isinstance(row, dict) and row["expect"] == "ok"
    ]
    stream, reader = b"".join(frames), FrameReader()
    read: list[bytes] = []
    for start in range(0, len(stream), size):
        read += reader.feed(stream[start : start + size])
    assert (read, reader.buffered) == (frames, 0)


def test_an_impossible_length_ends_the_stream_after_the_frames_before_it() -> None:
    good = bytes.fromhex("00000010000000150000000000000001")
    with pytest.raises(FrameError) as caught:
        FrameReader().feed(good + bytes.fromhex("7fffffff80000015"))
    assert (caught.value.frames, caught.value.length) == ([good], 0x7FFF_FFFF)
