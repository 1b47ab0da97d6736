"""Receipts of the simulator over real loopback: content, retries, sessions."""

from __future__ import annotations

import pytest

from hermes.simulator.message_id import IdForm
from hermes.simulator.profile import ReceiptForm, ReceiptMode, ReceiptRoute
from tests.contract.simulator_esme import eventually, running

THROTTLED, QUEUE_FULL, NOT_BOUND = 0x58, 0x14, 0x04


async def test_a_submit_is_accepted_and_its_receipt_follows() -> None:
    async with running() as bench:
        esme = await bench.bound()
        response = await esme.submitted("447700900120", text=b"hello w\x00rld")
        assert (response.command_status, response.text("message_id")) == (0, "1000")
        await eventually(lambda: len(esme.delivered) == 1)
        receipt = esme.delivered[0]
        assert esme.deliver().startswith("id:1000 sub:001 dlvrd:001 submit date:")
        assert esme.deliver().endswith(" stat:DELIVRD err:000 text:hello w@rld")
        assert (receipt.text("source_addr"), receipt.text("destination_addr")) == (
            "447700900120",
            "Hermes",
        )
        assert (receipt.tlv(0x001E), receipt.tlv(0x0427)) == (b"1000\0", b"\x02")


async def test_the_last_digit_of_the_destination_decides() -> None:
    async with running() as bench:
        esme = await bench.bound()
        for digit in range(10):
            await esme.submitted(f"44770090012{digit}")
        await eventually(lambda: len(esme.delivered) == 10)
        stats = {
            pdu.text("source_addr")[-1]: esme.deliver(index).split("stat:")[1][:7]
            for index, pdu in enumerate(esme.delivered)
        }
        assert stats == {
            **dict.fromkeys("06789", "DELIVRD"),
            "1": "EXPIRED",
            "2": "DELETED",
            "3": "UNDELIV",
            "4": "ACCEPTD",
            "5": "REJECTD",
        }


async def test_a_mix_replaces_the_digits() -> None:
    async with running(mix="UNDELIV=100") as bench:
        esme = await bench.bound()
        await esme.submitted("447700900120")
        await eventually(lambda: len(esme.delivered) == 1)
        assert "stat:UNDELIV err:003" in esme.deliver()


@pytest.mark.parametrize(
    ("mode", "registered_delivery", "digit", "expected"),
    [
        (ReceiptMode.requested, 0, 0, []),
        (ReceiptMode.requested, 2, 0, []),
        (ReceiptMode.requested, 2, 1, ["EXPIRED"]),
        (ReceiptMode.requested, 0x11, 0, ["ENROUTE", "DELIVRD"]),
        (ReceiptMode.all, 0, 0, ["DELIVRD"]),
        (ReceiptMode.none, 1, 0, []),
    ],
)
async def test_registered_delivery_is_honoured(
    mode: ReceiptMode, registered_delivery: int, digit: int, expected: list[str]
) -> None:
    async with running(receipts=mode) as bench:
        esme = await bench.bound()
        await esme.submitted(f"44770090012{digit}", registered_delivery=registered_delivery)
        # a second message with a sure receipt shows that nothing more comes before it
        await bench.ask("PUT", "/settings", {"receipts": "all"})
        await esme.submitted("447700900129")
        await eventually(lambda: any("900129" in p.text("source_addr") for p in esme.delivered))
        stats = [esme.deliver(i).split("stat:")[1][:7] for i in range(len(esme.delivered))]
        assert stats == [*expected, "DELIVRD"]


async def test_ids_differ_in_notation_between_response_and_receipt() -> None:
    async with running(
        first_id=255,
        response_id_form=IdForm.hex_upper,
        receipt_id_form=IdForm.decimal_padded,
        receipt_form=ReceiptForm.text,
    ) as bench:
        esme = await bench.bound()
        assert (await esme.submitted()).text("message_id") == "FF"
        await eventually(lambda: len(esme.delivered) == 1)
        assert esme.deliver().startswith("id:00000000000000000255 ")
        assert esme.delivered[0].tlvs == ()


