"""Wrong answers of the simulator to submit_sm, as an ESME sees them on the wire."""

from __future__ import annotations

import pytest

from hermes.simulator.profile import ReceiptForm, ReceiptMode
from hermes.smpp.command import CommandId
from tests.contract.simulator_esme import Bench, Esme, eventually, running

RESPONSE = int(CommandId.submit_sm_resp)


def answers(esme: Esme) -> list[int]:
    """The sequence numbers answered, in order."""
    return [pdu.sequence_number for pdu in esme.received if pdu.command_id == RESPONSE]


def bodies(esme: Esme) -> list[bytes]:
    """What came behind the header of each submit_sm_resp."""
    ids = RESPONSE.to_bytes(4, "big")
    return [frame[16:] for frame in esme.frames if frame[4:8] == ids]


async def tolerant(bench: Bench) -> Esme:
    """A bound ESME that takes what is broken."""
    esme = await bench.bound()
    esme.is_strict = False
    return esme


async def test_every_nth_response_is_lost_and_its_message_was_accepted() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("drop_responses", every=3)
        sequences = [esme.submit() for _ in range(9)]
        await bench.logged("submit", 9)
        await eventually(lambda: len(answers(esme)) == 6)
        assert answers(esme) == [s for n, s in enumerate(sequences, 1) if n % 3]
        lost = await bench.lines("response_lost")
        assert [line["seq"] for line in lost] == [sequences[2], sequences[5], sequences[8]]
        assert {line["reason"] for line in lost} == {"drop_responses"}
        assert (await bench.counters())["accepted"] == 9
        (session,) = (await bench.ask("GET", "/stats"))["sessions"]
        assert session["in_flight"] == 0


async def test_responses_come_in_groups_the_last_one_first() -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        await bench.fault("reorder_responses", group=3)
        one, two, three, four, five, six = (esme.submit() for _ in range(6))
        await eventually(lambda: len(answers(esme)) == 6)
        assert answers(esme) == [three, two, one, six, five, four]


async def test_a_group_that_does_not_fill_goes_out_after_its_time() -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        await bench.fault("reorder_responses", group=5, hold_ms=20)
        one, two = esme.submit(), esme.submit()
        await eventually(lambda: len(answers(esme)) == 2)
        assert answers(esme) == [two, one]


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/faults/reorder_responses"), ("POST", "/reset")]
)
async def test_responses_that_are_held_go_out_when_the_fault_ends(method: str, path: str) -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        await bench.fault("reorder_responses", hold_ms=60_000)
        held = [esme.submit(), esme.submit()]
        await bench.logged("submit", 2)
        assert answers(esme) == []
        await bench.ask(method, path)
        await eventually(lambda: answers(esme) == held[::-1])


async def test_responses_held_for_a_session_that_ends_are_lost_and_say_so() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("reorder_responses", hold_ms=30)
        esme.submit()
        await bench.logged("submit", 1)
        await esme.close()
        (line,) = await bench.logged("response_lost", 1)
        assert line["reason"] == "session ended"


async def test_a_response_is_sent_twice() -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        await bench.fault("duplicate_responses", every=2)
        first, second = esme.submit(), esme.submit()
        await eventually(lambda: len(answers(esme)) == 3)
        assert answers(esme) == [first, second, second]
        assert len(set(bodies(esme))) == 2


async def test_a_late_response_is_overtaken_and_its_receipt_still_follows_it() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("late_responses", every=2, ms=50)
        one, late, three = esme.submit(), esme.submit(), esme.submit()
        await eventually(lambda: len(esme.delivered) == 3)
        assert answers(esme) == [one, three, late]
        assert esme.received[-2].sequence_number == late
        assert esme.received[-1].command == "deliver_sm"


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ({"body": "none"}, b""),
        ({"body": "no_nul"}, b"1000"),
        ({"body": "whole", "tail": "1400000101"}, b"1000\0\x14\x00\x00\x01\x01"),  # a vendor TLV
        ({"body": "whole", "tail": "0427000102"}, b"1000\0\x04\x27\x00\x01\x02"),
        ({"body": "whole", "tail": "ff"}, b"1000\0\xff"),  # no TLV at all
    ],
)
async def test_a_response_is_written_in_an_odd_way(
    parameters: dict[str, object], body: bytes
) -> None:
    async with running() as bench:
        esme = await tolerant(bench)
        await bench.fault("odd_responses", **parameters, count=1)
        assert (await esme.submitted()).command_status == 0
        await esme.submitted()
        assert bodies(esme) == [body, b"1001\0"]
        await eventually(lambda: len(esme.delivered) == 2)


@pytest.mark.parametrize(
    ("form", "message_id"), [("long", f"{1000:070d}"), ("eight-bit", "\xe91000")]
)
async def test_a_message_id_can_be_too_long_or_of_8_bits_in_response_and_receipt(
    form: str, message_id: str
) -> None:
    async with running(receipt_form=ReceiptForm.tlv) as bench:
        esme = await bench.bound()
        await bench.set(response_id_form=form, receipt_id_form=form)
        assert (await esme.submitted()).text("message_id") == message_id
        await eventually(lambda: len(esme.delivered) == 1)
        assert esme.delivered[0].tlv(0x001E) == message_id.encode("latin-1") + b"\0"


async def test_every_response_tells_the_congestion_and_a_refusal_too() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("congestion", level=85)
        assert (await esme.submitted()).tlv(0x0428) == b"\x55"
        await bench.fault("refuse_submits", status=0x58)
        refused = await esme.submitted()
        assert (refused.command_status, refused.tlv(0x0428)) == (0x58, b"\x55")
        await bench.lift("congestion")
        assert (await esme.submitted()).tlvs == ()


@pytest.mark.parametrize(
    ("answer", "command", "body"),
    [
        ("bare", "submit_sm_resp", b""),
        ("body", "submit_sm_resp", b"\0"),
        ("nack", "generic_nack", b""),
    ],
)
async def test_a_submit_is_refused_without_a_body_with_one_or_by_a_generic_nack(
    answer: str, command: str, body: bytes
) -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("refuse_submits", status=0x400, answer=answer)
        refused = await esme.submitted()
        assert (refused.command, refused.command_status) == (command, 0x400)
        assert esme.frames[-1][16:] == body
        assert (await bench.counters())["accepted"] == 0


async def test_a_share_of_the_submits_gets_a_vendor_status() -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        await bench.fault("refuse_submits", status=0x4FF, percent=30)
        responses = [await esme.response(s) for s in [esme.submit() for _ in range(200)]]
        refused = sum(response.command_status == 0x4FF for response in responses)
        assert 30 <= refused <= 90
        assert (await bench.counters())["refused"] == {"0x4ff": refused}
