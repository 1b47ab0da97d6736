"""Life: a link drains, is cancelled, is refused and carries much, and nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from hermes.ports.link import BindRefused, Link, Unbound
from hermes.smpp.command import CommandId
from tests.contract.link_client import ENGINES, submit_pdu
from tests.contract.scripted_smsc import Conversation, accept_all
from tests.faults.conftest import descriptors
from tests.faults.row import About, fault_loop, now, row, submits, wire
from tests.faults.socket_loop import LATE

pytestmark = pytest.mark.parametrize("engine", ENGINES)

MANY = 40_000
MESSAGE = submit_pdu()


async def test_draining_an_idle_link_unbinds_at_once(engine: str) -> None:
    seen: list[str] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        unbind = await talk.read()
        seen.append(unbind.command)
        await talk.answer(unbind)
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        began = now()
        await esme.link.drain()
        assert now() - began < 0.01 + LATE
        assert seen == ["unbind"]
        assert await esme.reason() == "drained"
        assert esme.events[-1] == Unbound("drained")


async def test_a_drain_waits_for_the_five_in_flight_then_unbinds(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        in_flight = await submits(talk, 5)
        await asyncio.sleep(1.0)
        for pdu in in_flight:
            await talk.answer(pdu, message_id="1")
        await talk.answer(await talk.expect(CommandId.unbind))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many(5)
        await asyncio.sleep(0.1)
        await esme.link.drain()
        assert now() - began == About(1.0, 0.01)
        assert await esme.reason() == "drained"
        assert await esme.tally() == {"accepted": 5}


async def test_an_unbind_that_is_never_answered_costs_two_seconds_more(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        in_flight = await submits(talk, 5)
        await asyncio.sleep(1.0)
        for pdu in in_flight:
            await talk.answer(pdu, message_id="1")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        began = now()
        await esme.submit_many(5)
        await asyncio.sleep(0.1)
        await esme.link.drain()
        assert now() - began == About(3.0, 0.01)
        assert await esme.reason() == "drained"
        assert await esme.tally() == {"accepted": 5}


@pytest.mark.parametrize("timeout", [0.5, 2.0])
async def test_a_drain_gives_up_what_is_never_answered(engine: str, timeout: float) -> None:
    async with row(engine, bind_and_read, response_timeout=60.0) as esme:
        await esme.bound()
        await esme.submit_many(5)
        await asyncio.sleep(0.1)
        began = now()
        await esme.link.drain(timeout)
        assert now() - began == About(timeout + 2.0, 0.01)
        assert await esme.reason() == "drained"
        assert await esme.tally() == {"Lost": 5}


async def bind_and_read(talk: Conversation) -> None:
    """Answer nothing but the bind."""
    await talk.bind()
    await talk.closed()


@pytest.mark.parametrize("size", [100, 8_000])
async def test_cancelling_a_link_under_back_pressure_hands_everything_back_within_a_second(
    engine: str, size: int
) -> None:
    names: list[object] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        wire(talk).pause_reading()
        names.append(wire(talk).get_extra_info("peername"))
        await asyncio.sleep(60.0)

    async with row(engine, script, room=4_096, window=2_000, response_timeout=60.0) as esme:
        await esme.bound()
        for _ in range(2_000):
            esme.send(payload=bytes(size))
        await asyncio.sleep(0.5)
        assert esme.link.credit == 0
        began = now()
        esme.life.cancel()
        await asyncio.wait([esme.life])
        assert now() - began <= 1.0 + LATE
        tally = await esme.tally()
        await asyncio.sleep(0.1)
        ours = [end.get_extra_info("sockname") for end in fault_loop().open_transports]
        assert names[0] not in ours, "it does not wait until all is sent"
        assert now() - began <= 1.0 + LATE
        assert tally["NotSent"] > 0
        assert tally["Lost"] + tally["NotSent"] == 2_000


async def test_cancelling_a_link_that_binds_leaves_nothing(engine: str) -> None:
    async with row(engine, Conversation.closed) as esme:
        await asyncio.sleep(1.0)
        esme.life.cancel()
        await asyncio.wait([esme.life])
        assert esme.life.cancelled()
        assert esme.submits == []


async def test_a_hundred_refused_binds_leave_nothing(engine: str) -> None:
    async def refuse(talk: Conversation) -> None:
        await talk.answer(await talk.read(), 0x0E)
        await talk.closed()

    async with row(engine, refuse, lives=100) as esme:
        with pytest.raises(BindRefused):
            await esme.reason()
        tasks = len(asyncio.all_tasks())
        for _ in range(99):
            esme.life = asyncio.create_task(esme.link.run())
            with pytest.raises(BindRefused):
                await esme.reason()
            await asyncio.sleep(0.1)
            assert len(asyncio.all_tasks()) <= tasks
            assert fault_loop().open_transports == []


async def carry(link: Link, count: int, window: int) -> None:
    """Submit `count` messages with the window full, and forget each."""

    async def one_slot() -> None:
        for _ in range(count // window):
            assert (await link.submit(MESSAGE)).status == 0

    async with asyncio.TaskGroup() as slots:
        for _ in range(window):
            slots.create_task(one_slot())


async def test_thousands_of_messages_leave_no_task_no_descriptor_and_no_memory(engine: str) -> None:
    async with row(engine, accept_all, window=50) as esme:
        await esme.bound()
        told, esme.link.on_event = esme.link.on_event, lambda _: None
        await carry(esme.link, 2_000, 50)
        gc.collect()
        tasks, files, blocks = len(asyncio.all_tasks()), descriptors(), sys.getallocatedblocks()
        await carry(esme.link, MANY, 50)
        gc.collect()
        assert sys.getallocatedblocks() - blocks < MANY // 50
        assert len(asyncio.all_tasks()) == tasks
        assert descriptors() <= files
        esme.link.on_event = told
