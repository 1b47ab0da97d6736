"""The faults of the simulator, switched on over its control API, as an ESME sees them."""

from __future__ import annotations

import asyncio

import pytest

from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.simulator_esme import Esme, eventually, running


def answered(esme: Esme) -> list[str]:
    """The commands received, in order."""
    return [pdu.command for pdu in esme.received]


@pytest.mark.parametrize(("how", "end"), [("rst", "reset"), ("fin", "eof")])
async def test_dropped_connections_end_as_asked(how: str, end: str) -> None:
    async with running() as bench:
        first, second = await bench.bound(), await bench.bound(system_id="other")
        await bench.fault("drop", how=how, system_id="tester")
        assert await first.ended() == end
        assert (await second.submitted()).command_status == 0
        (line,) = await bench.lines("unbind")
        assert (line["system_id"], line["reason"]) == ("tester", "fault drop")


async def test_an_unbind_by_the_smsc_waits_for_its_answer() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("drop", how="unbind")
        await eventually(lambda: "unbind" in answered(esme))
        assert (await esme.submitted()).command_status == 0x04
        assert esme.end is None
        unbind = next(pdu for pdu in esme.received if pdu.command == "unbind")
        esme.write(encode_header_only(CommandId.unbind_resp, 0, unbind.sequence_number))
        assert await esme.ended() == "eof"


async def test_an_unbind_that_is_not_answered_ends_with_a_reset() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("drop", how="unbind")
        assert await esme.ended() == "reset"
        (line,) = await bench.lines("unbind")
        assert line["reason"] == "unbind unanswered"


async def test_the_third_submit_is_accepted_and_the_connection_drops_without_an_answer() -> None:
    async with running() as bench:
        first = await bench.bound()
        await bench.fault("drop_on_submit", after=3, how="fin")
        for _ in range(5):
            first.submit()
        assert await first.ended() == "eof"
        assert answered(first).count("submit_sm_resp") == 2
        lines = await bench.lines("submit")
        assert [(line["status"], line["message_id"]) for line in lines] == [
            (0, "1000"),
            (0, "1001"),
            (None, "1002"),
        ]
        second = await bench.bound()
        await eventually(lambda: len(second.delivered) == 3)
        assert (await second.submitted()).command_status == 0


async def test_a_submit_can_be_lost_with_its_connection() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("drop_on_submit", accept=False)
        esme.submit()
        assert await esme.ended() == "reset"
        (line,) = await bench.lines("submit")
        assert line["status"] is None
        assert "message_id" not in line
        assert (await bench.counters())["accepted"] == 0


@pytest.mark.parametrize(("body", "name"), [(True, "sim"), (False, "")])
async def test_binds_are_refused_with_a_status(body: bool, name: str) -> None:
    async with running() as bench:
        await bench.fault("refuse_binds", status=0x40A, body=body, count=1)
        esme = await bench.connect()
        response = await esme.bind()
        assert (response.command_status, response.text("system_id")) == (0x40A, name)
        assert await esme.ended() == "eof"
        await bench.bound()


@pytest.mark.parametrize("status", [0x14, 0x58, 0x400])
async def test_submits_are_refused_so_many_times(status: int) -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("refuse_submits", status=status, count=2)
        statuses = [(await esme.submitted()).command_status for _ in range(3)]
        assert statuses == [status, status, 0]
        counters = await bench.counters()
        assert counters["refused"] == {f"0x{status:02x}": 2}


async def test_submits_are_refused_for_a_time() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("refuse_submits", seconds=0.05)
        assert (await esme.submitted()).command_status == 0x58
        assert [line["on"] for line in await bench.logged("fault", 2)] == [True, False]
        assert (await esme.submitted()).command_status == 0


async def test_a_black_hole_answers_nothing_and_accepts_nothing() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("black_hole")
        before = len(esme.received)
        esme.submit()
        esme.write(encode_header_only(CommandId.enquire_link, 0, 77))
        esme.write(encode_header_only(0x0FFF, 0, 78))
        newcomer = await bench.connect()
        bind = asyncio.create_task(newcomer.bind())
        (line,) = await bench.logged("submit", 1)
        assert line["status"] is None
        await bench.logged("bind", 2)
        await bench.ask("DELETE", "/faults/black_hole")
        assert (await esme.submitted()).command_status == 0
        answers = [pdu for pdu in esme.received[before:] if pdu.command != "deliver_sm"]
        assert [pdu.command for pdu in answers] == ["submit_sm_resp"]
        assert not bind.done()
        bind.cancel()
        assert (await bench.counters())["accepted"] == 1


