"""A bind goes on beside jobs and claims that nobody can read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import time
from uuid import UUID

import structlog

from actors.bind_outcomes import Outside
from actors.bind_submits import Submits
from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from hermes.core.carrier import Bind, Carrier
from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.event import Event, Source, decode_envelope
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import Job, encode_job
from hermes.core.witness import Witness
from hermes.metrics import Metrics
from hermes.ports.claims import ClaimRequest, Found
from hermes.ports.stream import EVENTS, Delivery, Publication, PublishResult
from hermes.smpp.pacing import Pacing
from hermes.testing.memory_claims import MemoryClaims, MemoryLeases
from hermes.testing.memory_dead_letters import MemoryDeadLetters
from hermes.testing.memory_receipt_store import MemoryReceiptStore
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams

ME = "h1/sim-1/boot"
CARRIER = Carrier(id="sim", bind=(Bind(id="1", host="localhost", port=2775, system_id="x"),))
NAMES = [attempt_id(encode_message_id(UUID(int=n)), 0, 0) for n in range(3)]


def now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)


class BrokenClaims(MemoryClaims):
    """Claims of which one cannot be read."""

    broken = NAMES[1]

    async def claim(self, carrier: str, wanted: Sequence[ClaimRequest], me: str) -> list[Found]:
        """Find the broken one where it is asked for."""
        found = await super().claim(carrier, wanted, me)
        return [
            Unreadable("claim", "version 9") if one.attempt == self.broken else claim
            for one, claim in zip(wanted, found, strict=True)
        ]


class Deaf(MemoryBelt):
    """A belt that can be away for letters."""

    is_away = False

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """Answer for every item that the belt is away."""
        if self.is_away:
            return [StoreUnavailable("nats", "away") for _ in items]
        return await super().publish_batch(items)


class World:
    """The outbound side of a bind over stores in memory."""

    def __init__(self) -> None:
        self.streams = MemoryStreams()
        self.belt = Deaf(self.streams)
        claims, metrics = BrokenClaims(time), Metrics()
        log = structlog.get_logger()
        self.submits = Submits(
            CARRIER,
            Witness(Source("h1", "sim-1"), "sim"),
            ME,
            Outside(
                claims,
                MemoryLeases(time),
                MemoryReceiptStore(claims),
                self.belt,
                EventSink(self.belt, "h1-sim-1"),
                DeadLetterSink(self.belt, self.streams, metrics, now, log),
                now,
                lambda: datetime.fromtimestamp(0, UTC),
                metrics,
            ),
            Pacing(None),
        )
        self.letters = MemoryDeadLetters(self.streams)

    def hold(self, *bodies: bytes) -> None:
        """Give the bind deliveries."""
        self.submits.hold(
            [
                Delivery(
                    "jobs.sms.sim.otp.1", body, f"$ACK JOBS_sim otp {n}", n, 1, "JOBS_sim", "otp"
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


def job(attempt: str, to: str) -> bytes:
    later = now() + timedelta(hours=1)
    return encode_job(
        Job(attempt=attempt, tenant="t", carrier="sim", to=to, expires_at=later, queued_at=now())
    )


async def test_jobs_nobody_can_read_are_set_aside_and_the_others_held() -> None:
    world = World()
    await world.streams.ensure([CARRIER])
    world.hold(b"?", job(NAMES[0], "+4510"), b'{"attempt":"x"}')
    assert list(world.submits.held) == [NAMES[0]]
    await world.submits.bury_unread()
    assert await world.dead() == [("JOBS_sim", None), ("JOBS_sim", None)]
    assert world.submits.unread == []


async def test_a_claim_nobody_can_read_ends_its_job_as_uncertain_and_no_other() -> None:
    world = World()
    await world.streams.ensure([CARRIER])
    world.hold(*(job(name, f"+451{n}") for n, name in enumerate(NAMES)))
    await world.submits.claim(world.submits.ready.take(3))
    assert [held.attempt for held in world.submits.outgoing] == [NAMES[0], NAMES[2]]
    assert await world.dead() == [("CLAIMS", NAMES[1])]
    (told,) = world.events()
    assert (told.kind, told.message) == ("uncertain", NAMES[1].partition(".")[0])
    assert told.reason is not None
    assert told.reason.code == "claim_unreadable"
    assert list(world.submits.held) == [NAMES[0], NAMES[2]]
    assert len(world.submits.ready.busy) == 2, "its pair is free"


async def test_a_job_whose_letter_cannot_be_stored_waits_in_its_place() -> None:
    world = World()
    await world.streams.ensure([CARRIER])
    world.belt.is_away = True
    world.hold(*(job(name, f"+451{n}") for n, name in enumerate(NAMES)))
    await world.submits.claim(world.submits.ready.take(3))
    assert [held.attempt for held in world.submits.outgoing] == [NAMES[0], NAMES[2]]
    assert [held.attempt for held in world.submits.ready] == [NAMES[1]]
    assert (world.events(), await world.dead()) == ([], [])
    world.belt.is_away = False
    await world.submits.claim(world.submits.ready.take(1))
    assert await world.dead() == [("CLAIMS", NAMES[1])]
    assert [event.kind for event in world.events()] == ["uncertain"]
