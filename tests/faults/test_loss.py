"""Loss: however a session ends, what was written is lost, the rest was never sent."""

from __future__ import annotations

import asyncio

import pytest

from hermes.ports.link import NotSent, RttMeasured, Unbound
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation
from tests.faults.row import FAULT_AFTER, About, now, row, submits
from tests.faults.socket_loop import LATE, ON_SOCKETS

pytestmark = pytest.mark.parametrize("engine", ENGINES)

CLOSE = 0.5 if ON_SOCKETS else 0.1
"""Seconds by which an answer is in time or late."""


async def accept_three(talk: Conversation) -> None:
    """Accept three submits and read the five after them."""
    await talk.bind()
    for _ in range(FAULT_AFTER):
        await talk.answer(await talk.expect(CommandId.submit_sm), message_id="1")
    await submits(talk, 5)


async def test_a_reset_loses_what_was_written_and_hands_the_rest_back(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await accept_three(talk)
        talk.reset()

    async with row(engine, script) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many()
        assert (await esme.reason()).startswith("connection lost")
        assert now() - began < 0.01 + LATE
        assert await esme.tally() == {"accepted": 3, "Lost": 5, "NotSent": 12}


async def test_a_reset_before_anything_is_written_loses_nothing(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await asyncio.sleep(1.0)
        talk.reset()

    async with row(engine, script) as esme:
        await esme.bound()
        esme.link.pause(0.5)
        await asyncio.sleep(0.6)
        esme.link.pause(5.0)
        for _ in range(5):
            esme.send()
        await esme.reason()
        assert await esme.tally() == {"NotSent": 5}
        await asyncio.sleep(5.0)  # the pause ends


async def test_a_close_in_order_is_a_loss_too(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await accept_three(talk)
        talk.close()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.reason() == "connection closed by peer"
        assert await esme.tally() == {"accepted": 3, "Lost": 5, "NotSent": 12}


async def test_half_a_close_is_the_end(engine: str) -> None:
    """A carrier that says it will send nothing more can answer nothing more."""

    async def script(talk: Conversation) -> None:
        await accept_three(talk)
        talk.transport.write_eof()
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.reason() == "connection closed by peer"
        assert await esme.tally() == {"accepted": 3, "Lost": 5, "NotSent": 12}


async def test_submits_handed_in_with_the_loss_are_not_sent_in_their_order(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await accept_three(talk)
        talk.reset()

    async with row(engine, script) as esme:
        await esme.bound()
        order: list[int] = []
        await esme.submit_many(8)
        for future in esme.submits:
            future.add_done_callback(lambda done: order.append(esme.submits.index(done)))
        await esme.reason()
        await esme.submit_many(5)
        await esme.tally()
        assert order == sorted(order)
        assert all(isinstance(f.exception(), NotSent) for f in esme.submits[8:])


async def test_an_unbind_of_the_carrier_is_answered_and_ends_the_session(engine: str) -> None:
    answers: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await submits(talk, 5)
        await talk.send(encode_header_only(CommandId.unbind, 0, 0xFFFF_FFFF))
        answers.append(await talk.read())
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.reason() == "peer unbind"
        assert await esme.tally() == {"Lost": 5, "NotSent": 15}
        assert answers == [Pdu(CommandId.unbind_resp, 0, 0xFFFF_FFFF)]
        assert esme.events[-1] == Unbound("peer unbind")


async def black_hole(talk: Conversation) -> None:
    """Accept three submits, then read all and answer nothing."""
    await accept_three(talk)
    await talk.closed()


async def test_a_black_hole_ends_the_session_and_hands_back_what_is_in_flight(engine: str) -> None:
    async with row(
        engine, black_hole, enquire_interval=2.0, enquire_timeout=1.0, response_timeout=60.0
    ) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many()
        assert await esme.reason(10) == "enquire_link unanswered for 1.0 s"
        assert now() - began <= 4.0 + LATE
        assert await esme.tally() == {"accepted": 3, "Lost": 5, "NotSent": 12}


async def test_a_black_hole_ends_in_time_beside_a_response_timer_of_three_seconds(
    engine: str,
) -> None:
    async with row(engine, black_hole, enquire_interval=2.0, enquire_timeout=1.0) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many()
        assert await esme.reason(10) == "enquire_link unanswered for 1.0 s"
        assert now() - began <= 4.0 + LATE
        tally = await esme.tally()
        assert tally["accepted"] == 3
        assert tally.get("Lost", 0) + tally.get("NoResponse", 0) >= 5
        assert sum(tally.values()) == 20


@pytest.mark.only_virtual("it takes an hour")
async def test_enquire_link_keeps_an_idle_session_for_an_hour(engine: str) -> None:
    asked: list[float] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        while True:
            pdu = await talk.expect(CommandId.enquire_link)
            asked.append(now())
            await asyncio.sleep(0.25)
            await talk.answer(pdu)

    async with row(engine, script, enquire_interval=30.0, enquire_timeout=10.0) as esme:
        await esme.bound()
        await asyncio.sleep(3_601.0)
        assert len(asked) == 120
        assert [event.seconds for event in esme.of(RttMeasured)] == [pytest.approx(0.25)] * 120
        assert not esme.life.done()


@pytest.mark.parametrize("late", [1.0 - CLOSE, 1.0 + CLOSE])
async def test_enquire_link_has_its_time_to_be_answered_and_no_more(
    engine: str, late: float
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        while True:
            pdu = await talk.expect(CommandId.enquire_link)
            await asyncio.sleep(late)
            await talk.answer(pdu)

    async with row(engine, script, enquire_interval=2.0, enquire_timeout=1.0) as esme:
        await esme.bound()
        began = now()
        await asyncio.sleep(10.0)
        assert esme.life.done() == (late > 1.0)
        if esme.life.done():
            assert await esme.reason() == "enquire_link unanswered for 1.0 s"
        assert now() - began == About(10.0)
