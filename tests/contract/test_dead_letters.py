"""What the dead letters promise, kept by JetStream and by the memory twin alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from hermes.adapters.dead_letters_jetstream import JetStreamDeadLetters
from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.dead_letter import DeadLetter, FiledLetter, encode_letter
from hermes.ports.dead_letters import DeadLetters
from hermes.ports.stream import DEAD, EVENTS, INTAKE, Belt, BeltAdmin, BeltSettings
from hermes.testing.memory_dead_letters import MemoryDeadLetters
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams
from hermes.testing.services import running_services

SETTINGS = BeltSettings(intake_max_bytes=2**20, events_max_bytes=2**20, dead_max_bytes=2**20)
LETTER = DeadLetter(
    stream="EVENTS",
    subject="events.h1-sim",
    reason="event envelope cannot be read: Input data was truncated",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    seq=7,
    num_delivered=1,
    envelope=b'{"events":[',
)


@pytest.fixture(scope="module")
def nats_url(public_dir: Callable[[], Path]) -> Iterator[str]:
    """A server of this module's own: DEAD is made and removed in it."""
    with running_services(("nats",), public_dir()) as endpoints:
        yield endpoints.nats_url


@dataclass
class Office:
    """A belt, and the letters on it."""

    belt: Belt
    admin: BeltAdmin
    letters: DeadLetters

    async def store(self, *letters: DeadLetter) -> list[FiledLetter]:
        """Put letters on the belt and give them with their places."""
        filed = []
        for letter in letters:
            subject, name = f"dead.{letter.stream}", f"{letter.stream}-{letter.seq}"
            ack = await self.belt.publish(subject, encode_letter(letter), name)
            filed.append(FiledLetter(ack.seq, letter))
        return filed


@pytest.fixture(params=["memory", pytest.param("jetstream", marks=pytest.mark.services)])
async def office(request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    if request.param == "memory":
        streams = MemoryStreams(SETTINGS)
        yield Office(MemoryBelt(streams), streams, MemoryDeadLetters(streams))
        return
    url = request.getfixturevalue("nats_url")
    belt = await JetStream.connect(url, name="test", settings=SETTINGS, timeout_s=10)
    yield Office(belt, JetStreamAdmin(belt.mux, SETTINGS), JetStreamDeadLetters(belt.mux))
    for stream in (INTAKE, EVENTS, DEAD):
        await belt.mux.request(f"$JS.API.STREAM.DELETE.{stream}", b"")
    await belt.close()


def bare(filed: FiledLetter) -> FiledLetter:
    """Give a letter as a list shows it."""
    return replace(filed, letter=replace(filed.letter, envelope=None))


async def test_a_belt_nothing_was_made_on_has_no_letters(office: Office) -> None:
    assert await office.letters.list(0, 10) == []
    assert await office.letters.get(1) is None
    assert not await office.letters.drop(1)


async def test_letters_are_listed_in_order_and_page_by_page(office: Office) -> None:
    await office.admin.ensure([])
    assert await office.letters.list(0, 10) == []
    filed = await office.store(*(replace(LETTER, seq=n) for n in range(1, 6)))
    shown = [bare(one) for one in filed]
    assert await office.letters.list(0, 2) == shown[:2]
    assert await office.letters.list(shown[1].seq, 10) == shown[2:]
    assert await office.letters.list(shown[-1].seq, 10) == []


async def test_one_letter_is_given_whole(office: Office) -> None:
    await office.admin.ensure([])
    (filed,) = await office.store(LETTER)
    assert await office.letters.get(filed.seq) == filed
    for absent in (0, -1, filed.seq + 1, 2**80):
        assert await office.letters.get(absent) is None
        assert not await office.letters.drop(absent)


async def test_a_letter_that_was_dropped_is_gone_and_the_others_stay(office: Office) -> None:
    await office.admin.ensure([])
    first, second, third = await office.store(*(replace(LETTER, seq=n) for n in (1, 2, 3)))
    assert await office.letters.drop(second.seq)
    assert not await office.letters.drop(second.seq)
    assert await office.letters.get(second.seq) is None
    assert await office.letters.list(0, 10) == [bare(first), bare(third)]


async def test_a_letter_that_cannot_be_read_itself_stops_nobody(office: Office) -> None:
    await office.admin.ensure([])
    broken = await office.belt.publish("dead.JOBS_sim", b'{"stream":', "x")
    newer = await office.belt.publish("dead.EVENTS", encode_letter(replace(LETTER, v=99)), "y")
    (filed,) = await office.store(LETTER)
    one, two, three = await office.letters.list(0, 10)
    assert (one.seq, one.letter.stream) == (broken.seq, "JOBS_sim")
    assert one.letter.reason == "dead letter cannot be read: Input data was truncated"
    assert (two.seq, "version 99" in two.letter.reason) == (newer.seq, True)
    assert three == bare(filed)
    assert await office.letters.drop(broken.seq)
