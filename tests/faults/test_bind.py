"""Bind: any answer, wrong answer or none ends in one clear way, and in time."""

from __future__ import annotations

import pytest

from hermes.ports.link import BindRefused, Bound
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation
from tests.faults.row import About, now, row
from tests.faults.socket_loop import LATE

pytestmark = pytest.mark.parametrize("engine", ENGINES)


def head(command: int, status: int, sequence: int, body: bytes) -> bytes:
    """A frame with any body."""
    frame = encode_header_only(command, status, sequence)
    return (16 + len(body)).to_bytes(4, "big") + frame[4:] + body


async def test_a_bind_that_is_never_answered_ends_at_its_timer(engine: str) -> None:
    began = now()
    async with row(engine, Conversation.closed, bind_timeout=7.0) as esme:
        with pytest.raises(TimeoutError):
            await esme.reason(10)
        assert now() - began == About(7.0)


async def test_a_bind_that_hears_only_other_things_ends_at_its_timer(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.read()
        for number in range(1, 100):
            await talk.send(
                encode_header_only(CommandId.outbind, 0, number),
                encode_header_only(CommandId.enquire_link, 0, number),
            )
            answer = await talk.read()
            assert (answer.command, answer.sequence_number) == ("enquire_link_resp", number)
        await talk.closed()

    began = now()
    async with row(engine, script, bind_timeout=7.0) as esme:
        with pytest.raises(TimeoutError):
            await esme.reason(10)
        assert now() - began == About(7.0)


@pytest.mark.parametrize("body", [b"", b"\0", b"SCRIPT\0"])
@pytest.mark.parametrize("status", [0x05, 0x0E, 0x40A, 0xFFFF_FFFF])
async def test_a_refused_bind_tells_its_status_with_any_body(
    engine: str, status: int, body: bytes
) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        resp = CommandId.bind_transceiver_resp
        await talk.send(head(resp, status, bind.sequence_number, body))
        await talk.closed()

    began = now()
    async with row(engine, script) as esme:
        with pytest.raises(BindRefused) as caught:
            await esme.reason()
        assert caught.value.status == status
        assert now() - began < 0.01 + LATE


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        (CommandId.generic_nack, 0, 0x03),
        (CommandId.generic_nack, 0x02, 0x02),
        (CommandId.bind_transmitter_resp, 0, 0x03),
        (CommandId.submit_sm_resp, 0, 0x03),
    ],
)
async def test_a_wrong_answer_to_the_bind_refuses_it(
    engine: str, command: int, status: int, told: int
) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        await talk.send(head(command, status, bind.sequence_number, b""))
        await talk.closed()

    async with row(engine, script) as esme:
        with pytest.raises(BindRefused) as caught:
            await esme.reason()
        assert caught.value.status == told


@pytest.mark.parametrize(
    ("body", "system_id"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"SMSC", "SMSC"),
        (b"SMSC\0", "SMSC"),
        (b"SMSC\0\x02\x10\x00\x01\x34", "SMSC"),
        (b"SMSC\0\x02\x10\x00\x09\x34", "SMSC"),
        (b"\xe9\xff\0", "éÿ"),
        (b"x" * 40 + b"\0", "x" * 40),
    ],
)
async def test_any_body_of_an_accepted_bind_binds(engine: str, body: bytes, system_id: str) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        await talk.send(head(CommandId.bind_transceiver_resp, 0, bind.sequence_number, body))
        await talk.closed()

    async with row(engine, script) as esme:
        await esme.bound()
        assert esme.of(Bound) == [Bound(system_id)]


async def test_a_password_of_nine_characters_is_sent_whole(engine: str) -> None:
    passwords: list[object] = []

    async def script(talk: Conversation) -> None:
        passwords.append((await talk.bind()).fields["password"])
        await talk.closed()

    async with row(engine, script, password="ninechars") as esme:
        await esme.bound()
        assert passwords == ["ninechars"]


@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(16)])
async def test_octets_that_are_no_smpp_end_the_bind_at_once(engine: str, octets: bytes) -> None:
    async def script(talk: Conversation) -> None:
        await talk.read()
        await talk.send(octets)
        await talk.closed()

    began = now()
    async with row(engine, script) as esme:
        with pytest.raises(OSError, match="command_length"):
            await esme.reason()
        assert now() - began < 0.01 + LATE


@pytest.mark.parametrize("part", [0, 7, 17])
async def test_a_connection_closed_during_the_bind_is_an_os_error(engine: str, part: int) -> None:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        resp = head(CommandId.bind_transceiver_resp, 0, bind.sequence_number, b"SMSC\0")
        await talk.send(resp[:part])
        talk.close()

    async with row(engine, script) as esme:
        with pytest.raises(OSError, match="before the bind"):
            await esme.reason()
