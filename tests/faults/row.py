"""One row of the fault table: a carrier that misbehaves in its first session, and what must hold.

The default is a window of 5, a response timer of 3 s, 20 messages and a fault after the third
submit. After every row each submit has one outcome, and the same link binds again with its whole
window.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from hermes.ports.link import Bound, Unbound
from hermes.smpp.command import CommandId
from hermes.smpp.pdu import Pdu
from tests.contract.link_client import SETTINGS, Client, outcome
from tests.contract.scripted_smsc import Conversation, Script, accept_all, smsc
from tests.faults.socket_loop import LATE, ROW_LIMIT, SocketLoop
from tests.faults.virtual_loop import VirtualLoop

MESSAGES = 20
FAULT_AFTER = 3
PATIENCE = 120.0
"""Seconds after which a wait of a row hangs."""
FaultLoop: TypeAlias = VirtualLoop | SocketLoop


class Row(Client):
    """The ESME of a row."""

    async def until(self, true: Callable[[], bool], deadline: float = PATIENCE) -> None:
        """Wait for a condition, looking at it every ten milliseconds."""
        async with asyncio.timeout(deadline):
            while not true():
                await asyncio.sleep(0.01)

    async def submit_many(self, count: int = MESSAGES) -> None:
        """Submit as the credit allows, until all are out or the link ended."""
        for number in range(count):
            while self.link.credit == 0 and not self.life.done():
                await self.an_answer()
            self.send(f"message {number}", reference=str(number))

    async def an_answer(self) -> None:
        """Wait until a submit or the life ends, or a moment if none of the last is open."""
        last = self.submits[-self.settings.window :]
        waited: list[asyncio.Future[Any]] = [self.life]
        waited += [future for future in last if not future.done()]
        timeout = None if len(waited) > self.settings.window else 0.01
        await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def tally(self) -> dict[str, int]:
        """How many submits ended how, once all have."""
        return dict(await self.outcomes(PATIENCE))

    async def all_accepted(self, count: int = MESSAGES) -> bool:
        """Whether the submits were accepted, all of them in the one session."""
        tally = await self.tally()
        return tally == {"accepted": count} and len(self.of(Bound)) == 1 and not self.life.done()

    def statuses(self) -> list[int]:
        """command_status of every submit that was answered, in order."""
        return [f.result().status for f in self.submits if f.exception() is None]

    async def check_accounts(self) -> None:
        """Every submit has its outcome, and a session that lives has its whole window."""
        tally = await self.outcomes(PATIENCE)
        assert tally.total() == len(self.submits)
        if self.of(Bound) and not self.life.done():
            assert self.link.credit == self.settings.window

    async def bind_again(self) -> None:
        """End this life, live another with a carrier in order: nothing was left behind."""
        self.life.cancel()
        await asyncio.wait([self.life], timeout=1.0 + LATE)
        assert self.life.done(), "the link does not end"
        assert self.link.credit == 0
        assert outcome(self.submit()) == "NotSent"
        self.events.clear()
        self.life = asyncio.create_task(self.link.run())
        await self.bound()
        assert self.link.credit == self.settings.window
        before = len(self.submits)
        await self.submit_many(2 * self.settings.window)
        await asyncio.gather(*self.submits[before:])
        assert self.link.credit == self.settings.window
        await self.link.drain()
        assert await self.reason() == "drained"
        assert self.events[-1] == Unbound("drained")


@asynccontextmanager
async def row(
    engine: str,
    script: Script,
    *,
    answer: bool = True,
    lives: int = 1,
    room: int | None = None,
    **settings: Any,
) -> AsyncIterator[Row]:
    """A link whose first `lives` sessions meet the script, and those after it `accept_all`.

    `room` is how many octets the carrier's kernel takes before the carrier reads them.
    """
    sessions = 0

    async def serve(talk: Conversation) -> None:
        nonlocal sessions
        sessions += 1
        talk.deadline = PATIENCE
        await (script if sessions <= lives else accept_all)(talk)

    async with asyncio.timeout(ROW_LIMIT), smsc(serve) as port:
        if room is not None:
            fault_loop().narrow(port, room)
        esme = Row(engine, replace(SETTINGS, port=port, **settings), answer)
        try:
            yield esme
            await esme.check_accounts()
            await esme.bind_again()
        finally:
            await esme.end()


def accept_and(*injected: Pdu | bytes, seen: list[Pdu] | None = None) -> Script:
    """Accept every submit, send something after the third; `seen` gets all but submits."""

    async def script(talk: Conversation) -> None:
        await talk.bind()
        number = 0
        while True:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                number += 1
                if number == FAULT_AFTER:
                    await talk.send(*injected)
                await talk.answer(pdu, message_id=str(number))
            else:
                if seen is not None:
                    seen.append(pdu)
                if not pdu.is_response:
                    await talk.answer(pdu)

    return script


async def submits(talk: Conversation, count: int) -> list[Pdu]:
    """The next PDUs, which have to be submits."""
    return [await talk.expect(CommandId.submit_sm) for _ in range(count)]


def wire(talk: Conversation) -> asyncio.Transport:
    """The carrier's end of the connection, in memory or on a socket."""
    return cast("asyncio.Transport", talk.transport)


def fault_loop() -> FaultLoop:
    """The running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FaultLoop)
    return loop


def now() -> float:
    """Seconds of the loop's clock, virtual or real."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True, eq=False)
class About:
    """Equal to a duration in seconds that is as long, or later by no more than `LATE`."""

    seconds: float
    tolerance: float = 0.001

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and (
            -self.tolerance <= other - self.seconds <= self.tolerance + LATE
        )

    __hash__ = None  # type: ignore[assignment]  # durations near each other are no keys
