"""Sends the reports of a sink to the listener they are for, again until it takes them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from hermes.adapters.relay_pool import RelayPool
from hermes.mail.hello import Account
from hermes.mail.message import Mail
from hermes.ports.link import Lost, NotSent
from hermes.ports.relay import RelayRefused, RelaySettings

RETRY_EVERY: Final = 0.5
MAX_TRIES: Final = 600
MAX_WAITING: Final = 10_000
CONNECTIONS: Final = 4


class Reporter:
    """Sends mails to one place; `start`, `send`, `stop`. What is left at the stop is dropped."""

    def __init__(self, host: str, port: int, name: str) -> None:
        settings = RelaySettings(
            host, port, Account(name, security="plain"), connections=CONNECTIONS
        )
        self.sent_count = self.dropped_count = 0
        self._relay = RelayPool(settings, lambda _: None)
        self._waiting: asyncio.Queue[Mail] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting_count(self) -> int:
        """Reports that are not on their way yet."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        works = [self._hold_forever(), *(self._send_forever() for _ in range(CONNECTIONS))]
        self._tasks = [loop.create_task(work) for work in works]

    def send(self, mail: Mail) -> None:
        """Send a report as soon as it can be; too many waiting drop it."""
        try:
            self._waiting.put_nowait(mail)
        except asyncio.QueueFull:
            self.dropped_count += 1

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _hold_forever(self) -> None:
        while True:
            with suppress(OSError, TimeoutError, RelayRefused):
                await self._relay.run()
            await asyncio.sleep(RETRY_EVERY)

    async def _send_forever(self) -> None:
        while True:
            mail = await self._waiting.get()
            for _ in range(MAX_TRIES):
                if await self._is_done_with(mail):
                    break
                await asyncio.sleep(RETRY_EVERY)
            else:
                self.dropped_count += 1

    async def _is_done_with(self, mail: Mail) -> bool:
        try:
            result = await self._relay.submit(mail)
        except (NotSent, Lost):
            return False
        if result.is_accepted:
            self.sent_count += 1
            return True
        if result.reply.code >= 500:
            self.dropped_count += 1
            return True
        return False
