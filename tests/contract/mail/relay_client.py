"""The sending end of a relay test: a relay that records, and the accounts that have to add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from hermes.adapters.relay_pool import RelayPool
from hermes.mail.hello import Account
from hermes.mail.message import ON_TROUBLE, Mail
from hermes.ports.link import Lost, NotSent
from hermes.ports.relay import (
    Relay,
    RelayClosed,
    RelayEvent,
    RelayOpened,
    RelayResult,
    RelaySettings,
)

DEADLINE = 10.0
ACCOUNT = Account("hermes.acme.example", security="plain")
CONTENT = b"Subject: hello\r\nMessage-ID: <ref@acme.example>\r\n\r\nhello\r\n.\r\nbye\r\n"
E = TypeVar("E")


def mail_to(recipient: str, content: bytes = CONTENT, **more: Any) -> Mail:
    more = {"reference": recipient, "envelope_id": "ref", "notify": ON_TROUBLE, **more}
    return Mail("b+ref@bounce.acme.example", recipient, content, **more)


def relay_settings(port: int, **more: Any) -> RelaySettings:
    return RelaySettings("127.0.0.1", port, **{"account": ACCOUNT, "connect_timeout": 5.0, **more})


async def until(true: Callable[[], bool], deadline: float = DEADLINE) -> None:
    async with asyncio.timeout(deadline):
        while not true():
            await asyncio.sleep(0.002)


class Client:
    """A relay, what it told, and every submit with its outcome."""

    def __init__(self, make: Callable[[Callable[[RelayEvent], None]], Relay]) -> None:
        self.events: list[RelayEvent] = []
        self.submits: list[asyncio.Future[RelayResult]] = []
        self.relay = make(self.events.append)
        self.life = asyncio.create_task(self.relay.run())

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def opened(self) -> None:
        await until(lambda: bool(self.of(RelayOpened)) or self.life.done())
        assert not self.life.done(), self.life

    def submit(self, recipient: str, **more: Any) -> asyncio.Future[RelayResult]:
        future = self.relay.submit(mail_to(recipient, **more))
        future.add_done_callback(lambda done: done.exception())
        self.submits.append(future)
        return future

    def begin(self, recipient: str, **more: Any) -> None:
        """Submit and leave the outcome to `outcomes`."""
        self.submit(recipient, **more).add_done_callback(lambda _: None)

    async def send(self, recipient: str, **more: Any) -> RelayResult:
        return await asyncio.wait_for(self.submit(recipient, **more), DEADLINE)

    async def send_many(self, count: int, recipient: str) -> Counter[str]:
        """Submit as the credit allows; how many ended how."""
        for _ in range(count):
            await until(lambda: self.relay.credit > 0 or self.life.done())
            self.begin(recipient)
        return await self.outcomes()

    async def outcomes(self) -> Counter[str]:
        _, left = await asyncio.wait(self.submits, timeout=DEADLINE)
        assert not left, f"{len(left)} submits have no outcome"
        return Counter(map(outcome, self.submits))

    async def end(self) -> None:
        """Stop the relay; every submit has one outcome, and a run that opened was closed."""
        self.life.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self.life
        assert all(future.done() for future in self.submits)
        assert len(self.of(RelayOpened)) == len(self.of(RelayClosed))
        assert self.relay.credit == 0


def outcome(future: asyncio.Future[RelayResult]) -> str:
    error = future.exception()
    if error is None:
        result = future.result()
        return "accepted" if result.is_accepted else f"{result.reply.code} {result.stage.value}"
    assert isinstance(error, Lost | NotSent)
    return type(error).__name__


@asynccontextmanager
async def client(port: int, **more: Any) -> AsyncIterator[Client]:
    """A pool towards a port of this machine."""
    settings = relay_settings(port, **more)
    made = Client(lambda on_event: RelayPool(settings, on_event))
    try:
        yield made
    finally:
        await made.end()
