"""A relay account over several SMTP connections, opened as mail needs them."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hermes.adapters.link_stream import tls_context
from hermes.adapters.relay_asyncio import SmtpConnection
from hermes.mail.message import Mail
from hermes.ports.link import CreditChanged, NotSent
from hermes.ports.relay import (
    RelayClosed,
    RelayEvent,
    RelayOpened,
    RelayRefused,
    RelayResult,
    RelaySettings,
)

NARROW_FOR: Final = 30.0
"""Seconds without a further connection after the relay let one not in."""
MAX_BARREN: Final = 3
"""Connections in a row that were lost without an answer to a mail: then the life ends."""


class RelayPool:
    """One relay account; see `hermes.ports.relay.Relay` for the contract of the public methods."""

    def __init__(self, settings: RelaySettings, on_event: Callable[[RelayEvent], None]) -> None:
        self.settings = settings
        self.on_event = on_event
        self._over: asyncio.Future[str] | None = None
        self._gone = asyncio.Event()
        self._context: ssl.SSLContext | None = None
        self._connections: dict[SmtpConnection, asyncio.Task[None]] = {}
        self._waiting: deque[tuple[Mail, asyncio.Future[RelayResult]]] = deque()
        self._is_open = self._is_draining = False
        self._barren = 0
        self._narrow_until = self._paused_until = 0.0

    @property
    def credit(self) -> int:
        """See `Relay.credit`."""
        if not self._is_open or self._is_draining or self._is_paused():
            return 0
        return max(0, self._width() - self._busy_count() - len(self._waiting))

    async def run(self) -> str:
        """See `Relay.run`."""
        if self._over is not None:
            raise RuntimeError("the relay runs already")
        loop = asyncio.get_running_loop()
        if self.settings.account.security != "plain":
            self._context = tls_context(self.settings.tls)
        over: asyncio.Future[str] = loop.create_future()
        self._over = over
        self._gone.clear()
        self._is_draining, self._barren, self._narrow_until = False, 0, 0.0
        reason = "cancelled"
        try:
            self._open_one()
            reason = await over
            return reason
        except (RelayRefused, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            was_open, self._is_open = self._is_open, False
            await self._end_all(reason)
            self._over = None
            self._gone.set()
            if was_open:
                self.on_event(RelayClosed(reason))

    def submit(self, mail: Mail) -> asyncio.Future[RelayResult]:
        """See `Relay.submit`."""
        future: asyncio.Future[RelayResult] = asyncio.get_running_loop().create_future()
        if self.credit <= 0:
            future.set_exception(NotSent("no credit"))
            return future
        free = next((each for each in self._connections if each.is_free), None)
        if free is not None:
            free.submit(mail, future)
            return future
        self._waiting.append((mail, future))
        self._open_if_needed()
        return future

    def pause(self, seconds: float) -> None:
        """See `Relay.pause`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            loop.call_later(seconds, self._on_time)

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Relay.drain`."""
        over = self._over
        if over is None:
            return
        self._is_draining = True
        self._hand_back("the relay is draining")
        for connection in list(self._connections):
            connection.quit()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while tasks := list(self._connections.values()):
                    await asyncio.wait(tasks)
        self._finish("drained")
        await self._gone.wait()

    # ------------------------------------------------------------------ connections

    def _open_if_needed(self) -> None:
        """Open a connection for a mail that waits, unless one is being opened for it."""
        opening = sum(not each.was_opened for each in self._connections)
        if opening < len(self._waiting) and len(self._connections) < self._width():
            self._open_one()

    def _open_one(self) -> None:
        connection = SmtpConnection(self.settings, self._context, self._on_free)
        self._connections[connection] = asyncio.get_running_loop().create_task(
            self._live(connection)
        )

    async def _live(self, connection: SmtpConnection) -> None:
        failure: Exception | None = None
        try:
            await connection.run()
        except (RelayRefused, OSError, TimeoutError) as error:
            failure = error
        finally:
            del self._connections[connection]
        if self._over is None or self._over.done() or self._is_draining:
            return
        if failure is not None:
            self._on_refused(failure)
        else:
            self._on_ended(connection)

    def _on_refused(self, failure: Exception) -> None:
        """A further connection was not to be had: make do with those that are open."""
        if not self._connections:
            self._finish(failure)
            return
        loop = asyncio.get_running_loop()
        self._narrow_until = loop.time() + NARROW_FOR
        loop.call_later(NARROW_FOR, self._on_time)

    def _on_ended(self, connection: SmtpConnection) -> None:
        end = connection.end
        assert end is not None
        self._barren = 0 if end.is_orderly or connection.answer_count else self._barren + 1
        if self._barren >= MAX_BARREN:
            self._finish(f"{self._barren} sessions in a row brought no answer: {end.reason}")
            return
        self._open_if_needed()
        self.on_event(CreditChanged(self.credit))

    def _on_free(self, connection: SmtpConnection) -> None:
        if not self._is_open:
            self._is_open = True
            self.on_event(RelayOpened(connection.extensions))
        while self._waiting and connection.is_free:
            mail, future = self._waiting.popleft()
            if not future.done():
                connection.submit(mail, future)
        if self.credit:
            self.on_event(CreditChanged(self.credit))

    def _on_time(self) -> None:
        """A pause or a narrow time may be over."""
        if self.credit:
            self.on_event(CreditChanged(self.credit))

    # ------------------------------------------------------------------ accounts

    def _is_paused(self) -> bool:
        return asyncio.get_running_loop().time() < self._paused_until

    def _width(self) -> int:
        """How many connections there may be now."""
        if asyncio.get_running_loop().time() < self._narrow_until:
            return max(1, len(self._connections))
        return self.settings.connections

    def _busy_count(self) -> int:
        return sum(each.is_busy for each in self._connections)

    def _hand_back(self, why: str) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(NotSent(why))

    def _finish(self, how: str | Exception) -> None:
        """End the life, once."""
        if self._over is None or self._over.done():
            return
        if isinstance(how, str):
            self._over.set_result(how)
        else:
            self._over.set_exception(how)

    async def _end_all(self, reason: str) -> None:
        self._hand_back(reason)
        tasks = list(self._connections.values())
        for connection in list(self._connections):
            connection.abandon(reason)
        if tasks:
            await asyncio.wait(tasks)
