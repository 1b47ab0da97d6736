"""Every way carriers write receipts, out of the simulator's settings."""

from __future__ import annotations

from typing import Any

import pytest

from hermes.simulator.profile import ReceiptForm, ReceiptMode
from hermes.smpp.data_coding import Alphabet
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import is_receipt, parse_receipt, receipt_octets
from hermes.smpp.segment import Concatenation, segments
from hermes.smpp.tlv import encode_tlvs
from tests.contract.simulator_esme import Bench, Esme, eventually, running
from tests.replay.test_dlr_receipts import recorded_tlv
from tests.replay.traces import TraceRow, corpus_rows


async def receipt_with(bench: Bench, esme: Esme, digit: int = 0, **settings: object) -> Pdu:
    """The receipt of one message under these settings."""
    await bench.set(**settings)
    await esme.submitted(f"44770090012{digit}")
    await bench.until_account(queued=0, deliver_waiting=0)
    await eventually(lambda: bool(esme.delivered))
    return esme.delivered.pop()


def as_template(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


@pytest.mark.parametrize("row", corpus_rows("dlr_receipts", "n"))
async def test_a_recorded_receipt_can_be_written_by_settings(row: TraceRow) -> None:
    command, _, body = row["via"].partition(".")
    tlvs = [recorded_tlv(name, value) for name, value in row["tlvs"].items()]
    async with running(receipt_form=ReceiptForm.text) as bench:
        esme = await bench.bound()
        esme.is_strict = False
        pdu = await receipt_with(
            bench,
            esme,
            receipt_command=command,
            receipt_body=body or "short_message",
            receipt_template=as_template(row["text"]),
            receipt_tail=encode_tlvs(tlvs).hex(),
        )
    assert pdu.command == command
    assert receipt_octets(pdu) == row["text"].encode("latin-1")
    assert is_receipt(pdu)
    receipt = parse_receipt(pdu)
    assert {name: getattr(receipt, name) for name in row["expect"]} == row["expect"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{id} {stat}", "1000 UNDELIV"),
        ("id:{id:hex} id:{id:decimal-padded}", "id:3e8 id:00000000000000001000"),
        ("stat:{stat:lower} err:{err:04X} sub:{sub:d}", "stat:undeliv err:0003 sub:1"),
        ("{{id}} text:{text:.3}", "{id} text:hel"),
        ("id:x-{id} err:21b", "id:x-1000 err:21b"),
        ("", ""),
        ("x" * 300, "x" * 254),  # as much as a short message holds
    ],
)
async def test_a_template_writes_the_text(template: str, text: str) -> None:
    async with running() as bench:
        esme = await bench.bound()
        await receipt_with(bench, esme, 3, receipt_template=template)
        assert [receipt_octets(pdu).decode("latin-1") for pdu in esme.received[2:]] == [text]


async def test_dates_are_in_a_format_and_a_time_zone() -> None:
    async with running() as bench:
        esme = await bench.bound()
        template = "{submit} {submit:%Y%m%d%H%M%S} {done} {done:0000000000}"
        await bench.set(receipt_template=template, receipt_date_format="%y%m%d%H%M%S")
        utc = receipt_octets(await receipt_with(bench, esme)).decode().split()
        assert [len(word) for word in utc] == [12, 14, 12, 10]
        assert utc[1] == "20" + utc[0]
        east = receipt_octets(
            await receipt_with(bench, esme, time_zone="Asia/Kathmandu", receipt_date_format="%z")
        )
        assert east.decode().split()[0] == "+0545"


@pytest.mark.parametrize(
    ("form", "digit", "octets"),
    [
        ("octets", 3, b"\x03\x00\x03"),
        ("digits", 3, b"003"),
        ("none", 3, None),
        ("digits", 0, None),  # delivered
    ],
)
async def test_a_network_error_code_has_its_forms(
    form: str, digit: int, octets: bytes | None
) -> None:
    async with running() as bench:
        esme = await bench.bound()
        pdu = await receipt_with(bench, esme, digit, network_error=form)
        assert pdu.tlv(0x0423) == octets


@pytest.mark.parametrize(
    ("tail", "tlv"),
    [
        ("14030004286e756c", (0x1403, b"(nul")),  # a vendor TLV
        ("1403ff0041", None),  # its length overruns
        ("0427000300", None),  # an integer that is cut
        ("0000", None),  # trailing octets
    ],
)
async def test_a_receipt_ends_with_a_vendor_tlv_or_what_is_none(
    tail: str, tlv: tuple[int, bytes] | None
) -> None:
    async with running(receipt_form=ReceiptForm.text) as bench:
        esme = await bench.bound()
        esme.is_strict = False
        pdu = await receipt_with(bench, esme, receipt_tail=tail)
        assert esme.frames[-1].hex().endswith(tail)
        assert pdu.tlvs == (() if tlv is None else (tlv,))
        assert parse_receipt(pdu).id == "1000"
        assert bool(decode_tolerant(esme.frames[-1])[1]) == (tlv is None)


