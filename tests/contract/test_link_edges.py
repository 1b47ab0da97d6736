"""A link engine at its edges: faults of callbacks, two ends at once, a carrier half gone."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hermes.ports.link import Bound, Inbound, LinkEvent, Throttled, TlsSettings, Unbound
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import ENGINES, client
from tests.contract.scripted_smsc import Conversation, accept_all, deliver_sm, smsc

pytestmark = pytest.mark.parametrize("engine", ENGINES)


class Fault(Exception):
    """A callback's own."""


async def test_a_fault_of_on_deliver_ends_the_link_and_run_raises_it(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.expect(CommandId.submit_sm)
        await talk.send(deliver_sm(1, b"id:1 stat:DELIVRD"))
        await talk.closed()

    def on_deliver(_: Inbound) -> None:
        raise Fault("of the receiver")

    async with smsc(script) as port, client(engine, port) as esme:
        esme.link.on_deliver = on_deliver
        await esme.bound()
        esme.send()
        with pytest.raises(Fault):
            await esme.reason()
        assert await esme.outcomes() == {"Lost": 1}
        assert esme.events[-1] == Unbound("internal error: Fault('of the receiver')")


async def test_a_fault_of_on_event_ends_the_link_and_run_raises_it(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.answer(await talk.expect(CommandId.submit_sm), 0x58)
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:

        def on_event(event: LinkEvent) -> None:
            if isinstance(event, Throttled):
                raise Fault("of the listener")
            esme.events.append(event)

        esme.link.on_event = on_event
        await esme.bound()
        esme.send()
        with pytest.raises(Fault):
            await esme.reason()
        assert await esme.outcomes() == {"refused": 1}


async def test_a_carrier_that_reads_nothing_and_closes_its_half_ends_the_link(engine: str) -> None:
    leave, left = asyncio.Event(), asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.bind()
        talk._writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's has it
        await leave.wait()
        talk._writer.write_eof()
        await left.wait()

    async with smsc(script) as port, client(engine, port, window=2_000) as esme:
        await esme.bound()
        for _ in range(2_000):
            esme.send(payload=bytes(8_000))
        await asyncio.sleep(0.1)
        leave.set()
        assert await esme.reason() == "connection closed by peer"
        tally = await esme.outcomes()
        assert tally.total() == tally["Lost"] + tally["NotSent"] == 2_000
        assert tally["NotSent"] > 0
        left.set()


@pytest.mark.parametrize("tls", [None, TlsSettings()])
async def test_a_link_is_cancelled_before_it_is_bound(engine: str, tls: TlsSettings | None) -> None:
    async def silent(talk: Conversation) -> None:
        await talk._reader.read()

    async with smsc(silent) as port, client(engine, port, tls=tls) as esme:
        for turns in range(20):  # at every point of the way to a bind
            for _ in range(turns):
                await asyncio.sleep(0)
            esme.life.cancel()
            await asyncio.wait([esme.life], timeout=1.0)
            assert esme.life.cancelled()
            esme.life = asyncio.create_task(esme.link.run())
        await asyncio.sleep(0.05)
        assert esme.events == []


async def test_a_carrier_that_accepts_no_connection_is_given_up(engine: str) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with client(engine, port, bind_timeout=0.2) as esme:
            with pytest.raises(TimeoutError):
                await esme.reason()
        for filler in fillers:
            filler.close()


async def test_two_drains_at_once_both_end(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        await asyncio.wait_for(asyncio.gather(esme.link.drain(), esme.link.drain()), 3)
        assert await esme.reason() == "drained"
        await asyncio.wait_for(esme.link.drain(), 1)


async def test_a_drain_ends_when_the_carrier_closes_meanwhile(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.expect(CommandId.submit_sm)
        await close.wait()
        talk.close()

    close = asyncio.Event()
    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await esme.submit_many(1)
        draining = asyncio.create_task(esme.link.drain(60.0))
        await esme.until(lambda: esme.link.credit == 0)
        close.set()
        await asyncio.wait_for(draining, 3)
        assert await esme.reason() == "connection closed by peer"
        assert await esme.outcomes() == {"Lost": 1}


async def test_a_drain_and_an_unbind_of_the_carrier_at_once_end_the_link(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.expect(CommandId.unbind)
        await talk.send(encode_header_only(CommandId.unbind, 0, 9))
        seen.append(await talk.read())
        await talk.closed()

    seen: list[Pdu] = []
    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await asyncio.wait_for(esme.link.drain(), 1)
        assert await esme.reason() == "drained"
        await esme.until(lambda: len(seen) == 1)
        assert (seen[0].command, seen[0].sequence_number) == ("unbind_resp", 9)


async def test_responses_that_answer_nothing_of_a_bound_link_change_nothing(engine: str) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.send(
            encode_header_only(CommandId.unbind_resp, 0, 2),
            encode_header_only(CommandId.bind_transceiver_resp, 0x0E, 1),
            encode_header_only(CommandId.enquire_link_resp, 0, 2),
            encode_header_only(CommandId.generic_nack, 0x03, 0),
        )
        await talk.answer(await talk.expect(CommandId.submit_sm), message_id="1")
        await talk.closed()

    async with smsc(script) as port, client(engine, port) as esme:
        await esme.bound()
        await asyncio.sleep(0.05)
        esme.send()
        assert await esme.outcomes() == {"accepted": 1}
        assert len(esme.of(Bound)) == 1
        assert not esme.life.done()


async def test_a_link_that_runs_does_not_run_twice(engine: str) -> None:
    async with smsc(accept_all) as port, client(engine, port) as esme:
        await esme.bound()
        with pytest.raises(RuntimeError, match="runs already"):
            await esme.link.run()
        esme.send()
        assert await esme.outcomes() == {"accepted": 1}
