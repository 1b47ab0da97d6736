"""Flow: a carrier that refuses, or reads nothing for a while, costs credit and no message."""

from __future__ import annotations

import asyncio

import pytest

from hermes.ports.link import CreditChanged, Throttled
from hermes.smpp.command import CommandId
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, deliver_sm
from tests.faults.row import FAULT_AFTER, About, accept_and, now, row, submits, wire
from tests.faults.socket_loop import LATE, STALLS

pytestmark = pytest.mark.parametrize("engine", ENGINES)

SMALL = 4096
"""Octets of the buffer of a carrier that stops reading."""
LARGE = 8_000
"""Octets of the payload of a large message."""


async def test_a_throttled_submit_is_a_result_and_an_event(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(1, 2_001):
            pdu = await talk.expect(CommandId.submit_sm)
            await talk.answer(pdu, 0 if number % 20 else 0x58, message_id="1")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many(2_000)
        assert await esme.tally() == {"accepted": 1_900, "refused": 100}
        assert sorted(esme.statuses())[-101:] == [0] + [0x58] * 100
        assert [e.reference for e in esme.of(Throttled)] == [str(n) for n in range(19, 2_000, 20)]
        assert not esme.life.done()


async def test_a_full_queue_is_told_like_a_throttle(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(20):
            await talk.answer(await talk.expect(CommandId.submit_sm), 0x14, message_id="")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.tally() == {"refused": 20}
        assert [event.status for event in esme.of(Throttled)] == [0x14] * 20


async def stop_reading(talk: Conversation) -> None:
    """Bind, accept two submits, read nothing more."""
    await talk.bind()
    for pdu in await submits(talk, FAULT_AFTER - 1):
        await talk.answer(pdu, message_id="1")
    wire(talk).pause_reading()


async def accept_rest(talk: Conversation) -> None:
    """Read again and accept all that comes."""
    wire(talk).resume_reading()
    while True:
        pdu = await talk.read()
        if pdu.command == "submit_sm":
            await talk.answer(pdu, message_id="1")
        else:
            await talk.answer(pdu)


async def test_a_carrier_that_reads_nothing_for_two_seconds_gets_all_afterwards(
    engine: str,
) -> None:
    async def script(talk: Conversation) -> None:
        await stop_reading(talk)
        await asyncio.sleep(2.0)
        await accept_rest(talk)

    async with row(engine, script, room=SMALL, window=50) as esme:
        await esme.bound()
        began = now()
        for number in range(50):
            esme.send(payload=bytes(LARGE), reference=str(number))
        assert esme.link.credit == 0
        await asyncio.sleep(1.0)
        assert esme.link.credit == 2
        for _ in range(2):
            esme.send(payload=bytes(LARGE))
        assert esme.link.credit == 0
        assert await esme.tally() == {"accepted": 52}
        assert now() - began == About(2.0, 0.1)
        assert esme.of(CreditChanged)[-1] == CreditChanged(50)
        assert not esme.life.done()


async def test_timers_run_while_a_carrier_reads_nothing(engine: str) -> None:
    """What was written times out; what cannot even be written is held, its slot with it."""

    async def script(talk: Conversation) -> None:
        await stop_reading(talk)
        await asyncio.sleep(15.0)
        await accept_rest(talk)

    async with row(engine, script, room=SMALL, window=50) as esme:
        await esme.bound()
        began = now()
        for number in range(50):
            esme.send(payload=bytes(LARGE), reference=str(number))
        await esme.until(lambda: esme.link.credit > 2)
        assert now() - began == About(3.0, 0.1)
        tally = await esme.tally()
        assert set(tally) == {"accepted", "NoResponse"}
        assert tally["NoResponse"] >= 5, "about 64 KiB are written ahead"
        assert now() - began == About(15.0, 0.1)
        assert not esme.life.done()


async def test_a_carrier_that_never_reads_again_is_given_up_by_enquire_link(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await stop_reading(talk)
        await asyncio.sleep(60.0)

    async with row(
        engine,
        script,
        room=SMALL,
        window=50,
        enquire_interval=2.0,
        enquire_timeout=1.0,
        response_timeout=60.0,
    ) as esme:
        await esme.bound()
        began = now()
        for number in range(50):
            esme.send(payload=bytes(LARGE), reference=str(number))
        assert await esme.reason(10) == "enquire_link unanswered for 1.0 s"
        assert now() - began == About(3.0, 0.1)
        tally = await esme.tally()
        assert tally["accepted"] == 2
        assert tally["Lost"] + tally["NotSent"] == 48
        assert tally["NotSent"] > 30, "only what the buffers took was written"


@pytest.mark.parametrize("timeout", [0.5, 5.0])
async def test_drain_ends_in_time_while_a_carrier_reads_nothing(
    engine: str, timeout: float
) -> None:
    async def script(talk: Conversation) -> None:
        await stop_reading(talk)
        await asyncio.sleep(60.0)

    async with row(engine, script, room=SMALL, window=50, response_timeout=60.0) as esme:
        await esme.bound()
        for number in range(50):
            esme.send(payload=bytes(LARGE), reference=str(number))
        await asyncio.sleep(0.1)
        began = now()
        await esme.link.drain(timeout)
        assert now() - began <= timeout + 3.0 + LATE
        assert await esme.reason() == "drained"
        tally = await esme.tally()
        assert tally["accepted"] == 2
        assert tally["Lost"] + tally["NotSent"] == 48


async def test_ten_thousand_deliver_sm_at_once_hold_no_submit_up(engine: str) -> None:
    acks: list[Pdu] = []
    burst = [deliver_sm(n, b"id:%d stat:DELIVRD" % n) for n in range(1, 10_001)]
    timer = 3.0 + STALLS
    async with row(engine, accept_and(*burst, seen=acks), response_timeout=timer) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        await esme.until(lambda: len(acks) == 10_000)
        assert [ack.sequence_number for ack in acks] == list(range(1, 10_001))
        assert {(ack.command, ack.command_status) for ack in acks} == {("deliver_sm_resp", 0)}


async def test_deliver_sm_are_read_and_answered_while_no_submit_gets_out(engine: str) -> None:
    """A carrier that waits for its own answers before it reads submits is no deadlock."""
    acks: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await accept_all_after_acks(talk, acks)

    async with row(engine, script, room=SMALL, window=20) as esme:
        await esme.bound()
        await esme.submit_many(200)
        assert await esme.all_accepted(200)
        assert len(acks) == 200


async def accept_all_after_acks(talk: Conversation, acks: list[Pdu]) -> None:
    """Answer a submit only once the receipt sent for it is answered."""
    waiting: dict[int, Pdu] = {}
    while True:
        pdu = await talk.read()
        if pdu.command == "submit_sm":
            waiting[len(waiting)] = pdu
            await talk.send(deliver_sm(len(waiting) - 1, b"id:1 stat:DELIVRD"))
        elif pdu.command == "deliver_sm_resp":
            acks.append(pdu)
            await talk.answer(waiting[pdu.sequence_number], message_id="1")
        else:
            await talk.answer(pdu)
