"""The inbound listener: it takes what is ours, once it is stored, and bears everything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from hermes.adapters.mail_listener import InboundMail, ListenerSettings, MailListener
from hermes.core.errors import StoreUnavailable
from hermes.mail.verp import Verp
from tests.contract.authority import Authority

ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
VERP = Verp("bounce.acme.example", (b"secret",))
PATH = VERP.return_path(ATTEMPT)
CONTENT = b"Subject: failure\r\n\r\n.dot\r\n"


class Stand:
    """A listener, what it stored, and whether its store is away."""

    def __init__(self, settings: ListenerSettings) -> None:
        self.stored: list[InboundMail] = []
        self.is_away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.listener = MailListener(settings, VERP, self.store)

    async def store(self, mail: InboundMail) -> None:
        await self.gate.wait()
        if self.is_away:
            raise StoreUnavailable("postgres", "gone")
        self.stored.append(mail)


@asynccontextmanager
async def listening(**more: Any) -> AsyncIterator[Stand]:
    stand = Stand(ListenerSettings("127.0.0.1", 0, "bounce.acme.example", **more))
    await stand.listener.start()
    try:
        yield stand
    finally:
        await stand.listener.stop()


async def send(stand: Stand, *recipients: str, content: bytes = CONTENT, sender: str = "") -> Any:
    """Send with a client that is not ours; raises what it raises."""
    smtp = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=stand.listener.port, use_tls=False, start_tls=False
    )
    async with smtp:
        return await smtp.sendmail(sender, list(recipients), content)


class Wire:
    """A client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def until(self, true: Callable[[bytes], bool]) -> bytes:
        """Read until it is so; the end of the connection is an empty answer."""
        got = b""
        async with asyncio.timeout(10):
            while not true(got):
                more = await self.reader.read(65536)
                if not more:
                    break
                got += more
        return got

    async def rest(self) -> bytes:
        return await self.until(lambda _: False)


@asynccontextmanager
async def wire(stand: Stand) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.listener.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_bounce_is_stored_and_then_acknowledged() -> None:
    async with listening() as stand:
        await send(stand, PATH)
        assert stand.stored == [InboundMail(ATTEMPT, "", PATH, CONTENT)]
        assert stand.listener.taken_count == 1


async def test_a_report_may_have_a_sender() -> None:
    async with listening() as stand:
        await send(stand, PATH, sender="fbl@example.com")
        assert stand.stored[0].sender == "fbl@example.com"


@pytest.mark.parametrize(
    "recipient",
    ["postmaster@bounce.acme.example", "b+x@bounce.acme.example", PATH.replace(".0.1.", ".0.2.")],
)
async def test_an_address_that_is_not_ours_is_refused(recipient: str) -> None:
    async with listening() as stand:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
            await send(stand, recipient)
        assert caught.value.recipients[0].code == 550
        assert (stand.stored, stand.listener.refused_count) == ([], 1)


async def test_the_address_of_a_feedback_loop_is_taken_where_it_is_configured() -> None:
    async with listening(also=frozenset({"fbl@acme.example"})) as stand:
        await send(stand, "FBL@acme.example", sender="x@example.com")
        assert stand.stored[0].attempt is None


async def test_one_recipient_a_mail() -> None:
    other = VERP.return_path(ATTEMPT.replace(".0.1", ".1.0"))
    async with listening() as stand:
        refused, _ = await send(stand, PATH, other)
        assert refused[other].code == 452
        assert len(stand.stored) == 1


async def test_what_cannot_be_stored_is_asked_for_again() -> None:
    async with listening() as stand:
        stand.is_away = True
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await send(stand, PATH)
        assert (caught.value.code, stand.listener.put_off_count) == (451, 1)
        stand.is_away = False
        await send(stand, PATH)
        assert len(stand.stored) == 1


async def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    async with listening() as stand:
        stand.gate.clear()
        sending = asyncio.create_task(send(stand, PATH))
        done, _ = await asyncio.wait([sending], timeout=0.2)
        assert not done
        stand.gate.set()
        await asyncio.wait_for(sending, 10)
        assert len(stand.stored) == 1


