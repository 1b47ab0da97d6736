"""SMTP servers on asyncio: the sans-I/O session, judged by a handler, bounded in every way."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, assert_never, cast

from hermes.mail.reply import Reply, encode_reply
from hermes.mail.server import ServerSession
from hermes.mail.server_effect import (
    Ask,
    AskContent,
    AskRecipient,
    AskSender,
    End,
    Question,
    Send,
    ServerEffect,
    ServerPolicy,
    StartTls,
    Transaction,
)

BUSY: Final = Reply(421, ("4.3.2 too many connections",))
FAILED: Final = Reply(451, ("4.3.0 try again later",))
CLOSE_WAIT: Final = 1.0


class Hangup(Exception):
    """Raised by a handler: close the connection without a reply."""


class MailHandler(Protocol):
    """Judges what comes; replies of 2yz accept. May raise Hangup and nothing else."""

    async def on_sender(self, transaction: Transaction) -> Reply:
        """May this sender begin?"""
        ...

    async def on_recipient(self, transaction: Transaction, recipient: str) -> Reply:
        """May it go to this recipient?"""
        ...

    async def on_content(self, transaction: Transaction, content: bytes) -> Reply:
        """The whole mail; the reply says who is responsible for it from here."""
        ...


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where to listen (port 0: any), how many connections to bear, in all and of one address."""

    host: str
    port: int
    max_connections: int = 100
    max_per_peer: int = 20
    tls: ssl.SSLContext | None = None


class SmtpServer:
    """A listening server: `start`, `port`, `stop`."""

    def __init__(self, place: ServerPlace, policy: ServerPolicy, handler: MailHandler) -> None:
        self.place, self.policy, self.handler = place, policy, handler
        self.port = 0
        self.refused_count = 0
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        place = self.place
        self._server = await loop.create_server(self._connected, place.host, place.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and cut what is connected: nothing that had its 2yz is lost by that."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abandon()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _connected(self) -> asyncio.Protocol:
        return _Connection(self)

    def enter(self, connection: _Connection, peer: str) -> bool:
        """Count a connection in, unless there are too many."""
        place = self.place
        if len(self._connections) >= place.max_connections or (
            self._peers[peer] >= place.max_per_peer
        ):
            self.refused_count += 1
            return False
        self._connections.add(connection)
        self._peers[peer] += 1
        return True

    def leave(self, connection: _Connection, peer: str) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Connection(asyncio.Protocol):
    """One connection; it reads nothing while a question is open."""

    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self.peer = ""
        self._is_asking = self._is_choked = self._is_in = self._is_shaking = False
        self._early = b""
        self._loop = asyncio.get_running_loop()
        self._session = ServerSession(server.policy, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say that there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._is_in = self.server.enter(self, self.peer)
        if not self._is_in:
            self._transport.write(encode_reply(BUSY))
            self._transport.close()
            return
        self._perform(self._session.greet())

    def data_received(self, data: bytes) -> None:
        """Octets of any split."""
        if self._is_shaking:  # over TLS already: the handshake's task has not woken up yet
            self._early += data
        elif self._is_in:
            self._perform(self._session.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """The client is gone; a mail it gave whole is still judged."""
        if self._is_in:
            self.server.leave(self, self.peer)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The client reads none of the replies: no more of its commands."""
        self._is_choked = True
        self._set_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_choked = False
        self._set_reading()

    def abandon(self) -> None:
        """Cut the connection without another word."""
        if self._transport is not None:
            self._transport.abort()

    def _perform(self, effects: list[ServerEffect]) -> None:
        transport = self._transport
        assert transport is not None
        for effect in effects:
            match effect:
                case Send(octets=octets):
                    transport.write(octets)
                case StartTls():
                    self._is_shaking = True
                    transport.pause_reading()  # not a word in the clear from here
                    self._later(self._upgrade())
                case Ask(question=question):
                    self._is_asking = True
                    self._set_reading()
                    self._later(self._judge(question))
                case End():
                    transport.close()
                    self._loop.call_later(CLOSE_WAIT, transport.abort)
                case _:
                    assert_never(effect)
        self._arm()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self.server.keep(self._loop.create_task(work))

    def _set_reading(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._is_asking or self._is_choked:
            transport.pause_reading()
        else:
            transport.resume_reading()

    async def _judge(self, question: Question) -> None:
        handler = self.server.handler
        try:
            match question:
                case AskSender(transaction=transaction):
                    reply = await handler.on_sender(transaction)
                case AskRecipient(transaction=transaction, recipient=recipient):
                    reply = await handler.on_recipient(transaction, recipient.address)
                case AskContent(transaction=transaction, content=content):
                    reply = await handler.on_content(transaction, content)
                case _:
                    assert_never(question)
        except Hangup:
            self.abandon()
            return
        if self._transport is not None and not self._transport.is_closing():
            self._is_asking = False
            self._set_reading()
            self._perform(self._session.answer(reply, self._loop.time()))

    async def _upgrade(self) -> None:
        transport, context = self._transport, self.server.place.tls
        assert transport is not None
        assert context is not None
        try:
            secured = await self._loop.start_tls(transport, self, context, server_side=True)
        except OSError:
            transport.abort()
            return
        if secured is not None:
            self._transport, self._is_shaking = secured, False
            self._perform(self._session.secured(self._loop.time()))
            self.data_received(self._early)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._session.next_deadline < float("inf"):
            delay = max(0.001, self._session.next_deadline - self._loop.time())
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._perform(self._session.tick(self._loop.time()))
