"""A bind comes back by the class of its failure, and takes what was not sent with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from msgspec.structs import replace

from hermes.settings.tree import Smpp
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES
from tests.contract.scripted_smsc import Conversation, Script, answer_to
from tests.faults.held_bind import Counter, HeldBind, held
from tests.faults.row import now, submits
from tests.faults.socket_loop import LATE, ON_SOCKETS

pytestmark = pytest.mark.parametrize("engine", ENGINES)

HOUR = 3_600.0
SPAN = 8.0 if ON_SOCKETS else HOUR
"""Seconds a failure is watched."""
MOST = 20 if ON_SOCKETS else 250
"""Tries in that time; more are a fast loop."""
BIND_TIMEOUT = 1.0 if ON_SOCKETS else 12.0


class Tries:
    """A carrier that does the same in every session, and notes when each began."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.at: list[float] = []

    async def __call__(self, talk: Conversation) -> None:
        """Serve a session."""
        self.at.append(now())
        await self.script(talk)

    @property
    def gaps(self) -> list[float]:
        """Seconds between two tries."""
        return [later - earlier for earlier, later in pairwise(self.at)]


def refuse(status: int, body: bytes = b"") -> Script:
    async def script(talk: Conversation) -> None:
        bind = await talk.read()
        head = encode_header_only(CommandId.bind_transceiver_resp, status, bind.sequence_number)
        await talk.send((16 + len(body)).to_bytes(4, "big") + head[4:] + body)
        await talk.closed()

    return script


async def bind_and_close(talk: Conversation) -> None:
    await talk.bind()
    talk.close()


async def bind_and_send_garbage(talk: Conversation) -> None:
    await talk.bind()
    await talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await talk.closed()


async def bind_and_unbind(talk: Conversation) -> None:
    await talk.bind()
    await talk.send(encode_header_only(CommandId.unbind, 0, 1))
    await talk.closed()


async def answer_wrongly(talk: Conversation) -> None:
    bind = await talk.read()
    await talk.send(encode_header_only(CommandId.submit_sm_resp, 0, bind.sequence_number))
    await talk.closed()


NORMAL: dict[str, Script] = {
    "never answered": Conversation.closed,
    "refused with a vendor status": refuse(0x40A),
    "refused with RSYSERR": refuse(0x08),
    "answered with another command": answer_wrongly,
    "bound, then closed at once": bind_and_close,
    "bound, then no SMPP": bind_and_send_garbage,
    "bound, then unbound": bind_and_unbind,
}


@pytest.mark.parametrize("case", NORMAL)
async def test_a_failure_that_repeats_is_tried_again_ever_more_slowly(
    engine: str, case: str
) -> None:
    tries = Tries(NORMAL[case])
    async with held(engine, tries, smpp=Smpp(bind_timeout=BIND_TIMEOUT)) as bind:
        await asyncio.sleep(SPAN)
        check_doubling(bind, tries)


def check_doubling(bind: HeldBind, tries: Tries) -> None:
    """Waits are below 1, 2, 4 ... 60 s, and no short session started them anew."""
    losses = bind.losses
    assert [line["failures"] for line in losses] == list(range(1, len(losses) + 1))
    assert all(line["log_level"] == "warning" for line in losses)
    for number, line in enumerate(losses):
        assert 0.1 <= line["wait_s"] <= min(60.0, 2.0**number)
    assert (2 if ON_SOCKETS else 30) < len(tries.at) < MOST, "no fast loop, no end of trying"
    assert ON_SOCKETS or max(tries.gaps) > 20.0


async def test_nobody_listening_is_tried_again_ever_more_slowly(engine: str) -> None:
    async with held(engine, bind_and_close) as bind:
        bind.session.bind = replace(bind.session.bind, port=1)
        await asyncio.sleep(SPAN)
        losses = bind.losses
        assert [line["failures"] for line in losses] == list(range(1, len(losses) + 1))
        assert (2 if ON_SOCKETS else 60) < len(losses) < MOST


@pytest.mark.only_virtual("it takes many minutes")
@pytest.mark.parametrize("body", [b"", b"SMSC\0"])
@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F, 0x53])
async def test_refused_credentials_are_tried_once_a_minute_with_an_alarm_at_the_first(
    engine: str, status: int, body: bytes
) -> None:
    tries = Tries(refuse(status, body))
    async with held(engine, tries) as bind:
        await asyncio.sleep(HOUR)
        assert min(tries.gaps) >= 60.0
        assert max(tries.gaps) <= 80.5
        assert [line["log_level"] for line in bind.losses] == ["error"] * len(tries.at)


