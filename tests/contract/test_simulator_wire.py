"""What the simulator can do to a connection, beside dropping it: stalls, pieces, foreign octets."""

from __future__ import annotations

import asyncio

import pytest

from hermes.simulator.profile import ReceiptMode
from hermes.smpp.command import CommandId
from hermes.smpp.data_coding import Alphabet
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag
from tests.contract.simulator_esme import DEADLINE_S, eventually, running

PAYLOAD = Tlv(TlvTag.message_payload, bytes(60_000))


async def test_a_stalled_simulator_is_felt_by_the_esme_and_answers_all_when_it_reads_again() -> (
    None
):
    async with running(receipts=ReceiptMode.none, default_alphabet=Alphabet.BINARY) as bench:
        esme = await bench.bound()
        await bench.fault("stall")
        sequences: list[int] = []
        async with asyncio.timeout(DEADLINE_S):
            while not esme.unsent:
                sequences.append(esme.submit(text=b"", tlvs=(PAYLOAD,)))
                await asyncio.sleep(0)
        assert await bench.lines("submit") == []
        assert all(not pdu.command.startswith("submit") for pdu in esme.received)
        await bench.lift("stall")
        await esme.response(sequences[-1])
        assert (await bench.counters())["accepted"] == len(sequences)


async def test_a_stall_ends_after_its_time_and_hits_those_who_bind_later_too() -> None:
    async with running() as bench:
        await bench.fault("stall", seconds=0.1, system_id="tester")
        other = await bench.bound(system_id="other")
        assert (await other.submitted()).command_status == 0
        esme = await bench.bound()  # the bind was read before the name was known
        assert (await esme.submitted()).command_status == 0
        _, off = await bench.lines("fault")
        before, after = await bench.lines("submit")
        assert before["n"] < off["n"] < after["n"]


async def test_pdus_come_in_pieces_and_are_whole() -> None:
    async with running() as bench:
        await bench.fault("dribble", octets=1)
        esme = await bench.bound()
        assert (await esme.submitted()).text("message_id") == "1000"
        await eventually(lambda: len(esme.delivered) == 1)
        await bench.logged("answer", 1)


async def test_half_a_response_comes_and_the_connection_closes() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("drop_on_submit", after=2, octets=10, how="fin")
        assert (await esme.submitted(registered_delivery=0)).command_status == 0
        esme.submit()
        assert await esme.ended() == "eof"
        whole = encode(Pdu(CommandId.submit_sm_resp, 0, 3, {"message_id": "1001"}))
        assert esme.octets[len(b"".join(esme.frames)) :] == whole[:10]
        lines = await bench.lines("submit")
        assert [line["status"] for line in lines] == [0, None]
        assert lines[1]["message_id"] == "1001"


async def test_a_bind_is_accepted_and_the_session_ends_at_once_again_and_again() -> None:
    async with running() as bench:
        await bench.fault("drop_on_bind", count=2)
        for _ in range(2):
            esme = await bench.connect()
            assert (await esme.bind()).command_status == 0
            assert await esme.ended() == "eof"
        esme = await bench.bound()
        assert (await esme.submitted()).command_status == 0
        reasons = [line["reason"] for line in await bench.lines("unbind")]
        assert reasons == ["fault drop_on_bind"] * 2


async def test_octets_are_injected_at_the_third_submit_before_its_answer() -> None:
    async with running(receipts=ReceiptMode.none) as bench:
        esme = await bench.bound()
        alert = encode_header_only(CommandId.unbind_resp, 0x400, 4242)
        await bench.fault("inject", hex=alert.hex(), after=3)
        sequences = [esme.submit() for _ in range(7)]
        await esme.response(sequences[-1])
        order = [pdu.sequence_number for pdu in esme.received[1:]]
        assert order == [*sequences[:2], 4242, *sequences[2:]]


async def test_octets_take_the_place_of_an_answer_under_its_sequence_number() -> None:
    async with running() as bench:
        esme = await bench.bound()
        odd = encode(Pdu(CommandId.query_sm_resp, 0x45))
        await bench.fault("inject", hex=odd.hex(), after=2, instead=True, count=0)
        commands = [(await esme.submitted()).command for _ in range(4)]
        assert commands == ["submit_sm_resp", "query_sm_resp"] * 2
        lines = await bench.lines("submit")
        assert [line["status"] for line in lines] == [0, None, 0, None]
        assert [line["message_id"] for line in lines] == ["1000", "1001", "1002", "1003"]