async def test_a_black_hole_may_accept_and_lose_only_the_answers() -> None:
    async with running(latency_ms=10) as bench:
        esme = await bench.bound()
        await bench.fault("black_hole", what="submits", accept=True, count=1)
        lost = esme.submit()
        assert (await esme.submitted()).command_status == 0
        await eventually(lambda: len(esme.delivered) == 2)
        assert all(pdu.sequence_number != lost for pdu in esme.received if pdu.is_response)
        lines = await bench.lines("submit")
        assert [(line["status"], line["message_id"]) for line in lines] == [
            (None, "1000"),
            (0, "1001"),
        ]


async def test_an_answer_that_is_due_in_a_black_hole_is_lost_and_says_so() -> None:
    async with running(latency_ms=30) as bench:
        esme = await bench.bound()
        sequence = esme.submit()
        await bench.logged("submit", 1)
        await bench.fault("black_hole", what="submits")
        (line,) = await bench.logged("response_lost", 1)
        assert (line["seq"], line["message_id"], line["reason"]) == (sequence, "1000", "black hole")
        assert "submit_sm_resp" not in answered(esme)


async def test_an_answer_to_a_session_that_ended_is_lost_and_says_so() -> None:
    async with running(latency_ms=30) as bench:
        esme = await bench.bound()
        esme.submit()
        await bench.logged("submit", 1)
        await esme.close()
        (line,) = await bench.logged("response_lost", 1)
        assert line["reason"] == "session ended"


async def test_only_enquire_links_can_be_swallowed() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("black_hole", what="enquire_links")
        esme.write(encode_header_only(CommandId.enquire_link, 0, 77))
        assert (await esme.submitted()).command_status == 0
        assert "enquire_link_resp" not in answered(esme)


async def test_receipts_that_a_black_hole_held_come_when_it_ends() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.ask("PUT", "/settings", {"receipt_delay_ms": 30})
        await esme.submitted()
        await bench.fault("black_hole", seconds=0.1)
        await bench.until_account(deliver_waiting=1)
        assert esme.delivered == []
        await eventually(lambda: len(esme.delivered) == 1)


async def test_injected_octets_arrive_as_they_are() -> None:
    async with running() as bench:
        esme = await bench.bound()
        octets = encode_header_only(CommandId.unbind_resp, 0x400, 4242)
        await bench.fault("inject", hex=octets.hex())
        pdu = await esme.response(4242)
        assert pdu == Pdu(CommandId.unbind_resp, 0x400, 4242)


async def test_receipts_can_be_paused() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("pause_receipts")
        for _ in range(3):
            await esme.submitted()
        await bench.until_account(deliver_waiting=3)
        assert esme.delivered == []
        await bench.ask("DELETE", "/faults/pause_receipts")
        await eventually(lambda: len(esme.delivered) == 3)


@pytest.mark.parametrize("latency_ms", [0, 20])
async def test_a_receipt_can_come_before_the_response(latency_ms: float) -> None:
    async with running(latency_ms=latency_ms) as bench:
        esme = await bench.bound()
        await bench.fault("early_receipts")
        sequence = esme.submit()
        await esme.response(sequence)
        assert answered(esme)[1:] == ["deliver_sm", "submit_sm_resp"]
        await bench.ask("DELETE", "/faults/early_receipts")
        await esme.submitted()
        await eventually(lambda: len(esme.delivered) == 2)
        assert answered(esme)[-2:] == ["submit_sm_resp", "deliver_sm"]


async def test_receipts_can_be_doubled() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("duplicate_receipts", copies=3, count=1)
        await esme.submitted()
        await esme.submitted()
        await eventually(lambda: len(esme.delivered) == 4)
        ids = [esme.deliver(index).split()[0] for index in range(4)]
        assert sorted(ids) == ["id:1000", "id:1000", "id:1000", "id:1001"]
        sequences = {pdu.sequence_number for pdu in esme.delivered}
        assert len(sequences) == 4


async def test_latency_changes_at_run_time() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.ask("PUT", "/settings", {"latency_ms": 40})
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await esme.submitted()
        assert loop.time() - begun >= 0.039


async def test_no_receipt_of_an_accepted_message_is_lost_over_many_drops() -> None:
    async with running() as bench:
        await bench.fault("drop_on_submit", after=40, count=0)
        for _ in range(8):
            esme = await bench.bound()
            for _ in range(60):
                esme.submit()
            await esme.ended()
        await bench.ask("DELETE", "/faults/drop_on_submit")
        last = await bench.bound()
        await bench.until_account(queued=0, deliver_waiting=0, deliver_unanswered=0)
        accepted = [line["message_id"] for line in await bench.lines("submit")]
        assert accepted == [str(number) for number in range(1000, 1320)]
        answered = [line["message_id"] for line in await bench.lines("answer")]
        assert sorted(answered) == accepted
        assert len(last.delivered) > 0
