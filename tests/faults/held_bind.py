"""A whole bind above the link: its session, its submits and its pace, over stores in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import structlog
from structlog.testing import capture_logs

from actors.bind_session import BindSession, Ears
from hermes.core.carrier import Bind, Carrier, Tls
from hermes.core.event import Event
from hermes.core.ids import attempt_id, encode_message_id
from hermes.ports.link import Inbound, Link
from hermes.ports.stream import EVENTS
from hermes.settings.tree import Smpp
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu
from tests.contract.scripted_smsc import Conversation, Script, answer_to, smsc
from tests.faults.row import now
from tests.faults.socket_loop import ROW_LIMIT
from tests.property.pacing_carrier import Limit
from tests.unit.actors.bind_world import World, job

DESTINATIONS = 20


class Counter:
    """What the carrier saw: when it accepted which message, and what it refused."""

    def __init__(self) -> None:
        self.accepted: list[tuple[float, str, int]] = []
        self.refused = 0
        self.binds: list[float] = []

    def accept(self, pdu: Pdu) -> None:
        """Note a submit that was accepted."""
        number = int(pdu.octets("short_message"))
        self.accepted.append((now(), pdu.text("destination_addr"), number))

    @property
    def numbers(self) -> list[int]:
        """The messages that were accepted, in order of their numbers."""
        return sorted(number for _, _, number in self.accepted)

    @property
    def is_in_order(self) -> bool:
        """Whether each destination got its messages in their order."""
        by_destination: dict[str, list[int]] = defaultdict(list)
        for _, destination, number in self.accepted:
            by_destination[destination].append(number)
        return all(numbers == sorted(numbers) for numbers in by_destination.values())

    def rate(self, begin: float, end: float) -> float:
        """Accepted per second between two times."""
        return sum(begin <= at < end for at, _, _ in self.accepted) / (end - begin)


class LimitedCarrier:
    """Answers each submit after `latency` s, with `status` where the limit does not accept it."""

    def __init__(self, limit: Limit, status: int = 0x58, latency: float = 0.05) -> None:
        self.limit, self.status, self.latency = limit, status, latency
        self.seen = Counter()
        self.began = 0.0

    async def __call__(self, talk: Conversation) -> None:
        """Serve a session."""
        await talk.bind()
        self.seen.binds.append(now())
        self.began = self.began or now()
        loop = asyncio.get_running_loop()
        while True:
            pdu = await talk.read()
            if pdu.command == "submit_sm":
                is_taken = self.limit.accepts(now() - self.began)
                loop.call_later(self.latency, self.answer, talk, pdu, is_taken)
            elif not pdu.is_response:
                await talk.answer(pdu)

    def answer(self, talk: Conversation, pdu: Pdu, is_taken: bool) -> None:
        """Answer one."""
        if is_taken:
            self.seen.accept(pdu)
            answer = answer_to(pdu, message_id=str(len(self.seen.accepted)))
        else:
            self.seen.refused += 1
            answer = answer_to(pdu, self.status, message_id="")
        talk.transport.write(encode(answer))


class HeldBind:
    """A bind that holds as many jobs as its window allows, of those that wait."""

    def __init__(self, engine: Any, port: int, window: int, smpp: Smpp) -> None:
        bind = Bind(
            id="1",
            host="127.0.0.1",
            port=port,
            system_id="esme",
            window=window,
            tls=Tls(insecure=True),
            engine=engine,
        )
        self.window = window
        self.problems: list[str] = []
        self.world = World(Carrier(id="sim", bind=(bind,)))
        self.submits = self.world.submits
        self.submits.on_change = self.feed
        ears = Ears(
            on_deliver=self.on_deliver,
            on_bound=self.on_bound,
            on_unbound=self.submits.unlink,
            on_credit=self.submits.wake_up,
            on_late=self.submits.on_late,
            on_congestion=self.submits.on_congestion,
            on_nack=self.submits.on_nack,
            on_problem=self.problems.append,
        )
        self.session = BindSession(bind, smpp, ears, structlog.get_logger())
        self.submits.on_wrong = self.session.rebind
        self.waiting: list[bytes] = []
        self.told: list[Event] = []
        self.inbound: list[Inbound] = []
        self.logs: list[MutableMapping[str, Any]] = []

    def on_deliver(self, inbound: Inbound, link: Link) -> None:
        """A PDU came."""
        self.inbound.append(inbound)
        link.answer(inbound, 0)

    def on_bound(self, link: Link) -> None:
        """Traffic may flow."""
        self.submits.link = link
        self.submits.wake_up()

    def send(self, count: int, text: str = "") -> None:
        """Messages to the destinations in turn; each says its number."""
        for number in range(count):
            name = attempt_id(encode_message_id(UUID(int=number)), 0, 0)
            to = f"+4520{number % DESTINATIONS:06d}"
            self.waiting.append(job(name, to, sender="HERMES", text=text or str(number)))
        self.waiting.reverse()
        self.feed()

    def feed(self) -> None:
        """Take jobs as the demand would: a window to send, and one ready."""
        self.record()
        while self.waiting and len(self.submits.held) < 2 * self.window:
            self.world.hold(self.waiting.pop())

    async def until_idle(self, deadline: float = 3_600.0) -> None:
        """Wait until every message has its outcome, told and acknowledged."""
        async with asyncio.timeout(deadline):
            while self.waiting or self.submits.held or not self.submits.outcomes.is_idle:
                await asyncio.sleep(0.05)
                self.feed()

    def record(self) -> None:
        """Take the events from the belt, which is slow with many."""
        self.told += self.world.events()
        self.world.streams.streams[EVENTS].messages.clear()

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events told."""
        self.record()
        return [event.kind for event in self.told]

    @property
    def losses(self) -> list[MutableMapping[str, Any]]:
        """The log lines of sessions that ended."""
        return [line for line in self.logs if line["event"] == "bind.lost"]


@asynccontextmanager
async def held(
    engine: str, script: Script, *, window: int = 10, smpp: Smpp | None = None
) -> AsyncIterator[HeldBind]:
    """A bind that is held through all the sessions it needs."""
    with capture_logs() as logs:
        async with asyncio.timeout(ROW_LIMIT), smsc(patient(script)) as port:
            bind = HeldBind(engine, port, window, smpp or Smpp())
            bind.logs = logs
            await bind.world.streams.ensure([bind.world.carrier])
            work: Sequence[asyncio.Task[None]] = [
                asyncio.create_task(bind.session.hold_forever()),
                asyncio.create_task(bind.submits.submit_forever()),
                asyncio.create_task(bind.submits.outcomes.settle_forever()),
                asyncio.create_task(bind.submits.outcomes.tell_forever()),
            ]
            try:
                yield bind
                assert not any(task.done() for task in work), work
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)


def patient(script: Script) -> Script:
    """A carrier that waits for the ESME as long as a test lasts."""

    async def serve(talk: Conversation) -> None:
        talk.deadline = 100_000.0
        await script(talk)

    return serve
