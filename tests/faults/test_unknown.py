"""Unknown: whatever has a sane length is answered or ignored, and the traffic goes on."""

from __future__ import annotations

import pytest

from hermes.ports.link import Nacked, Notified, Problem
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation
from tests.faults.row import FAULT_AFTER, accept_and, row, submits

pytestmark = pytest.mark.parametrize("engine", ENGINES)

SEQUENCE = 0x7FFF_0000


@pytest.mark.parametrize(
    "command",
    [
        0x0000_0999,
        0x0000_0111,  # broadcast_sm of 5.0
        CommandId.submit_sm,
        CommandId.query_sm,
        CommandId.bind_transceiver,
    ],
)
async def test_a_request_an_esme_does_not_serve_is_nacked(engine: str, command: int) -> None:
    seen: list[Pdu] = []
    frame = encode_header_only(command, 0, SEQUENCE)
    async with row(engine, accept_and(frame, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        (nack,) = seen
        assert (nack.command, nack.command_status) == ("generic_nack", 0x03)
        assert nack.sequence_number == SEQUENCE
        assert [problem.frame for problem in esme.of(Problem)] == [frame]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (0x8000_0999, 0),
        (0x8000_0111, 0x58),
        (CommandId.query_sm_resp, 0),
        (CommandId.submit_sm_resp, 0),
        (CommandId.submit_sm_resp, 0x400),
        (CommandId.generic_nack, 0x03),
        (CommandId.enquire_link_resp, 0),
        (CommandId.bind_transceiver_resp, 0x0E),
    ],
)
async def test_a_response_to_nothing_is_told_and_ignored(
    engine: str, command: int, status: int
) -> None:
    seen: list[Pdu] = []
    frame = encode_header_only(command, status, SEQUENCE)
    async with row(engine, accept_and(frame, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        assert seen == []
        assert [problem.frame for problem in esme.of(Problem)] == [frame]


async def test_a_response_of_another_kind_answers_no_submit(engine: str) -> None:
    wrong: list[bytes] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(20):
            pdu = await talk.expect(CommandId.submit_sm)
            if number == FAULT_AFTER:
                frame = encode_header_only(CommandId.query_sm_resp, 0, pdu.sequence_number)
                wrong.append(frame)
                await talk.send(frame)
            await talk.answer(pdu, message_id=str(number))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        assert [problem.frame for problem in esme.of(Problem)] == wrong


@pytest.mark.parametrize("command", [CommandId.alert_notification, CommandId.outbind])
async def test_what_has_no_answer_gets_none_and_is_an_event(
    engine: str, command: CommandId
) -> None:
    seen: list[Pdu] = []
    frame = encode_header_only(command, 0, SEQUENCE)
    async with row(engine, accept_and(frame, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        assert seen == []
        assert esme.of(Notified) == [Notified(command, frame)]
        assert esme.of(Problem) == []


@pytest.mark.parametrize("sequence", [0, 0x8000_0000, 0xFFFF_FFFF])
async def test_an_enquire_link_of_any_sequence_is_answered_with_it(
    engine: str, sequence: int
) -> None:
    seen: list[Pdu] = []
    frame = encode_header_only(CommandId.enquire_link, 0, sequence)
    async with row(engine, accept_and(frame, seen=seen)) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.all_accepted()
        assert seen == [Pdu(CommandId.enquire_link_resp, 0, sequence)]


async def test_a_vendor_status_is_the_result_of_its_submit(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for number in range(1, 21):
            pdu = await talk.expect(CommandId.submit_sm)
            status = 0x400 if number == FAULT_AFTER else 0
            await talk.answer(pdu, status, message_id="" if status else "1")
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.tally() == {"accepted": 19, "refused": 1}
        assert esme.statuses()[2] == 0x400
        assert not esme.life.done()


@pytest.mark.parametrize("status", [0, 0x03])
async def test_a_generic_nack_of_every_submit_is_the_result_of_each(
    engine: str, status: int
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        for _ in range(20):
            (pdu,) = await submits(talk, 1)
            await talk.send(encode_header_only(CommandId.generic_nack, status, pdu.sequence_number))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        await esme.submit_many()
        assert await esme.tally() == {"refused": 20}
        assert esme.statuses() == [0x03] * 20
        assert esme.of(Nacked) == [Nacked(0x03, str(n)) for n in range(20)]
        assert not esme.life.done()