async def test_a_receipt_by_data_sm_is_sent_again_like_any_other() -> None:
    async with running() as bench:
        esme = await bench.bound()
        answers = iter([0x64, 0])
        esme.answer = lambda _pdu: next(answers)
        await bench.set(receipt_command="data_sm")
        await esme.submitted()
        lines = await bench.logged("answer", 2)
        assert [line["status"] for line in lines] == [0x64, 0]
        assert [pdu.command for pdu in esme.delivered] == ["data_sm", "data_sm"]


@pytest.mark.parametrize(("form", "esm_class"), [("notification", 0x20), ("receipt", 0x04)])
async def test_intermediate_receipts_come_at_will_in_either_form_and_at_their_time(
    form: str, esm_class: int
) -> None:
    async with running(receipt_delay_ms=0) as bench:
        esme = await bench.bound()
        await bench.set(intermediate="all", intermediate_form=form, enroute_ms=20)
        await esme.submitted()
        await eventually(lambda: len(esme.delivered) == 2)
        final, late = esme.delivered
        assert (parse_receipt(final).stat, parse_receipt(late).stat) == ("DELIVRD", "ENROUTE")
        assert late.number("esm_class") == esm_class
        await bench.set(intermediate="none", receipts="all")
        await esme.submitted(registered_delivery=0x11)
        await eventually(lambda: len(esme.delivered) == 3)
        assert parse_receipt(esme.delivered[2]).stat == "DELIVRD"


def parts(concatenation: Concatenation) -> list[dict[str, Any]]:
    """What a submit of each part of a long text has."""
    return [
        {"text": part.octets, "esm_class": part.esm_class, "tlvs": part.tlvs}
        for part in segments("x" * 400, 7, concatenation=concatenation)
    ]


@pytest.mark.parametrize("concatenation", [Concatenation.UDH8, Concatenation.SAR])
@pytest.mark.parametrize(
    ("which", "ids"),
    [("all", ["1000", "1001", "1002"]), ("first", ["1000"]), ("last", ["1002"])],
)
async def test_all_parts_of_a_long_message_get_a_receipt_or_one_of_them(
    concatenation: Concatenation, which: str, ids: list[str]
) -> None:
    async with running(default_alphabet=Alphabet.GSM7) as bench:
        esme = await bench.bound()
        await bench.set(receipt_parts=which)
        for part in parts(concatenation):
            await esme.submitted(**part)
        await bench.until_account(queued=0, deliver_waiting=0, deliver_unanswered=0)
        assert [parse_receipt(pdu).id for pdu in esme.delivered] == ids
        esme.delivered.clear()
        await esme.submitted()  # a message of one part
        await eventually(lambda: len(esme.delivered) == 1)


async def test_a_sender_or_a_dead_number_decides_before_the_digit() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.set(outcome_by_sender="^BANK=REJECTD ^4[0-9]+$=EXPIRED", dead_numbers="55+$")
        outcomes = [
            ("BANK-1", "447700900120", "REJECTD"),
            ("4712", "447700900122", "EXPIRED"),
            ("Shop", "447700900122", "DELETED"),  # nobody's: the digit
            ("BANK-1", "447700900155", "UNDELIV"),  # dead, whoever writes
        ]
        for source, destination, _ in outcomes:
            await esme.submitted(destination, source_addr=source)
        lines = await bench.lines("submit")
        assert [line["stat"] for line in lines] == [stat for _, _, stat in outcomes]


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("receipt_template", "{ids}", "{ids} is none of {id}, {sub}, {dlvrd}, {submit}, "),
        ("receipt_template", "{id", "expected '}' before end of string"),
        ("receipt_template", "{id:roman}", "'roman' is not a valid IdForm"),
        ("receipt_template", "{sub:s}", "Unknown format code 's' for object of type 'int'"),
        ("receipt_template", "{id!r}", "{id} takes a format only"),
        ("time_zone", "Mars/Olympus", "there is no time zone 'Mars/Olympus'"),
        ("receipt_tail", "0", "expected `str` matching regex"),
        ("dead_numbers", "(", "'(' is no regular expression: "),
        ("outcome_by_sender", "BANK", "'BANK' is not PATTERN= and one of DELIVRD, "),
        ("outcome_by_sender", "BANK=ENROUTE", "'BANK=ENROUTE' is not PATTERN= and one of "),
        ("tls_cert", "x", "is fixed at the start"),
    ],
)
async def test_a_setting_that_cannot_be_is_refused_with_the_reason(
    setting: str, value: str, rule: str
) -> None:
    async with running(receipts=ReceiptMode.all) as bench:
        before = await bench.ask("GET", "/settings")
        status, answer = await bench.call("PUT", "/settings", {setting: value})
        assert (status, answer["error"]["field"]) == (400, setting)
        assert answer["error"]["rule"].startswith(rule)
        assert await bench.ask("GET", "/settings") == before
