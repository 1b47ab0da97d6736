"""What is set aside is stored, counted once and ended; what cannot be stored stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog

from actors.dead_letter_kinds import of_claim, of_delivery, of_event, of_row
from actors.dead_letter_sink import DeadLetterSink
from hermes.core.dead_letter import DeadLetter, FiledLetter
from hermes.core.errors import StoreUnavailable, Unreadable
from hermes.core.ids import attempt_id, encode_message_id
from hermes.metrics import Metrics
from hermes.ports.clock_store import SetAside
from hermes.ports.stream import (
    DEAD,
    EVENTS,
    INTAKE,
    RECORDER,
    BeltSettings,
    Delivery,
    Publication,
    PublishResult,
    Short,
)
from hermes.testing.memory_dead_letters import MemoryDeadLetters
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("01900000-0000-7000-8000-000000000001")
NAME = encode_message_id(ID)
ATTEMPT = attempt_id(NAME, 0, 0)
WHY = Unreadable("event envelope", "Input data was truncated")


class Away(MemoryBelt):
    """A belt that can be away."""

    is_away = False

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """Answer for every item that the belt is away."""
        if self.is_away:
            return [StoreUnavailable("nats", "away") for _ in items]
        return await super().publish_batch(items)


class World:
    """A belt with the shared streams, a sink, and what a consumer of EVENTS gets."""

    def __init__(self) -> None:
        self.streams = MemoryStreams(BeltSettings(ack_wait_s=0.05))
        self.belt = Away(self.streams)
        self.metrics = Metrics()
        self.sink = DeadLetterSink(
            self.belt, self.streams, self.metrics, lambda: NOW, structlog.get_logger()
        )
        self.came: asyncio.Queue[Delivery] = asyncio.Queue()

    async def deliver(self, data: bytes = b"?") -> Delivery:
        """Put an envelope on the belt and take it."""
        await self.streams.ensure(())
        ack = await self.belt.publish("events.test", data, f"id-{data!r}")
        assert not ack.duplicate
        return await self.take()

    async def take(self) -> Delivery:
        """Take what comes next."""
        puller = await self.belt.pull_by_demand(EVENTS, self.came.put_nowait, ignore)
        await puller.pull(RECORDER, 1, 5.0)
        return await asyncio.wait_for(self.came.get(), 5)

    async def letters(self) -> list[FiledLetter]:
        """Give every letter."""
        return await MemoryDeadLetters(self.streams).list(0, 100)

    def counted(self, stream: str = EVENTS) -> float:
        """Give `hermes_dead_total`."""
        return float(self.metrics.dead.labels(stream)._value.get())

    def left(self) -> int:
        """How many envelopes are on the belt."""
        return len(self.streams.streams[EVENTS].messages)


def ignore(_durable: str, _count: int, _why: Short) -> None:
    """Take no notice."""


async def test_a_delivery_is_set_aside_counted_and_ended() -> None:
    world = World()
    delivery = await world.deliver()
    await world.sink.bury([(delivery, WHY)])
    (filed,) = await world.letters()
    letter = filed.letter
    assert (letter.stream, letter.seq, letter.subject) == (EVENTS, delivery.seq, "events.test")
    assert (letter.reason, letter.at, letter.num_delivered) == (str(WHY), NOW, 1)
    whole = await MemoryDeadLetters(world.streams).get(filed.seq)
    assert whole is not None
    assert whole.letter.envelope == b"?"
    assert (world.counted(), world.left()) == (1, 0)


async def test_a_repeat_is_neither_stored_nor_counted_again() -> None:
    world = World()
    delivery = await world.deliver()
    await world.sink.bury([(delivery, WHY)])
    await world.sink.bury([(delivery, WHY)])
    assert (len(await world.letters()), world.counted()) == (1, 1)


async def test_what_cannot_be_stored_stays_on_the_belt_uncounted() -> None:
    world = World()
    delivery = await world.deliver()
    world.belt.is_away = True
    await world.sink.bury([(delivery, WHY)])
    assert (await world.letters(), world.counted(), world.left()) == ([], 0, 1)
    world.belt.is_away = False
    again = await world.take()
    assert (again.seq, again.num_delivered) == (delivery.seq, 2)
    await world.sink.bury([(again, WHY)])
    assert ([f.letter.num_delivered for f in await world.letters()], world.left()) == ([2], 0)


async def test_a_stream_of_letters_that_is_missing_is_made() -> None:
    world = World()
    delivery = await world.deliver()
    del world.streams.streams[DEAD]
    await world.sink.bury([(delivery, WHY)])
    assert (len(await world.letters()), world.counted(), world.left()) == (1, 1, 0)


@pytest.mark.parametrize("stream", ["JOBS_sim", INTAKE])
def test_the_letter_of_a_job_or_a_message_holds_its_ids_alone(stream: str) -> None:
    data = f'{{"attempt":"{ATTEMPT}","to":"+4512345678","text":"secret'.encode()
    name, letter = of_delivery(Delivery("a.b", data, "", 5, 2, stream, "otp"), "why", NOW)
    assert name == f"{stream}-5"
    assert letter == DeadLetter(
        stream=stream,
        subject="a.b",
        reason="why",
        at=NOW,
        seq=5,
        num_delivered=2,
        message=NAME,
        attempt=ATTEMPT,
    )


def test_the_letter_of_an_event_keeps_it_alone() -> None:
    delivery = Delivery("events.a", b"all of them", "", 5, 1, EVENTS, RECORDER)
    alone = f'{{"events":[{{"message":"{NAME}"}}]}}'.encode()
    name, letter = of_event(delivery, "why", NOW, alone, ID)
    assert (name, letter.event, letter.message) == (f"EVENTS-5-{ID}", ID, NAME)
    assert letter.envelope == alone
    unknown = of_event(delivery, "why", NOW, b"{}", 3)
    assert (unknown.name, unknown.letter.event, unknown.letter.message) == (
        "EVENTS-5-3",
        None,
        None,
    )


def test_the_letters_of_claims_and_rows_name_what_comes_back() -> None:
    name, claim = of_claim("claim:{sim}:x", ATTEMPT, "why", NOW, 3)
    assert (name, claim.message, claim.num_delivered) == (f"CLAIMS-{ATTEMPT}", NAME, 3)
    attempt = of_row(SetAside("attempt", ATTEMPT, "expire", "why"), NOW).letter
    assert (attempt.subject, attempt.attempt, attempt.action) == ("attempt", ATTEMPT, "expire")
    message = of_row(SetAside("message", NAME, "admit", "why"), NOW).letter
    assert (message.subject, message.message, message.attempt) == ("message", NAME, None)
