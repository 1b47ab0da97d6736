"""Every submit through a link engine has one outcome, and frees its slot once."""

from __future__ import annotations

import asyncio

import pytest

from hermes.ports.link import (
    Bound,
    Congestion,
    CreditChanged,
    LateResponse,
    Nacked,
    Problem,
    SubmitResult,
    Throttled,
    Unbound,
)
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv, TlvTag
from tests.contract.link_client import ENGINES, client, outcome
from tests.contract.scripted_smsc import Conversation, accept_all, answer_to, smsc

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def test_every_submit_is_accepted_and_the_credit_returns(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        assert esme.link.credit == 5
        await esme.submit_many(50)
        assert await esme.outcomes() == {"accepted": 50}
        assert [f.result().message_id for f in esme.submits] == [str(n) for n in range(1, 51)]
        assert esme.link.credit == 5
        assert esme.of(CreditChanged)[-1] == CreditChanged(5)
        assert esme.of(Bound) == [Bound("SCRIPT")]
        await esme.link.drain()
        assert await esme.reason() == "drained"
        assert esme.events[-1] == Unbound("drained")


async def test_what_a_pause_holds_back_is_not_sent_when_the_link_ends(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        for _ in range(3):
            esme.send()
        esme.link.pause(30.0)
        assert esme.link.credit == 0
        esme.send()
        assert outcome(esme.submits[-1]) == "NotSent"
        await asyncio.sleep(0)
        assert not any(future.done() for future in esme.submits[:3])
        esme.life.cancel()
        assert await esme.outcomes() == {"NotSent": 4}


async def test_a_pause_holds_submits_back_and_ends_by_itself(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        esme.link.pause(0.2)
        esme.link.pause(0.05)
        assert esme.link.credit == 0
        await esme.until(lambda: esme.link.credit == 5)
        assert esme.of(CreditChanged) == [CreditChanged(5)]
        esme.send()
        assert await esme.outcomes() == {"accepted": 1}


async def test_a_missing_response_frees_its_slot_and_a_late_one_is_an_event(engine: str) -> None:
    held: list[Pdu] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        while True:
            pdu = await talk.read()
            if pdu.command != "submit_sm":
                continue
            if pdu.octets("short_message") == b"now the late one":
                late = answer_to(held[0], message_id="late")
                await talk.send(late, late, answer_to(pdu, message_id="now"))
            else:
                held.append(pdu)

    async with (
        smsc(script) as port,
        client(engine, port, response_timeout=0.2, window=1) as esme,
    ):
        await esme.bound()
        esme.send("never", reference="first")
        assert esme.link.credit == 0
        await esme.until(lambda: esme.link.credit == 1)
        assert outcome(esme.submits[0]) == "NoResponse"
        esme.send("now the late one")
        assert await esme.outcomes() == {"NoResponse": 1, "accepted": 1}
        (late,) = esme.of(LateResponse)
        assert (late.reference, late.result.message_id) == ("first", "late")
        assert late.result.latency >= 0.2
        assert len(esme.of(Problem)) == 1  # the second late answer is to nothing
        assert esme.link.credit == 1


async def test_responses_may_come_in_any_order_split_anywhere(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(4):
            pdus = [await talk.expect(CommandId.submit_sm) for _ in range(5)]
            octets = b"".join(
                encode(answer_to(pdu, message_id=pdu.octets("short_message").decode()))
                for pdu in reversed(pdus)
            )
            for octet in octets:
                await talk.send(bytes((octet,)))
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(20)
        assert await esme.outcomes() == {"accepted": 20}
        ids = [future.result().message_id for future in esme.submits]
        assert ids == [f"message {n}" for n in range(20)]


RESPONSES = [
    (b"", 0, SubmitResult(0, "", 0, b"")),
    (b"abc", 0, SubmitResult(0, "abc", 0, b"")),
    (b"x" * 70 + b"\0", 0, SubmitResult(0, "x" * 70, 0, b"")),
    (b"\xe9\xff\0", 0, SubmitResult(0, "éÿ", 0, b"")),
    (b"7\0\x14\x00\x00\x01A", 0, SubmitResult(0, "7", 0, b"\x14\x00\x00\x01A")),
    (b"", 0x400, SubmitResult(0x400, "", 0, b"")),
    (b"\0", 0x58, SubmitResult(0x58, "", 0, b"")),
]


@pytest.mark.parametrize(("body", "status", "expected"), RESPONSES)
async def test_any_body_of_a_response_is_read(
    engine: str, body: bytes, status: int, expected: SubmitResult
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        pdu = await talk.expect(CommandId.submit_sm)
        head = encode_header_only(CommandId.submit_sm_resp, status, pdu.sequence_number)
        await talk.send((16 + len(body)).to_bytes(4, "big") + head[4:] + body)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        result = await asyncio.wait_for(esme.submit(reference="r"), 5)
        assert 0 <= result.latency < 5
        assert result == SubmitResult(
            expected.status, expected.message_id, result.latency, expected.tlvs
        )
        throttled = [Throttled(0x58, result.latency, "r")] if status == 0x58 else []
        assert esme.of(Throttled) == throttled


async def test_congestion_in_a_response_is_an_event(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        pdu = await talk.expect(CommandId.submit_sm)
        tlv = Tlv.integer(TlvTag.congestion_state, 85)
        answer = Pdu(0x8000_0004, 0, pdu.sequence_number, {"message_id": "1"}, (tlv,))
        await talk.send(answer)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await asyncio.wait_for(esme.submit(), 5)
        assert esme.of(Congestion) == [Congestion(85)]


async def test_a_generic_nack_is_the_result_of_its_submit(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for status in (0, 0x02):
            pdu = await talk.expect(CommandId.submit_sm)
            await talk.send(encode_header_only(CommandId.generic_nack, status, pdu.sequence_number))
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        first = await asyncio.wait_for(esme.submit(reference="a"), 5)
        second = await asyncio.wait_for(esme.submit(reference="b"), 5)
        assert (first.status, second.status) == (0x03, 0x02)
        assert esme.of(Nacked) == [Nacked(0x03, "a"), Nacked(0x02, "b")]
