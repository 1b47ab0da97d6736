"""The simulator over real loopback: binds, submits, receipts, limits."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from hermes.simulator.profile import Account
from hermes.simulator.throughput import CapKind
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.simulator_esme import eventually, running

THROTTLED, QUEUE_FULL, NOT_BOUND = 0x58, 0x14, 0x04


@pytest.mark.parametrize("mode", ["transmitter", "receiver", "transceiver"])
async def test_every_bind_type_is_answered_with_name_and_version(mode: str) -> None:
    async with running(system_id="sim-1") as bench:
        esme = await bench.connect()
        response = await esme.bind(mode)
        assert response.command_id == CommandId[f"bind_{mode}_resp"]
        assert (response.command_status, response.text("system_id")) == (0, "sim-1")
        assert response.tlv(0x0210) == b"\x34"
        (line,) = await bench.lines("bind")
        assert (line["system_id"], line["status"]) == ("tester", 0)


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [("known", "right", 0), ("known", "wrong", 0x0E), ("stranger", "right", 0x0F)],
)
async def test_only_listed_accounts_may_bind(system_id: str, password: str, status: int) -> None:
    async with running(accounts=(Account("known", "right"),)) as bench:
        esme = await bench.connect()
        response = await esme.bind(system_id=system_id, password=password)
        assert response.command_status == status
        if status:
            assert await esme.ended() == "eof"


async def test_more_sessions_than_the_account_has_are_refused() -> None:
    async with running(max_sessions=1) as bench:
        first = await bench.bound()
        second = await bench.connect()
        assert (await second.bind()).command_status == 0x05
        other = await bench.connect()
        assert (await other.bind(system_id="other")).command_status == 0
        await first.request(Pdu(CommandId.unbind, 0, first.next_sequence()))
        third = await bench.connect()
        assert (await third.bind()).command_status == 0


async def test_a_second_bind_on_a_session_is_refused_and_the_session_stays() -> None:
    async with running() as bench:
        esme = await bench.bound()
        assert (await esme.bind()).command_status == 0x05
        assert (await esme.submitted()).command_status == 0


async def test_a_connection_that_does_not_bind_is_closed() -> None:
    async with running(init_timeout_ms=30) as bench:
        bound = await bench.bound()
        silent = await bench.connect()
        assert await silent.ended() == "eof"
        assert (await bound.submitted()).command_status == 0


async def test_enquire_link_and_unbind_are_answered() -> None:
    async with running() as bench:
        esme = await bench.bound()
        pdu = Pdu(CommandId.enquire_link, 0, esme.next_sequence())
        assert (await esme.request(pdu)).command == "enquire_link_resp"
        pdu = Pdu(CommandId.unbind, 0, esme.next_sequence())
        assert (await esme.request(pdu)).command == "unbind_resp"
        assert await esme.ended() == "eof"
        (line,) = await bench.lines("unbind")
        assert line["reason"] == "unbind by the ESME"


async def test_a_submit_before_the_bind_or_on_a_receiver_is_refused() -> None:
    async with running() as bench:
        unbound = await bench.connect()
        assert (await unbound.submitted()).command_status == NOT_BOUND
        receiver = await bench.bound("receiver")
        assert (await receiver.submitted()).command_status == NOT_BOUND


async def test_the_log_tells_the_whole_life_of_a_message() -> None:
    async with running() as bench:
        esme = await bench.bound()
        await esme.submitted("447700900123", text=b"hello")
        await bench.logged("answer", 1)
        lines = [
            {key: value for key, value in line.items() if key not in ("at", "peer", "n")}
            for line in await bench.lines()
        ]
        on = {"session": 1, "system_id": "tester"}
        assert lines == [
            {"event": "start", "first_id": 1000},
            {"event": "bind", **on, "mode": "trx", "status": 0},
            {
                "event": "submit",
                **on,
                "seq": 2,
                "source": "Hermes",
                "destination": "447700900123",
                "data_coding": 0,
                "esm_class": 0,
                "registered_delivery": 1,
                "text": "hello",
                "hex": "68656c6c6f",
                "status": 0,
                "message_id": "1000",
                "stat": "UNDELIV",
            },
            {
                "event": "receipt",
                **on,
                "seq": 1,
                "message_id": "1000",
                "receipt_id": "1000",
                "destination": "447700900123",
                "stat": "UNDELIV",
                "attempt": 1,
            },
            {
                "event": "answer",
                **on,
                "seq": 1,
                "owed": "receipt",
                "message_id": "1000",
                "status": 0,
            },
        ]


async def test_responses_take_the_latency_and_keep_their_order() -> None:
    async with running(latency_ms=50) as bench:
        esme = await bench.bound()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        sequences = [esme.submit() for _ in range(20)]
        await esme.response(sequences[-1])
        assert loop.time() - begun >= 0.049
        answered = [
            pdu.sequence_number
            for pdu in esme.received
            if pdu.command_id == CommandId.submit_sm_resp
        ]
        assert answered == sequences
        (session,) = (await bench.ask("GET", "/stats"))["sessions"]
        assert (session["in_flight"], session["max_in_flight"]) == (0, 20)


@pytest.mark.parametrize("kind", CapKind)
async def test_submits_over_the_cap_are_throttled(kind: CapKind) -> None:
    async with running(tps=20, tps_kind=kind, burst_s=1.0) as bench:
        esme = await bench.bound()
        responses = [
            await esme.response(sequence) for sequence in [esme.submit() for _ in range(60)]
        ]
        counts = Counter(response.command_status for response in responses)
        assert set(counts) == {0, THROTTLED}
        # a window border or a few earned tokens may add to the burst
        assert 20 <= counts[0] <= 41
        await bench.ask("PUT", "/settings", {"tps": 0})
        assert (await esme.submitted()).command_status == 0


async def test_the_cap_is_one_for_all_sessions_of_an_account() -> None:
    async with running(tps=1, tps_kind=CapKind.bucket) as bench:
        first, second = await bench.bound(), await bench.bound()
        stranger = await bench.bound(system_id="other")
        assert (await first.submitted()).command_status == 0
        assert (await second.submitted()).command_status == THROTTLED
        assert (await stranger.submitted()).command_status == 0


async def test_submits_over_the_window_are_throttled() -> None:
    async with running(window=3, latency_ms=50) as bench:
        esme = await bench.bound()
        sequences = [esme.submit() for _ in range(5)]
        statuses = [(await esme.response(sequence)).command_status for sequence in sequences]
        assert statuses == [0, 0, 0, THROTTLED, THROTTLED]


async def test_a_full_queue_refuses_until_messages_are_final() -> None:
    async with running(queue_size=2, receipt_delay_ms=30) as bench:
        esme = await bench.bound()
        statuses = [(await esme.submitted()).command_status for _ in range(3)]
        assert statuses == [0, 0, QUEUE_FULL]
        await eventually(lambda: len(esme.delivered) == 2)
        assert (await esme.submitted(registered_delivery=0)).command_status == 0


@pytest.mark.parametrize(
    "command_id",
    [
        0x00000103,  # data_sm, not taken here
        0x00000003,  # query_sm
        0x00000111,  # broadcast_sm of SMPP 5.0
        0x00000FFF,  # nobody's
    ],
)
async def test_an_unknown_command_gets_a_generic_nack(command_id: int) -> None:
    async with running() as bench:
        esme = await bench.bound()
        esme.write(encode_header_only(command_id, 0, 77))
        nack = await esme.response(77)
        assert (nack.command, nack.command_status) == ("generic_nack", 0x03)
        assert (await esme.submitted()).command_status == 0


async def test_an_unexpected_response_is_ignored() -> None:
    async with running() as bench:
        esme = await bench.bound()
        for command_id in (0x80000005, 0x80000003, 0x80000FFF, 0x80000006):
            esme.write(encode_header_only(command_id, 0, 99))
        assert (await esme.submitted()).command_status == 0


async def test_a_broken_submit_gets_a_generic_nack() -> None:
    async with running() as bench:
        esme = await bench.bound()
        esme.write(encode_header_only(CommandId.submit_sm, 0, 77)[:3] + b"\x14")
        esme.write(encode_header_only(CommandId.submit_sm, 0, 77)[4:] + b"\x00\x01\x01\x41")
        nack = await esme.response(77)
        assert (nack.command, nack.command_status) == ("generic_nack", 0x02)
        (line,) = await bench.lines("problem")
        assert "no NUL" in line["problem"]


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x00\x00\x00\x00\x00\x00\x04",
        b"\x00\x00\x00\x0f\x00\x00\x00\x04",
        b"\x7f\xff\xff\xff\x00\x00\x00\x04",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_bad_frame_ends_the_session(octets: bytes) -> None:
    async with running() as bench:
        esme = await bench.bound()
        good = esme.submit()
        esme.write(octets)
        assert (await esme.ended()) in ("reset", "eof")
        (line,) = await bench.lines("unbind")
        assert line["reason"] == "bad frame"
        (submit,) = await bench.lines("submit")
        assert submit["seq"] == good


async def test_one_octet_at_a_time_is_as_good_as_all_at_once() -> None:
    async with running() as bench:
        esme = await bench.connect()
        bind = encode(
            Pdu(
                CommandId.bind_transceiver,
                0,
                1,
                {
                    "system_id": "a",
                    "password": "",
                    "system_type": "",
                    "interface_version": 52,
                    "addr_ton": 0,
                    "addr_npi": 0,
                    "address_range": "",
                },
            )
        )
        for index in range(len(bind)):
            esme.write(bind[index : index + 1])
            await asyncio.sleep(0)
        assert (await esme.response(1)).command_status == 0
