"""A link engine binds, ends for any reason, and hands back what it held."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hermes.ports.link import (
    BindRefused,
    NotSent,
    RttMeasured,
)
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES, client, outcome
from tests.contract.scripted_smsc import Conversation, accept_all, answer_to, deliver_sm, smsc

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.mark.parametrize("mode", ["tx", "rx", "trx"])
async def test_a_bind_carries_the_settings_a_long_password_included(engine: str, mode: str) -> None:
    seen: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        seen.append(await talk.bind())
        await talk.closed()

    password, address_range = "longer than eight", "44*"
    async with (
        smsc(script) as port,
        client(
            engine,
            port,
            mode=mode,
            password=password,
            system_type="VMA",
            addr_ton=1,
            address_range=address_range,
        ) as esme,
    ):
        await esme.bound()
        assert (esme.link.credit > 0) == (mode != "rx")
    (bind,) = seen
    names = {"tx": "bind_transmitter", "rx": "bind_receiver", "trx": "bind_transceiver"}
    assert (bind.command, bind.fields) == (
        names[mode],
        {
            "system_id": "esme",
            "password": "longer than eight",
            "system_type": "VMA",
            "interface_version": 0x34,
            "addr_ton": 1,
            "addr_npi": 0,
            "address_range": "44*",
        },
    )


@pytest.mark.parametrize("body", [b"", b"SCRIPT\0"])
@pytest.mark.parametrize("status", [0x0E, 0x05, 0x40A])
async def test_a_refused_bind_tells_its_status(engine: str, status: int, body: bytes) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        head = encode_header_only(0x8000_0009, status, bind.sequence_number)
        await talk.send((16 + len(body)).to_bytes(4, "big") + head[4:] + body)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        with pytest.raises(BindRefused) as caught:
            await esme.reason()
        assert caught.value.status == status


async def test_a_wrong_answer_to_the_bind_refuses_it(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        await talk.send(encode_header_only(CommandId.generic_nack, 0, bind.sequence_number))
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        with pytest.raises(BindRefused) as caught:
            await esme.reason()
        assert caught.value.status == 0x03


async def test_a_bind_that_is_never_answered_times_out(engine: str) -> None:
    async with smsc(Conversation.closed) as port, client(engine, port, bind_timeout=0.2) as esme:
        with pytest.raises(TimeoutError):
            await esme.reason()


async def test_a_connection_closed_during_the_bind_is_an_os_error(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.read()
        talk.close()

    async with smsc(script) as port, client(engine, port) as esme:
        with pytest.raises(OSError, match="before the bind"):
            await esme.reason()


async def test_an_unreachable_carrier_is_an_os_error(engine: str) -> None:
    async with smsc(accept_all) as port:
        pass
    async with client(engine, port) as esme:
        with pytest.raises(OSError):
            await esme.reason()
        assert outcome(esme.submit()) == "NotSent"


GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    bytes(4),
    (15).to_bytes(4, "big") + bytes(11),
    (1 << 31).to_bytes(4, "big") + bytes(12),
]


@pytest.mark.parametrize("octets", GARBAGE)
async def test_octets_that_are_no_smpp_end_the_link_and_lose_what_is_in_flight(
    engine: str, octets: bytes
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(3):
            await talk.expect(CommandId.submit_sm)
        await talk.send(octets)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        for _ in range(5):
            esme.send()
        assert "command_length" in await esme.reason()
        assert await esme.outcomes() == {"Lost": 5}


async def test_half_a_response_and_a_close_lose_what_is_in_flight(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        first = await talk.expect(CommandId.submit_sm)
        second = await talk.expect(CommandId.submit_sm)
        await talk.answer(first, message_id="1")
        await talk.send(encode(answer_to(second, message_id="2"))[:17])
        talk.close()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(20)
        assert await esme.reason() == "connection closed inside a PDU, 17 octets of it came"
        tally = await esme.outcomes()
        assert (tally["accepted"], tally.total()) == (1, 20)
        # 5 were in flight; the one more the accepted one let out may have been written or not
        assert 4 <= tally["Lost"] <= 5
        assert tally["NotSent"] == 19 - tally["Lost"]


async def test_a_reset_loses_what_was_written_and_hands_the_rest_back(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(3):
            await talk.answer(await talk.expect(CommandId.submit_sm), message_id="1")
        for _ in range(5):
            await talk.expect(CommandId.submit_sm)
        talk.reset()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(8)
        assert (await esme.reason()).startswith("connection lost")
        esme.send()
        assert await esme.outcomes() == {"accepted": 3, "Lost": 5, "NotSent": 1}
        assert isinstance(esme.submits[-1].exception(), NotSent)


async def test_a_drain_in_the_same_breath_as_a_submit_hands_it_back(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        esme.send()
        await esme.link.drain()
        assert await esme.reason() == "drained"
        assert await esme.outcomes() == {"NotSent": 1}


async def test_an_unbind_by_the_carrier_is_answered_and_ends_the_link(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(5):
            await talk.expect(CommandId.submit_sm)
        await talk.send(encode_header_only(CommandId.unbind, 0, 5))
        response = await talk.expect(CommandId.unbind_resp)
        assert (response.command_status, response.sequence_number) == (0, 5)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(5)
        assert await esme.reason() == "peer unbind"
        assert await esme.outcomes() == {"Lost": 5}


async def test_enquire_link_measures_the_round_trip_and_its_silence_ends_the_link(
    engine: str,
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.expect(CommandId.submit_sm)
        await talk.answer(await talk.expect(CommandId.enquire_link))
        nacked = await talk.expect(CommandId.enquire_link)
        await talk.send(encode_header_only(CommandId.generic_nack, 3, nacked.sequence_number))
        await talk.closed()

    async with (
        smsc(script) as port,
        client(engine, port, enquire_interval=0.1, enquire_timeout=0.2) as esme,
    ):
        await esme.bound()
        esme.send()
        assert await esme.reason() == "enquire_link unanswered for 0.2 s"
        assert len(esme.of(RttMeasured)) == 2
        assert await esme.outcomes() == {"Lost": 1}


async def test_drain_waits_for_what_is_in_flight_and_unbinds(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        pdus = [await talk.expect(CommandId.submit_sm) for _ in range(5)]
        await esme_drains.wait()
        for pdu in pdus:
            await talk.answer(pdu, message_id="1")
        await talk.answer(await talk.expect(CommandId.unbind))
        await talk.closed()

    esme_drains = asyncio.Event()
    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(5)
        draining = asyncio.create_task(esme.link.drain())
        await esme.until(lambda: esme.link.credit == 0)
        esme_drains.set()
        await asyncio.wait_for(draining, 5)
        assert await esme.reason() == "drained"
        assert await esme.outcomes() == {"accepted": 5}


async def test_drain_ends_when_nothing_is_answered(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(5)
        await asyncio.wait_for(esme.link.drain(0.1), 3)
        assert await esme.reason() == "drained"
        assert await esme.outcomes() == {"Lost": 5}


async def test_a_carrier_that_closes_on_unbind_is_drained(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.expect(CommandId.unbind)
        talk.close()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await asyncio.wait_for(esme.link.drain(), 1)
        assert await esme.reason() == "drained"


async def test_refused_binds_leave_no_descriptor_and_no_task(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.answer(await talk.read(), 0x0E)

    descriptors = Path("/proc/self/fd")
    async with smsc(script) as port:
        counts: list[int] = []
        for _ in range(100):
            async with client(engine, port) as esme:
                with pytest.raises(BindRefused):
                    await esme.reason()
            counts.append(len(list(descriptors.iterdir())))
    assert max(counts[50:]) <= max(counts[:50]) + 2


async def test_cancel_under_back_pressure_returns_in_bounded_time(engine: str) -> None:
    stop = asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await stop.wait()

    async with smsc(script) as port, client(engine, port, window=2_000) as esme:
        await esme.bound()
        for _ in range(2_000):
            esme.send(payload=bytes(8_000))
        await esme.until(lambda: esme.link.credit == 0)
        started = asyncio.get_running_loop().time()
        esme.life.cancel()
        tally = await esme.outcomes()
        await asyncio.wait([esme.life])
        assert asyncio.get_running_loop().time() - started < 5.0
        assert tally.total() == tally["Lost"] + tally["NotSent"] == 2_000
        assert tally["NotSent"] > 0
        stop.set()


async def test_a_link_runs_again_and_old_inbound_is_not_answered_in_the_new_life(
    engine: str,
) -> None:
    lives: list[list[Pdu]] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        seen: list[Pdu] = []
        lives.append(seen)
        await talk.send(deliver_sm(len(lives), b"hello", esm_class=0))
        while True:
            pdu = await talk.read()
            seen.append(pdu)
            await talk.answer(pdu)

    async with smsc(script) as port, client(engine, port, answer=False) as esme:
        await esme.bound()
        await esme.until(lambda: len(esme.inbound) == 1)
        await esme.link.drain()
        esme.life = asyncio.create_task(esme.link.run())
        await esme.until(lambda: len(esme.inbound) == 2)
        for inbound in esme.inbound:
            esme.link.answer(inbound, 0)
        await esme.until(lambda: len(lives[1]) == 1)
        assert [pdu.command for pdu in lives[0]] == ["unbind"]
        assert lives[1][0].sequence_number == 2
