"""The outbound side of a bind over stores in memory, and a link the test answers for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import time
from typing import cast
from uuid import UUID

import msgspec
import structlog

from actors.bind_submits import Submits
from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from actors.outside import BindOutside
from hermes.core.carrier import Bind, Carrier
from hermes.core.errors import StoreUnavailable
from hermes.core.event import Event, Source, decode_envelope
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import Job, encode_job
from hermes.core.witness import Witness
from hermes.metrics import Metrics
from hermes.ports.link import Link, SubmitResult, WirePdu
from hermes.ports.stream import EVENTS, Delivery, Publication, PublishResult
from hermes.smpp.decode import decode
from hermes.smpp.pacing import Pacing
from hermes.smpp.pdu import Pdu
from hermes.testing.memory_claims import MemoryClaims, MemoryLeases
from hermes.testing.memory_dead_letters import MemoryDeadLetters
from hermes.testing.memory_receipt_store import MemoryReceiptStore
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams

CARRIER = Carrier(id="sim", bind=(Bind(id="1", host="localhost", port=2775, system_id="x"),))
NAMES = [attempt_id(encode_message_id(UUID(int=n)), 0, 0) for n in range(9)]


def now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)


def job(attempt: str, to: str, **fields: object) -> bytes:
    later = now() + timedelta(hours=1)
    made = Job(attempt=attempt, tenant="t", carrier="sim", to=to, expires_at=later, queued_at=now())
    return encode_job(msgspec.structs.replace(made, **fields))


class Deaf(MemoryBelt):
    """A belt that can be away for letters, and tells what was acknowledged and handed back."""

    is_away = False

    def __init__(self, streams: MemoryStreams) -> None:
        super().__init__(streams)
        self.acked: list[str] = []
        self.naked: list[str] = []

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """Answer for every item that the belt is away."""
        if self.is_away:
            return [StoreUnavailable("nats", "away") for _ in items]
        return await super().publish_batch(items)

    async def ack_many(self, replies: Iterable[str]) -> None:
        """Note them."""
        self.acked += replies

    async def nak(self, *replies: str, delay: float = 0.0) -> None:
        """Note them."""
        self.naked += replies


class ScriptedLink:
    """A link whose answers the test gives."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.sent: list[tuple[WirePdu, asyncio.Future[SubmitResult]]] = []

    @property
    def open(self) -> list[int]:
        """The submits without an outcome, by their place."""
        return [n for n, (_, future) in enumerate(self.sent) if not future.done()]

    @property
    def credit(self) -> int:
        """What is free of the window."""
        return self.window - len(self.open)

    def submit(self, pdu: WirePdu) -> asyncio.Future[SubmitResult]:
        """Note it."""
        future: asyncio.Future[SubmitResult] = asyncio.get_running_loop().create_future()
        self.sent.append((pdu, future))
        return future

    def pdu(self, place: int) -> Pdu:
        """What was written."""
        return decode(self.sent[place][0].frame)

    def answer(self, place: int, status: int = 0, name: str | None = None) -> None:
        """Answer one."""
        name = (f"id-{place}" if name is None else name) if status == 0 else ""
        self.sent[place][1].set_result(SubmitResult(status, name, 0.01, b""))

    def fail(self, place: int, error: Exception) -> None:
        """Leave one without an answer."""
        self.sent[place][1].set_exception(error)


class World:
    """The outbound side of one bind; several may share `streams` and `claims`."""

    def __init__(
        self,
        carrier: Carrier = CARRIER,
        claims: MemoryClaims | None = None,
        boot: str = "boot",
        streams: MemoryStreams | None = None,
    ) -> None:
        self.carrier = carrier
        self.streams = MemoryStreams() if streams is None else streams
        self.belt = Deaf(self.streams)
        self.claims = MemoryClaims(time) if claims is None else claims
        self.leases = MemoryLeases(time)
        metrics, log = Metrics(), structlog.get_logger()
        self.submits = Submits(
            carrier,
            Witness(Source("h1", "sim-1"), "sim"),
            f"h1/sim-1/{boot}",
            BindOutside(
                self.claims,
                self.leases,
                self.belt,
                EventSink(self.belt, f"h1-sim-1-{boot}"),
                DeadLetterSink(self.belt, self.streams, metrics, now, log),
                now,
                lambda: datetime.fromtimestamp(0, UTC),
                metrics,
                MemoryReceiptStore(self.claims),
            ),
            Pacing(None),
        )
        self.letters = MemoryDeadLetters(self.streams)

    def hold(self, *bodies: bytes, delivered: int = 1) -> None:
        """Give the bind deliveries."""
        self.submits.hold(
            [
                Delivery(
                    "jobs.sms.sim.otp.1",
                    body,
                    f"$ACK JOBS_sim otp {n}",
                    n,
                    delivered,
                    "JOBS_sim",
                    "otp",
                )
                for n, body in enumerate(bodies, 1)
            ]
        )

    async def dead(self) -> list[tuple[str, str | None]]:
        """Give stream and attempt of every letter."""
        return [(f.letter.stream, f.letter.attempt) for f in await self.letters.list(0, 100)]

    def events(self) -> list[Event]:
        """Give every event told."""
        stored = self.streams.streams[EVENTS].messages.values()
        return [event for _, data in stored for event in decode_envelope(data)]

    def told(self) -> list[tuple[str, int | None, int]]:
        """Give kind, segment and segments of every event."""
        return [(event.kind, event.segment, event.segments) for event in self.events()]

    async def words(self, attempt: str) -> tuple[str, ...]:
        """Give what the claim of an attempt says."""
        kept = self.claims._kept.get((self.carrier.id, attempt))
        return () if kept is None else kept.claim.segments

    @asynccontextmanager
    async def running(self, link: ScriptedLink) -> AsyncIterator[None]:
        """Let it work on this link."""
        await self.streams.ensure([self.carrier])
        self.submits.link = cast("Link", link)
        self.submits.wake_up()
        tasks = [
            asyncio.create_task(self.submits.submit_forever()),
            asyncio.create_task(self.submits.outcomes.settle_forever()),
            asyncio.create_task(self.submits.outcomes.tell_forever()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                assert task.cancelled(), task

    @staticmethod
    async def until(true: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Wait until nothing more happens by itself."""
        for _ in range(3):
            await self.until(
                lambda: self.submits.outcomes.is_idle and not self.submits.wake.is_set()
            )
            await asyncio.sleep(0.01)
