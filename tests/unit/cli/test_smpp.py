"""`hermes smpp` explains what it is given, or says where that is wrong."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hermes.cli.exit_code import CommandExit
from hermes.cli.main import app

ENQUIRE = "00000010000000150000000000000001"
RECEIPT = "id:7 submit date:2601020304 done date:2601020305 stat:DELIVRD err:000"


def said(*words: str) -> str:
    """What a command prints when all is well."""
    done = CliRunner().invoke(app, ["smpp", *words])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (ENQUIRE,),
        (f"0x{ENQUIRE}",),
        tuple(ENQUIRE[at : at + 2] for at in range(0, 32, 2)),
        (":".join(ENQUIRE[at : at + 2] for at in range(0, 32, 2)),),
        ("\n".join(ENQUIRE[at : at + 8] for at in range(0, 32, 8)) + "\n",),
    ],
)
def test_octets_may_be_written_in_many_ways(words: tuple[str, ...]) -> None:
    (pdu,) = json.loads(said("decode", "--json", *words))["pdus"]
    assert (pdu["command"], pdu["sequence_number"]) == ("enquire_link", 1)
    assert pdu["answer"] == "enquire_link_resp ESME_ROK"


def test_lines_tell_every_field_and_the_answer() -> None:
    assert said("decode", ENQUIRE, "00").splitlines() == [
        "enquire_link  sequence 1  at octet 0",
        "  command_length               16 (0x10)         octets",
        "  command_id                   0x00000015        enquire_link",
        "  command_status               0x00000000        ESME_ROK",
        "  Hermes                       enquire_link_resp ESME_ROK",
        "no PDU  at octet 16",
        "  octets                       00",
        "  problem                      1 octets are no header of 16",
        "  Hermes                       waits for the rest",
    ]


def test_a_receipt_tells_who_said_what() -> None:
    shown = said("receipt", RECEIPT, "--tlv", "message_state=05", "--tlv", "30=3900")
    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "receipt 9 UNDELIV (final)",
        "id 9 by TLV wins over the text's 7",
        "stat UNDELIV by TLV final, wins over the text's DELIVRD",
        "err 000 by text",
        'sub ""',
        'dlvrd ""',
        "submit 2601020304 by text 2026-01-02 03:04:00+00:00 (UTC)",
        "done 2601020305 by text 2026-01-02 03:05:00+00:00 (UTC)",
        'text ""',
        "event undelivered",
        "looked up as-is 9",
    ]


def test_a_carriers_text_cannot_command_a_terminal() -> None:
    shown = said("receipt", "id:\x1b[2J stat:DELIVRD text:\x07")
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\\x1b[2J" in shown


WRONG = [
    (("decode", "00 0g"), "HEX at character 5: 'g' is no hexadecimal digit"),
    (("decode", "000"), "HEX at character 1: 3 digits are no whole octets, two make one"),
    (("decode", " "), "HEX holds no octets"),
    (("receipt", "id:7 €"), "TEXT at character 6: '€' is no octet (latin-1)"),
    (("receipt", "", "--tlv", "1"), "--tlv 1: expected TAG=HEX"),
    (("receipt", "", "--tlv", "state=02"), "'state' is no tag, nor the name of one"),
    (("receipt", "", "--tlv", "0x10000=02"), "tag 65536 is outside 0..65535"),
    (("receipt", "", "--tlv", "0x427=2"), "value at character 1: 1 digits are no whole octets"),
    (("receipt", "", "--tz", "Europe"), "--tz Europe: there is no such time zone"),
    (("receipt", "", "--tz", "../etc/passwd"), "there is no such time zone"),
    (("receipt", "", "--tz", ""), "there is no such time zone"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_cannot_be_read_is_told_in_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    done = CliRunner().invoke(app, ["smpp", *words])
    assert done.exit_code == CommandExit.USAGE
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("hermes: ")
    assert sentence in line
