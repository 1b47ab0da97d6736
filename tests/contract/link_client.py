"""The ESME's end of a link test: a link that records, and the accounts that have to add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from hermes.adapters.link_aiosmpplib import AiosmpplibLink
from hermes.adapters.link_native import NativeLink
from hermes.ports.link import (
    Bound,
    Inbound,
    Link,
    LinkEvent,
    LinkSettings,
    Lost,
    NoResponse,
    NotSent,
    SubmitResult,
    WirePdu,
)
from hermes.smpp.encode import encode_submit_sm
from hermes.smpp.pdu import SubmitSm
from hermes.smpp.segment import single_segment
from hermes.smpp.tlv import Tlv, TlvTag

DEADLINE = 5.0
E = TypeVar("E")
Factory = Callable[[LinkSettings, Callable[[Inbound], None], Callable[[LinkEvent], None]], Link]
ENGINES: dict[str, Factory] = {"aiosmpplib": AiosmpplibLink, "native": NativeLink}
SETTINGS = LinkSettings(
    "127.0.0.1",
    0,
    "esme",
    "secret",
    window=5,
    response_timeout=3.0,
    enquire_interval=20.0,
    enquire_timeout=2.0,
    bind_timeout=2.0,
)


def submit_pdu(
    text: str = "hello", reference: str = "", receipt: bool = False, payload: bytes = b""
) -> WirePdu:
    segment = single_segment(text)
    sm = SubmitSm(
        source_addr="HERMES",
        source_addr_ton=5,
        destination_addr="447700900123",
        short_message=segment.octets,
        data_coding=segment.data_coding,
        registered_delivery=int(receipt),
        tlvs=(Tlv(TlvTag.message_payload, payload),) if payload else (),
    )
    return WirePdu(encode_submit_sm(sm), reference)


class Client:
    """A link, what it told, and every submit with its outcome."""

    def __init__(self, engine: str, settings: LinkSettings, answer: bool = True) -> None:
        self.events: list[LinkEvent] = []
        self.inbound: list[Inbound] = []
        self.submits: list[asyncio.Future[SubmitResult]] = []
        self._answer = answer
        self.settings = settings
        self.link = ENGINES[engine](settings, self._on_deliver, self.events.append)
        self.life: asyncio.Task[str] = asyncio.create_task(self.link.run())

    def _on_deliver(self, inbound: Inbound) -> None:
        self.inbound.append(inbound)
        if self._answer:
            self.link.answer(inbound, 0)

    async def bound(self) -> None:
        await self.until(lambda: bool(self.of(Bound)) or self.life.done())
        assert not self.life.done(), self.life

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, true: Callable[[], bool], deadline: float = DEADLINE) -> None:
        async with asyncio.timeout(deadline):
            while not true():
                await asyncio.sleep(0.002)

    def submit(self, *args: Any, **kwargs: Any) -> asyncio.Future[SubmitResult]:
        future = self.link.submit(submit_pdu(*args, **kwargs))
        self.submits.append(future)
        return future

    def send(self, *args: Any, **kwargs: Any) -> None:
        """Submit and leave the outcome to `outcomes`."""
        self.submit(*args, **kwargs).add_done_callback(lambda _: None)

    async def submit_many(self, count: int) -> None:
        """Submit as the credit allows, until all are out or the link ended."""
        for number in range(count):
            await self.until(lambda: self.link.credit > 0 or self.life.done())
            self.send(f"message {number}", reference=str(number))

    async def reason(self, deadline: float = DEADLINE) -> str:
        return await asyncio.wait_for(asyncio.shield(self.life), deadline)

    async def outcomes(self, deadline: float = DEADLINE) -> Counter[str]:
        """How many submits ended how; every one has ended."""
        if self.submits:
            _, open_ = await asyncio.wait(self.submits, timeout=deadline)
            assert not open_, f"{len(open_)} submits have no outcome"
        return Counter(map(outcome, self.submits))

    async def end(self) -> None:
        """Stop the link; the accounts have to add up and nothing may be left running."""
        self.life.cancel()
        await asyncio.wait([self.life], timeout=2.0)
        assert self.life.done()
        tally = await self.outcomes(0.1)
        assert tally.total() == len(self.submits)
        assert self.link.credit == 0
        left = [task.get_name() for task in asyncio.all_tasks() if "smpp" in task.get_name()]
        assert left == []


def outcome(future: asyncio.Future[SubmitResult]) -> str:
    error = future.exception()
    match error:
        case None:
            return "accepted" if future.result().status == 0 else "refused"
        case NotSent() | Lost() | NoResponse():
            return type(error).__name__
        case _:
            raise error


@asynccontextmanager
async def client(
    engine: str, port: int, *, answer: bool = True, **settings: Any
) -> AsyncIterator[Client]:
    """A client whose link has been started, stopped at the end with its accounts checked."""
    made = Client(engine, replace(SETTINGS, port=port, **settings), answer)
    try:
        yield made
    finally:
        await made.end()