@pytest.mark.parametrize("status", [0x64, 0x14])
async def test_a_receipt_is_sent_again_while_the_esme_cannot_take_it(status: int) -> None:
    async with running() as bench:
        esme = await bench.bound()
        answers = iter([status, status, 0])
        esme.answer = lambda _pdu: next(answers)
        await esme.submitted()
        lines = await bench.logged("answer", 3)
        assert [line["status"] for line in lines] == [status, status, 0]
        assert [line["attempt"] for line in await bench.lines("receipt")] == [1, 2, 3]
        assert len({esme.deliver(index) for index in range(3)}) == 1


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(0x64, 3), (0x65, 1)],  # for now, for three tries; for good
)
async def test_a_receipt_nobody_wants_is_given_up(status: int, attempts: int) -> None:
    async with running(retry_attempts=3) as bench:
        esme = await bench.bound()
        esme.answer = lambda _pdu: status
        await esme.submitted()
        (line,) = await bench.logged("given_up", 1)
        assert (line["message_id"], line["status"]) == ("1000", status)
        assert len(esme.delivered) == attempts


async def test_a_receipt_that_is_never_answered_is_sent_again_after_the_timeout() -> None:
    async with running(deliver_timeout_ms=10) as bench:
        esme = await bench.bound()
        esme.answer = lambda _pdu: None if len(esme.delivered) == 1 else 0
        await esme.submitted()
        await bench.logged("answer", 1)
        assert len(esme.delivered) == 2


async def test_unanswered_receipts_are_sent_again_after_the_next_bind() -> None:
    async with running() as bench:
        first = await bench.bound()
        first.answer = lambda _pdu: None
        for _ in range(3):
            await first.submitted()
        await eventually(lambda: len(first.delivered) == 3)
        await first.close()
        (line,) = await bench.logged("unbind", 1)
        assert line["unanswered"] == 3
        second = await bench.bound()
        await bench.logged("answer", 3)
        texts = [first.deliver(index) for index in range(3)]
        assert [second.deliver(index) for index in range(3)] == texts
        assert len(second.delivered) == 3


async def test_receipts_wait_while_no_session_can_receive() -> None:
    async with running() as bench:
        transmitter = await bench.bound("transmitter")
        await transmitter.submitted()
        await bench.until_account(deliver_waiting=1)
        other = await bench.bound("receiver", system_id="other")
        receiver = await bench.bound("receiver")
        await eventually(lambda: len(receiver.delivered) == 1)
        assert transmitter.delivered == other.delivered == []


async def test_receipts_of_a_lost_session_go_to_another_one_of_the_account() -> None:
    async with running(receipt_delay_ms=50) as bench:
        first, second = await bench.bound(), await bench.bound()
        await first.submitted()
        await first.close()
        await eventually(lambda: len(second.delivered) == 1)
        assert "id:1000" in second.deliver()


async def test_receipts_go_to_their_own_session_or_in_turn() -> None:
    async with running() as bench:
        first, second = await bench.bound(), await bench.bound()
        for _ in range(4):
            await second.submitted()
        await eventually(lambda: len(second.delivered) == 4)
        assert first.delivered == []
        await bench.ask("PUT", "/settings", {"receipt_route": ReceiptRoute.rotate})
        for _ in range(4):
            await second.submitted()
        await eventually(lambda: (len(first.delivered), len(second.delivered)) == (2, 6))


async def test_a_window_bounds_the_unanswered_receipts() -> None:
    async with running(deliver_window=2) as bench:
        esme = await bench.bound()
        esme.answer = lambda _pdu: None
        for _ in range(5):
            await esme.submitted()
        await bench.until_account(deliver_waiting=3, deliver_unanswered=2)
        assert len(esme.delivered) == 2


async def test_thousands_of_messages_are_accepted_and_receipted_once_each() -> None:
    async with running(deliver_window=0) as bench:
        esme = await bench.bound()
        for _ in range(3000):
            esme.submit()
        await eventually(lambda: len(esme.delivered) == 3000)
        ids = {esme.deliver(index).split()[0] for index in range(3000)}
        assert len(ids) == 3000
        counters = await bench.counters()
        assert (counters["accepted"], counters["receipts_sent"]) == (3000, 3000)