async def test_a_mail_that_is_too_large_or_has_too_long_lines_is_refused() -> None:
    async with listening(max_size=1000, max_line=100) as stand:
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await send(stand, PATH, content=b"x" * 50 + b"\r\n" + b"y" * 1000)
        assert caught.value.code == 552
        with pytest.raises(aiosmtplib.SMTPDataError) as late:
            await send(stand, PATH, content=b"x" * 200)
        assert late.value.code == 554
        assert stand.stored == []


async def test_a_size_that_is_not_told_is_found_out() -> None:
    async with listening(max_size=1000) as stand, wire(stand) as client:
        envelope = f"EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<{PATH}>\r\nDATA\r\n"
        await client.say(envelope.encode())
        await client.until(lambda got: b"354 " in got)
        for _ in range(200):
            await client.say(b"x" * 998 + b"\r\n")
        await client.say(b".\r\nQUIT\r\n")
        said = await client.rest()
        assert said.startswith(b"552 5.3.4")
        assert stand.stored == []


async def test_further_connections_are_refused_and_those_that_are_open_go_on() -> None:
    async with listening(max_connections=3, max_per_peer=2) as stand:
        async with wire(stand) as first, wire(stand) as second:
            for client in (first, second):
                assert (await client.until(lambda got: got.endswith(b"\n"))).startswith(b"220 ")
            async with wire(stand) as third:
                assert (await third.rest()).startswith(b"421 4.3.2 too many connections")
            await first.say(b"NOOP\r\n")
            assert (await first.until(lambda got: got.endswith(b"\n"))).startswith(b"250 ")
        async with asyncio.timeout(10):
            while stand.listener.server.connection_count:
                await asyncio.sleep(0.01)
        await send(stand, PATH)


async def test_a_client_that_says_nothing_is_left() -> None:
    async with listening(command_timeout=0.2) as stand, wire(stand) as client:
        assert b"421 4.4.2" in await client.rest()


async def test_a_client_that_trickles_is_left() -> None:
    async with listening(command_timeout=5.0, session_timeout=0.5) as stand, wire(stand) as client:
        reading = asyncio.create_task(client.rest())
        while not reading.done():
            try:
                await client.say(b"N")
            except ConnectionError:
                break
            await asyncio.sleep(0.02)
        assert b"421 4.4.2" in await reading


async def test_a_client_that_reads_nothing_fills_no_memory() -> None:
    async with listening(session_timeout=1.0) as stand, wire(stand) as client:
        sent = 0
        noops = b"NOOP\r\n" * 1000
        try:
            async with asyncio.timeout(0.5):
                while sent < 300_000_000:
                    await client.say(noops)
                    sent += len(noops)
        except (TimeoutError, ConnectionError):
            pass
        assert sent < 50_000_000


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,  # TLS where none is spoken
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
        b"\x00" * 100_000,
        b"MAIL FROM:<" * 10_000 + b"\r\n",
        b"EHLO x\r\n" + b"AUTH PLAIN\r\n" * 50,
    ],
)
async def test_any_octets_are_borne(octets: bytes) -> None:
    async with listening(command_timeout=0.5) as stand:
        async with wire(stand) as client:
            await client.say(octets)
            await client.rest()
        await send(stand, PATH)
        assert len(stand.stored) == 1


async def test_a_stop_ends_what_is_open() -> None:
    async with listening() as stand, wire(stand) as client:
        await client.until(lambda got: got.endswith(b"\n"))
        await stand.listener.stop()
        assert await client.rest() == b""


async def test_tls_is_spoken_where_there_is_a_certificate(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    async with listening(tls=ours.server) as stand:
        smtp = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=stand.listener.port, start_tls=True, validate_certs=False
        )
        async with smtp:
            await smtp.sendmail("", [PATH], CONTENT)
        assert len(stand.stored) == 1
