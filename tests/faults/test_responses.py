"""Responses: in any order, missing, late, double or odd, each submit has one outcome in time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from hermes.ports.link import Congestion, LateResponse, Problem
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, Script, answer_to
from tests.faults.row import FAULT_AFTER, About, now, row, submits

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def name_of(pdu: Pdu) -> str:
    return pdu.octets("short_message").decode()


async def test_responses_reversed_in_groups_of_five_reach_their_submits(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(4):
            group = await submits(talk, 5)
            for pdu in reversed(group):
                await talk.answer(pdu, message_id=name_of(pdu))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        ids = [future.result().message_id for future in esme.submits]
        assert ids == [f"message {n}" for n in range(20)]


def every_tenth_missing() -> Script:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(1, 101):
            pdu = await talk.expect(CommandId.submit_sm)
            if number % 10:
                await talk.answer(pdu, message_id=str(number))
        await talk.answer(await talk.expect(CommandId.unbind))
        await talk.closed()

    return script


async def test_every_tenth_response_missing_costs_a_slot_until_its_timer(engine: str) -> None:
    async with row(
        engine, every_tenth_missing(), window=10, enquire_interval=600.0, response_timeout=3.0
    ) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many(100)
        assert await esme.tally() == {"accepted": 90, "NoResponse": 10}
        assert now() - began == About(3.0, 0.1), "the other slots went on"
        assert not esme.life.done()
        assert esme.link.credit == 10
        await esme.link.drain()
        assert await esme.reason() == "drained"


async def test_a_window_of_one_moves_on_after_each_timer(engine: str) -> None:
    async with row(
        engine, every_tenth_missing(), window=1, enquire_interval=600.0, response_timeout=3.0
    ) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many(100)
        assert await esme.tally() == {"accepted": 90, "NoResponse": 10}
        assert now() - began == About(30.0, 0.1)
        assert not esme.life.done()
        await esme.link.drain()


async def test_a_late_response_is_an_event_and_frees_no_second_slot(engine: str) -> None:
    held: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(1, 21):
            (pdu,) = await submits(talk, 1)
            if number == FAULT_AFTER:
                held.append(pdu)
            else:
                await talk.answer(pdu, message_id=str(number))
        await asyncio.sleep(4.0)
        await talk.answer(held[0], message_id="late")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.tally() == {"accepted": 19, "NoResponse": 1}
        assert esme.of(LateResponse) == []
        await esme.until(lambda: bool(esme.of(LateResponse)))
        (event,) = esme.of(LateResponse)
        assert (event.reference, event.result.message_id) == ("2", "late")
        assert event.result.latency == About(4.0, 0.1)
        assert esme.link.credit == 5
        assert not esme.life.done()


async def test_a_late_response_while_the_window_is_full_frees_no_slot(engine: str) -> None:
    held: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        held.extend(await submits(talk, 10))
        await talk.answer(held[0], message_id="late")
        await talk.answer(held[5], message_id="5")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many(10)
        await esme.until(lambda: bool(esme.of(LateResponse)))
        await asyncio.sleep(0.1)
        assert esme.link.credit == 1
        assert await esme.tally() == {"accepted": 1, "NoResponse": 9}


async def test_a_second_response_is_ignored(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(1, 21):
            pdu = await talk.expect(CommandId.submit_sm)
            first, second = answer_to(pdu, message_id=str(number)), answer_to(pdu, 0x45)
            await talk.send(first, second)
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        assert [f.result().message_id for f in esme.submits] == [str(n) for n in range(1, 21)]
        await esme.until(lambda: len(esme.of(Problem)) == 20)
        assert esme.link.credit == 5


BODIES = {
    "tlv after id": (b"7\0\x04\x24\0\x01A", "7", b"\x04\x24\0\x01A"),
    "cut tlv after id": (b"7\0\x04\x24\0\x09A", "7", b"\x04\x24\0\x09A"),
    "no NUL": (b"abc", "abc", b""),
    "id of 70": (b"x" * 70 + b"\0", "x" * 70, b""),
    "8-bit id": (b"\xe9\xff\0", "éÿ", b""),
    "empty id": (b"\0", "", b""),
    "no body": (b"", "", b""),
}


@pytest.mark.parametrize("body", BODIES)
async def test_the_id_is_read_from_any_body(engine: str, body: str) -> None:
    octets, message_id, tlvs = BODIES[body]

    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(20):
            pdu = await talk.expect(CommandId.submit_sm)
            head = encode_header_only(CommandId.submit_sm_resp, 0, pdu.sequence_number)
            await talk.send((16 + len(octets)).to_bytes(4, "big") + head[4:] + octets)
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        results = [future.result() for future in esme.submits]
        assert {(r.message_id, r.tlvs) for r in results} == {(message_id, tlvs)}


@pytest.mark.parametrize("status", [0x45, 0x58, 0x400])
async def test_an_error_may_have_a_body(engine: str, status: int) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(20):
            pdu = await talk.expect(CommandId.submit_sm)
            await talk.answer(pdu, status, message_id="9")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.tally() == {"refused": 20}
        assert esme.statuses() == [status] * 20


@pytest.mark.parametrize("status", [0, 0x58])
async def test_congestion_in_any_response_is_an_event(engine: str, status: int) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for level in range(20):
            pdu = await talk.expect(CommandId.submit_sm)
            tlv = Tlv.integer(TlvTag.congestion_state, 5 * level)
            answer = answer_to(pdu, status, message_id="1")
            await talk.send(replace(answer, tlvs=(tlv,)))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert len(await esme.tally()) == 1
        assert esme.of(Congestion) == [Congestion(5 * level) for level in range(20)]