async def test_a_bind_is_answered_by_the_wrong_command_and_is_no_bind() -> None:
    async with running() as bench:
        wrong = encode(Pdu(CommandId.bind_receiver_resp, 0, 0, {"system_id": "x"}))
        await bench.fault("inject", hex=wrong.hex(), after=1, at="bind", instead=True)
        esme = await bench.connect()
        assert (await esme.bind()).command == "bind_receiver_resp"
        assert (await esme.submitted()).command_status == 0x04
        (line,) = await bench.lines("bind")
        assert line["status"] is None
        await bench.bound()


async def test_an_injection_in_place_of_an_answer_needs_to_know_which() -> None:
    async with running() as bench:
        status, answer = await bench.call("POST", "/faults/inject", {"hex": "00", "instead": True})
        assert status == 400
        assert answer["error"]["rule"] == "instead needs an after of 1 or more"


async def test_an_outbind_comes_into_the_session() -> None:
    async with running(system_id="sim-1") as bench:
        esme = await bench.connect()
        await bench.fault("outbind", password="secret")
        await eventually(lambda: bool(esme.received))
        (pdu,) = esme.received
        assert pdu == Pdu(
            CommandId.outbind, 0, pdu.sequence_number, {"system_id": "sim-1", "password": "secret"}
        )
        assert (await esme.bind()).command_status == 0


async def test_a_flood_of_enquire_links_comes_so_many_times_and_is_answered() -> None:
    async with running() as bench:
        esme, other = await bench.bound(), await bench.bound(system_id="other")
        await bench.fault("enquire_flood", rate=50_000, count=500, system_id="tester")
        await eventually(lambda: len(esme.received) == 501)
        assert (await esme.submitted(registered_delivery=0)).command_status == 0
        counters = await bench.counters()
        assert counters["enquire_links_sent"] == counters["enquire_links_answered"] == 500
        assert counters["problems"] == 0
        assert (await bench.ask("GET", "/stats"))["faults"] == {}
        assert len(other.received) == 1


async def test_a_flood_keeps_its_rate_for_its_time() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await bench.fault("enquire_flood", rate=200, seconds=0.2)
        await bench.logged("fault", 2)
        sent = (await bench.counters())["enquire_links_sent"]
        assert 5 <= sent <= 41
        await eventually(lambda: len(esme.received) == 1 + sent)


async def test_the_simulator_asks_whether_the_esme_lives_and_ends_a_session_that_is_silent() -> (
    None
):
    async with running(enquire_ms=80) as bench:
        silent, alive = await bench.bound(), await bench.bound()
        silent.answers_enquiries = False
        assert await silent.ended() == "reset"
        asked = len(alive.received)
        await eventually(lambda: len(alive.received) > asked + 3)
        assert alive.end is None
        (line,) = await bench.lines("unbind")
        assert (line["session"], line["reason"]) == (1, "enquire_link unanswered")


async def test_the_simulator_asks_as_soon_as_the_setting_says_so_and_until_it_does_not() -> None:
    async with running(enquire_ms=60_000) as bench:
        esme = await bench.bound()
        await bench.set(enquire_ms=30)
        await eventually(lambda: len(esme.received) > 3)
        await bench.set(enquire_ms=0)
        sent = (await bench.counters())["enquire_links_sent"]
        await bench.set(enquire_ms=30)
        await bench.ask("POST", "/reset")
        assert (await bench.ask("GET", "/settings"))["enquire_ms"] == 60_000
        assert sent >= 3
        assert (await esme.submitted()).command_status == 0


@pytest.mark.parametrize("fault", ["stall", "black_hole"])
async def test_a_simulator_that_is_deaf_by_a_fault_does_not_blame_the_esme(fault: str) -> None:
    async with running(enquire_ms=50) as bench:
        esme = await bench.bound()
        await eventually(lambda: len(esme.received) > 1)
        await bench.fault(fault, seconds=0.2)
        await bench.logged("fault", 2)
        assert (await esme.submitted()).command_status == 0
        assert await bench.lines("unbind") == []


async def test_every_frame_of_both_ways_is_logged_on_request() -> None:
    async with running() as bench:
        await bench.set(frames=True)
        esme = await bench.bound()
        sequence = esme.submit()
        await bench.logged("answer", 1)
        frames = [(line["way"], line["hex"]) for line in await bench.lines("frame")]
        assert [way for way, _ in frames] == ["in", "out", "in", "out", "out", "in"]
        assert [octets for way, octets in frames if way == "out"] == [f.hex() for f in esme.frames]
        assert frames[2][1][24:32] == f"{sequence:08x}"
