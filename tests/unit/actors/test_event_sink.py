"""Events outlive the stream they were stored in, for as long as nobody can have read them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from actors import event_sink
from actors.event_sink import EventSink
from hermes.core.event import Event, Source, decode_envelope, event_id
from hermes.core.ids import attempt_id, encode_message_id
from hermes.ports.stream import EVENTS
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams


def event() -> Event:
    """Make an event of a message of its own."""
    message = encode_message_id(uuid4())
    return Event(
        id=event_id(attempt_id(message, 0, 0), "sent", 0, ""),
        message=message,
        step=0,
        attempt_n=0,
        kind="sent",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        source=Source("h1", "bind"),
    )


def stored(server: MemoryStreams) -> set[str]:
    """Give the messages of all events in the stream."""
    messages = server.streams[EVENTS].messages.values()
    return {event.message for _, data in messages for event in decode_envelope(data)}


async def new_stream(server: MemoryStreams) -> None:
    """Make EVENTS anew, empty."""
    server.streams.pop(EVENTS, None)
    await server.ensure(())


async def test_events_of_the_last_minute_are_stored_again_in_a_stream_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_sink, "READERS_WITHIN", 0.0)
    server = MemoryStreams()
    sink = EventSink(MemoryBelt(server), "h1-bind")
    await new_stream(server)
    told = [event() for _ in range(3)]
    for one in told:
        await sink.store([one])
    await new_stream(server)
    last = event()
    await sink.store([last])
    assert stored(server) == {one.message for one in (*told, last)}


async def test_a_stream_that_counts_on_gets_every_envelope_once() -> None:
    server = MemoryStreams()
    sink = EventSink(MemoryBelt(server), "h1-bind")
    await new_stream(server)
    one = event()
    for told in (one, event(), one, event()):  # told twice: the stream knows its id
        await sink.store([told])
    assert len(server.streams[EVENTS].messages) == 3
