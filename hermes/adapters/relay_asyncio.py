"""One SMTP connection: the sans-I/O client session on an asyncio.Protocol, with TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, assert_never, cast

from hermes.mail.hello import Extensions
from hermes.mail.message import Mail
from hermes.mail.session import Session
from hermes.mail.session_effect import (
    Answered,
    Effect,
    End,
    Free,
    NotSent,
    Opened,
    Outcome,
    Refuse,
    Send,
    Settle,
    StartTls,
    Uncertain,
)
from hermes.ports.link import Lost
from hermes.ports.link import NotSent as HandedBack
from hermes.ports.relay import RelayRefused, RelayResult, RelaySettings

CLOSE_WAIT: Final = 0.5
"""Seconds a connection may take to close in order before it is cut."""


class SmtpConnection(asyncio.Protocol):
    """One connection from connecting to its end; used once.

    `on_free` is called whenever the next mail may come, the first time when it is open.
    """

    def __init__(
        self,
        settings: RelaySettings,
        context: ssl.SSLContext | None,
        on_free: Callable[[SmtpConnection], None],
    ) -> None:
        self.settings, self._context, self._on_free = settings, context, on_free
        self.session = Session(settings.account, settings.timers, settings.max_messages)
        self.end: End | None = None
        self.was_opened = False
        self.answer_count = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[RelayResult] | None = None
        self._submitted_at = 0.0
        self._fault: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._ended, self._closed = asyncio.Event(), asyncio.Event()

    @property
    def is_free(self) -> bool:
        """Whether a mail may be submitted."""
        return self.session.is_free

    @property
    def is_busy(self) -> bool:
        """Whether a mail is under way."""
        return self._future is not None

    @property
    def extensions(self) -> Extensions:
        """What the server offers."""
        return self.session.extensions

    async def run(self) -> End:
        """Connect, open a session and live; how it ended.

        Raises RelayRefused, TimeoutError and OSError when no session came about.
        """
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await self._connect()
            await self._ended.wait()
        finally:
            self.abandon("cancelled")
            await self._close()
        if self._fault is not None:
            raise self._fault
        assert self.end is not None
        if not self.was_opened and not self.end.is_orderly:
            raise ConnectionResetError(f"{self.end.reason}, before the session was open")
        return self.end

    def submit(self, mail: Mail, future: asyncio.Future[RelayResult]) -> None:
        """Send a mail; only while `is_free`."""
        self._future, self._submitted_at = future, self._loop.time()
        self._perform(self.session.submit(mail, self._loop.time()))

    def quit(self) -> None:
        """End in order, after the mail under way."""
        self._perform(self.session.quit(self._loop.time()))

    def abandon(self, reason: str) -> None:
        """End now, whatever is under way."""
        self._perform(self.session.lost(reason))

    # ------------------------------------------------------------------ the connection

    async def _connect(self) -> None:
        settings = self.settings
        is_implicit = settings.account.security == "implicit"
        name = settings.tls.server_name or settings.host
        await self._loop.create_connection(
            lambda: self,
            settings.host,
            settings.port,
            ssl=self._context if is_implicit else None,
            server_hostname=name if is_implicit else None,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting, unless `run` was cancelled meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        if self.end is not None:
            self._transport.abort()
            return
        self._perform(self.session.begin(self._loop.time()))

    def data_received(self, data: bytes) -> None:
        """Octets of any split."""
        self._perform(self.session.receive(data, self._loop.time()))

    def eof_received(self) -> None:
        """The server closed."""
        self.abandon("connection closed by the relay")

    def connection_lost(self, exc: Exception | None) -> None:
        """End, unless the end was ours."""
        self._closed.set()
        self.abandon(f"connection lost: {exc}" if exc else "connection closed by the relay")

    async def _upgrade(self) -> None:
        settings, transport = self.settings, self._transport
        assert transport is not None
        assert self._context is not None
        try:
            secured = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_hostname=settings.tls.server_name or settings.host,
                ssl_handshake_timeout=settings.timers.command,
            )
        except OSError as error:
            self._fault = self._fault or error
            self.abandon(f"TLS: {error}")
            return
        if secured is None:
            self.abandon("connection lost in the TLS handshake")
            return
        self._transport = secured
        self._perform(self.session.secured(self._loop.time()))

    async def _close(self) -> None:
        """Close in order where the session ended so; a server that reads nothing is cut off."""
        if self._handshake is not None:
            self._handshake.cancel()
            await asyncio.wait([self._handshake])
        if self._transport is None:
            return
        if self.end is not None and self.end.is_orderly:
            self._transport.close()
            try:
                async with asyncio.timeout(CLOSE_WAIT):
                    await self._closed.wait()
            except TimeoutError:
                pass
        self._transport.abort()

    # ------------------------------------------------------------------ what the session says

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(octets=octets):
                    if self._transport is not None and not self._transport.is_closing():
                        self._transport.write(octets)
                case StartTls():
                    self._handshake = self._loop.create_task(self._upgrade())
                case Settle(outcome=outcome):
                    self._settle(outcome)
                case Opened():
                    self.was_opened = True
                    self._on_free(self)
                case Free():
                    self._on_free(self)
                case Refuse(stage=stage, why=why, reply=reply):
                    self._fault = RelayRefused(stage, why, reply)
                case End():
                    self.end = effect
                    self._ended.set()
                case _:
                    assert_never(effect)
        self._arm()

    def _settle(self, outcome: Outcome) -> None:
        future, self._future = self._future, None
        if isinstance(outcome, Answered):
            self.answer_count += 1
        if future is None or future.done():  # the caller gave it up
            return
        match outcome:
            case Answered(reply=reply, stage=stage):
                latency = self._loop.time() - self._submitted_at
                future.set_result(RelayResult(reply, stage, latency))
            case NotSent(why=why):
                future.set_exception(HandedBack(why))
            case Uncertain(why=why):
                future.set_exception(Lost(why))
            case _:
                assert_never(outcome)

    def _arm(self) -> None:
        """Set the one timer to the session's deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.end is None and self.session.next_deadline < float("inf"):
            delay = max(0.001, self.session.next_deadline - self._loop.time())
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._perform(self.session.tick(self._loop.time()))