@pytest.mark.only_virtual("it takes many minutes")
async def test_an_old_session_that_is_still_there_is_waited_for(engine: str) -> None:
    tries = Tries(refuse(0x05))
    async with held(engine, tries) as bind:
        await asyncio.sleep(HOUR)
        assert min(tries.gaps) >= 30.0
        assert max(tries.gaps) <= 60.5
        assert {line["log_level"] for line in bind.losses} == {"warning"}


@pytest.mark.only_virtual("it takes many minutes")
async def test_a_session_of_minutes_ends_the_back_off(engine: str) -> None:
    sessions = 0

    async def script(talk: Conversation) -> None:
        nonlocal sessions
        sessions += 1
        await talk.bind()
        for _ in range(600 // 30 if sessions > 5 else 0):
            await talk.answer(await talk.expect(CommandId.enquire_link))
        talk.close()

    async with held(engine, script) as bind:
        async with asyncio.timeout(HOUR):
            while len(bind.losses) < 7:
                await asyncio.sleep(1.0)
        failures = [line["failures"] for line in bind.losses[:7]]
        assert failures == [1, 2, 3, 4, 5, 1, 1]


class Flaky:
    """Accepts three submits, ends the session somehow with five unanswered, then accepts all."""

    def __init__(self, end: Script) -> None:
        self.end = end
        self.seen = Counter()
        self.lost: list[int] = []

    async def __call__(self, talk: Conversation) -> None:
        """Serve a session."""
        await talk.bind()
        self.seen.binds.append(now())
        while True:
            if len(self.seen.binds) == 1 and len(self.seen.accepted) == 3:
                self.lost = [int(p.octets("short_message")) for p in await submits(talk, 5)]
                await self.end(talk)
                return
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                self.seen.accept(pdu)
                await talk.answer(pdu, message_id=str(len(self.seen.accepted)))
            else:
                await talk.answer(pdu)


async def reset(talk: Conversation) -> None:
    talk.reset()


async def unbind(talk: Conversation) -> None:
    await talk.send(encode_header_only(CommandId.unbind, 0, 1))
    await talk.expect(CommandId.unbind_resp)


ENDS: dict[str, Script] = {
    "reset": reset,
    "unbind": unbind,
    "no SMPP": lambda talk: talk.send(bytes(16)),
    "black hole": Conversation.closed,
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_lost_session_leaves_the_written_uncertain_and_sends_the_rest_in_the_next(
    engine: str, end: str
) -> None:
    carrier = Flaky(ENDS[end])
    smpp = Smpp(enquire_every=2.0, enquire_timeout=1.0)
    async with held(engine, carrier, window=5, smpp=smpp) as bind:
        bind.send(20)
        await bind.until_idle(60.0)
        first, second = carrier.seen.binds
        assert second - first <= 5.0 + LATE, "it is back within seconds"
        assert len(carrier.lost) == 5
        assert sorted([*carrier.seen.numbers, *carrier.lost]) == list(range(20)), "no duplicate"
        assert carrier.seen.is_in_order
        assert sorted(bind.kinds) == ["sent"] * 15 + ["uncertain"] * 5


async def test_a_late_answer_settles_what_was_uncertain(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        late: Sequence[Pdu] = await submits(talk, 5)
        for _ in range(15):
            await talk.answer(await talk.expect(CommandId.submit_sm), message_id="1")
        for pdu in late:
            await talk.send(answer_to(pdu, message_id="late"))
        await talk.closed()

    async with held(engine, script, window=5, smpp=Smpp(response_timeout=3.0)) as bind:
        bind.send(20)
        await bind.until_idle(60.0)
        await asyncio.sleep(1.0)
        assert sorted(bind.kinds) == ["sent"] * 20 + ["uncertain"] * 5


async def test_three_generic_nacks_in_a_row_make_it_bind_anew(engine: str) -> None:
    nacked: list[int] = []

    async def script(talk: Conversation) -> None:
        await talk.bind()
        nacked.append(0)
        while True:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                nacked[-1] += 1
                nack = encode_header_only(CommandId.generic_nack, 0x03, pdu.sequence_number)
                await talk.send(nack)
            else:
                await talk.answer(pdu)

    async with held(engine, script, window=5) as bind:
        bind.send(20)
        async with asyncio.timeout(600.0):
            while len(nacked) < 2:
                await asyncio.sleep(0.01)
        assert 3 <= nacked[0] <= 8, "three, and what was in flight beside them"
        assert bind.losses[0]["reason"] == "drained"
