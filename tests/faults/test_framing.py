"""Framing: a lost stream ends the link at once, any split of a sound one changes nothing."""

from __future__ import annotations

import pytest

from hermes.smpp.encode import encode
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, accept_all, answer_to, deliver_sm
from tests.faults.memory_transport import MemoryTransport
from tests.faults.row import FAULT_AFTER, now, row, submits, wire
from tests.faults.socket_loop import LATE

pytestmark = pytest.mark.parametrize("engine", ENGINES)

GARBAGE = {
    "0": bytes(16),
    "15": (15).to_bytes(4, "big") + bytes(11),
    "66561": (66_561).to_bytes(4, "big") + bytes(12),
    "2147483648": (1 << 31).to_bytes(4, "big") + bytes(12),
    "1213486160": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("length", GARBAGE)
async def test_a_lost_stream_ends_the_link_at_once_and_nothing_more_is_read(
    engine: str, length: str
) -> None:
    sent_at: list[float] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        await submits(talk, FAULT_AFTER)
        sent_at.append(now())
        await talk.send(GARBAGE[length], bytes(1_000_000))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.reason() == f"command_length {length} is outside 16..66560"
        assert now() - sent_at[0] < 0.01 + LATE
        assert await esme.tally() == {"Lost": 5, "NotSent": 15}


async def test_half_a_response_and_a_close_lose_what_is_in_flight(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        third = (await submits(talk, FAULT_AFTER))[-1]
        await talk.send(encode(answer_to(third, message_id="3"))[:17])
        talk.close()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.reason() == "connection closed inside a PDU, 17 octets of it came"
        assert await esme.tally() == {"Lost": 5, "NotSent": 15}


@pytest.mark.only_virtual("a kernel joins octets as it likes")
async def test_one_octet_per_segment_is_read_like_any_other_stream(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        end = wire(talk)
        assert isinstance(end, MemoryTransport)
        end.segment = 1
        await accept_all(talk)

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()


async def test_many_pdus_in_one_segment_are_read_one_by_one(engine: str) -> None:
    acks: list[int] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        pdus = await submits(talk, 5)
        for group in range(4):
            answers = [answer_to(pdu, message_id="x") for pdu in pdus]
            receipts = [deliver_sm(100 * group + n, b"id:x stat:DELIVRD") for n in range(50)]
            await talk.send(*receipts, *answers)
            read = [await talk.read() for _ in range(50 if group == 3 else 55)]
            pdus = [pdu for pdu in read if pdu.command == "submit_sm"]
            acks.extend(pdu.sequence_number for pdu in read if pdu.is_response)
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        await esme.until(lambda: len(acks) == 200)
        assert acks == [100 * group + n for group in range(4) for n in range(50)]
