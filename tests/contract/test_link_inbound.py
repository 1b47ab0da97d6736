"""A link engine answers what the carrier sends, known or not, and stays bound."""

from __future__ import annotations

import asyncio
import random

import pytest

from hermes.ports.link import (
    Notified,
    Problem,
)
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES, client
from tests.contract.scripted_smsc import Conversation, deliver_sm, smsc

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def test_unknown_pdus_are_answered_or_ignored_and_the_link_stays(engine: str) -> None:
    answers: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.send(
            encode_header_only(0x0000_0111, 0, 71),  # broadcast_sm of 5.0
            encode_header_only(0x0000_0999, 0, 72),
            encode_header_only(0x8000_0999, 0, 73),
            encode_header_only(CommandId.submit_sm_resp, 0, 74),
            encode_header_only(CommandId.query_sm_resp, 0, 75),
            encode_header_only(CommandId.outbind, 0, 76),
            encode_header_only(CommandId.alert_notification, 0, 77),
            encode_header_only(CommandId.enquire_link, 0xDEAD, 0xFFFF_FFFF),
        )
        answers.extend([await talk.read() for _ in range(3)])
        await talk.answer(await talk.expect(CommandId.submit_sm), message_id="1")
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.until(lambda: len(answers) == 3)
        esme.send()
        assert await esme.outcomes() == {"accepted": 1}
        told = [(a.command, a.command_status, a.sequence_number) for a in answers]
        assert told == [
            ("generic_nack", 3, 71),
            ("generic_nack", 3, 72),
            ("enquire_link_resp", 0, 0xFFFF_FFFF),
        ]
        assert len(esme.of(Problem)) == 5
        assert [event.command_id for event in esme.of(Notified)] == [0x0B, 0x102]
        assert not esme.life.done()


async def test_500_deliver_sm_are_answered_in_any_order(engine: str) -> None:
    answers: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        receipts = [deliver_sm(1000 + n, b"id:%d stat:DELIVRD" % n) for n in range(500)]
        await talk.send(*receipts)
        while len(answers) < 500:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                await talk.answer(pdu, message_id="1")
            else:
                answers.append(pdu)
        await talk.closed()

    async with smsc(script) as port, client(engine, port, answer=False) as esme:
        await esme.bound()
        await esme.until(lambda: len(esme.inbound) == 500)
        await asyncio.wait_for(esme.submit(), 5)  # unanswered receipts hold nothing up
        assert answers == []
        shuffled = list(enumerate(esme.inbound))
        random.Random(7).shuffle(shuffled)
        for number, inbound in shuffled:
            esme.link.answer(inbound, 0x64 if number % 10 == 0 else 0)
        await esme.until(lambda: len(answers) == 500)
        assert all(answer.command == "deliver_sm_resp" for answer in answers)
        assert [a.sequence_number for a in answers] == [1000 + n for n, _ in shuffled]
        assert [a.command_status for a in answers] == [
            0x64 if n % 10 == 0 else 0 for n, _ in shuffled
        ]


async def test_a_data_sm_gets_its_own_kind_of_answer(engine: str) -> None:
    answers: list[Pdu] = []
    body = b"\0\x01\x01447700900123\0\x05\0HERMES\0\x04\0\0\x00\x1e\x00\x02a\0"
    frame = (16 + len(body)).to_bytes(4, "big") + encode_header_only(0x103, 0, 9)[4:] + body

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.send(frame, frame[:20])
        answers.append(await talk.read())
        await talk.send(frame[20:])
        answers.append(await talk.read())
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.until(lambda: len(answers) == 2)
        assert [answer.command for answer in answers] == ["data_sm_resp"] * 2
        assert [inbound.frame for inbound in esme.inbound] == [frame, frame]
