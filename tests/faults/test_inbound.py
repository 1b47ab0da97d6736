"""Receipts, TLVs and MO: whatever has a sane header is answered 0 and delivered as it came."""

from __future__ import annotations

import asyncio

import pytest

from hermes.ports.link import Bound
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu
from hermes.smpp.receipt_text import is_receipt, parse_receipt
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, deliver_sm
from tests.faults.deliver_frames import DATA_SM, MO, RECEIPTS, SEQUENCE, TLVS, Case
from tests.faults.row import accept_and, row, submits

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def deliver_one(engine: str, case: Case) -> None:
    """Answered 0 with its own kind and sequence, raw to the application, 20 accepted, one bind."""
    seen: list[Pdu] = []
    async with row(engine, accept_and(case.frame, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        await esme.until(lambda: bool(seen))
        (answer,) = seen
        is_data = int.from_bytes(case.frame[4:8], "big") == DATA_SM
        assert answer.command == ("data_sm_resp" if is_data else "deliver_sm_resp")
        assert (answer.command_status, answer.sequence_number) == (0, SEQUENCE)
        assert answer.fields == {"message_id": ""}
        (inbound,) = esme.inbound
        assert inbound.frame == case.frame
        pdu, problems = decode_tolerant(inbound.frame)
        assert (problems == ()) == case.is_whole
        assert is_receipt(pdu) == bool(case.id)
        parsed = parse_receipt(pdu)
        if case.id:
            assert parsed.id == case.id
        if case.stat:
            assert parsed.stat == case.stat


@pytest.mark.parametrize("case", RECEIPTS)
async def test_a_receipt_of_any_form_is_answered_and_delivered(engine: str, case: str) -> None:
    await deliver_one(engine, RECEIPTS[case])


@pytest.mark.parametrize("case", TLVS)
async def test_broken_tlvs_cost_nothing_but_themselves(engine: str, case: str) -> None:
    await deliver_one(engine, TLVS[case])


@pytest.mark.parametrize("case", MO)
async def test_an_mo_of_any_form_is_answered_and_delivered(engine: str, case: str) -> None:
    await deliver_one(engine, MO[case])


async def test_a_receipt_may_come_before_the_response(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        waiting: dict[int, Pdu] = {}
        while True:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                number = len(waiting)
                waiting[number] = pdu
                await talk.send(deliver_sm(number, b"id:%d stat:DELIVRD err:000" % number))
            elif pdu.is_response:
                number = pdu.sequence_number
                await talk.answer(waiting[number], message_id=str(number))
            else:
                await talk.answer(pdu)

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        receipts = [parse_receipt(decode_tolerant(one.frame)[0]).id for one in esme.inbound]
        assert receipts == [future.result().message_id for future in esme.submits]


async def test_a_receipt_sent_twice_is_delivered_and_answered_twice(engine: str) -> None:
    """Which of them counts is decided where they are stored."""
    seen: list[Pdu] = []
    twice = encode(deliver_sm(7, b"id:1 stat:DELIVRD")) * 2
    async with row(engine, accept_and(twice, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        await esme.until(lambda: len(seen) == 2)
        assert [(pdu.sequence_number, pdu.command_status) for pdu in seen] == [(7, 0)] * 2
        assert len(esme.inbound) == 2


async def test_a_receipt_unanswered_in_one_session_is_answered_in_the_next(engine: str) -> None:
    """A carrier resends after each bind until it has its answer, under any sequence number."""
    acks: list[Pdu] = []
    sessions = 0

    async def script(talk: Conversation) -> None:
        nonlocal sessions
        sessions += 1
        await talk.bind()
        await talk.send(deliver_sm(100 + sessions, b"id:1 stat:DELIVRD"))
        if sessions == 1:
            await asyncio.sleep(1.0)
            talk.reset()
            return
        acks.append(await talk.read())
        while True:
            (pdu,) = await submits(talk, 1)
            await talk.answer(pdu, message_id="1")

    async with row(engine, script, answer=False, lives=2) as esme:
        await esme.bound()
        await esme.until(esme.life.done)
        assert (await esme.reason()).startswith("connection lost")
        esme.life = asyncio.create_task(esme.link.run())
        await esme.until(lambda: len(esme.inbound) == 2)
        assert len(esme.of(Bound)) == 2
        for inbound in esme.inbound:
            esme.link.answer(inbound, 0)
        await esme.until(lambda: bool(acks))
        assert [(ack.sequence_number, ack.command_status) for ack in acks] == [(102, 0)]
        await esme.submit_many()
        assert await esme.tally() == {"accepted": 20}


async def test_receipts_of_one_turn_are_answered_in_any_order(engine: str) -> None:
    acks: list[Pdu] = []
    burst = [deliver_sm(n, b"id:%d stat:DELIVRD" % n) for n in range(1, 501)]
    async with row(engine, accept_and(*burst, seen=acks), answer=False) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted(), "unanswered receipts hold no submit up"
        for inbound in reversed(esme.inbound):
            esme.link.answer(inbound, 0x64 if inbound.sequence % 10 == 0 else 0)
        await esme.until(lambda: len(acks) == 500)
        assert [(a.sequence_number, a.command_status) for a in acks] == [
            (n, 0x64 if n % 10 == 0 else 0) for n in range(500, 0, -1)
        ]
