"""Puts events on the belt in envelopes, and waits until they are stored."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple
from uuid import uuid5

from hermes.core.errors import HermesError, StoreUnavailable
from hermes.core.event import MAX_ENVELOPE, NAMESPACE, Event, encode_envelope
from hermes.ports.stream import PubAck, Publication, Publisher, StreamFull, StreamMissing

RETRY_EVERY = 0.5
KEPT_FOR = 60.0
MOST_KEPT = 4000
READERS_WITHIN = 1.0
"""A stream kept by interest drops what comes before its durable is made again."""


class Kept(NamedTuple):
    """An envelope that was stored, and when."""

    at: float
    name: str
    data: bytes


class EventSink:
    """EVENTS as one source sees it; `store` returns only when every event is there.

    `is_refused` is true while the stream is full or away: whoever makes events stops making more.
    What was stored in the last minute is stored again in a stream that was made anew: nobody may
    have read it before it went with the old one. The recorder takes no event twice.
    """

    def __init__(self, belt: Publisher, source: str) -> None:
        self.belt, self.subject = belt, f"events.{source.replace('/', '-')}"
        self.is_refused = False
        self.last_error = ""
        self.last_seq = 0
        self.kept: deque[Kept] = deque(maxlen=MOST_KEPT)

    async def store(self, events: Sequence[Event]) -> None:
        """Store events, trying again for as long as it takes."""
        for start in range(0, len(events), MAX_ENVELOPE):
            await self.store_envelope(tuple(events[start : start + MAX_ENVELOPE]))

    async def store_envelope(self, events: tuple[Event, ...]) -> None:
        """Store one envelope, trying again for as long as it takes."""
        while True:
            try:
                await self.put(events)
            except (StreamFull, StreamMissing, StoreUnavailable) as error:
                self.refuse(error)
                await asyncio.sleep(RETRY_EVERY)
            else:
                return

    async def put(self, events: tuple[Event, ...]) -> None:
        """Store one envelope, at most 100 events, under the id of what is in it.

        Raises StreamFull, StreamMissing, StoreUnavailable.
        """
        name = str(uuid5(NAMESPACE, "".join(event.id.hex for event in events)))
        data = encode_envelope(events)
        ack = await self.belt.publish(self.subject, data, name)
        self.is_refused = False
        self.keep(name, data)
        await self.look_back(ack)

    def keep(self, name: str, data: bytes) -> None:
        """Keep an envelope for a minute."""
        now = asyncio.get_running_loop().time()
        self.kept.append(Kept(now, name, data))
        while self.kept[0].at < now - KEPT_FOR:
            self.kept.popleft()

    async def look_back(self, ack: PubAck) -> None:
        """Store again what is kept if the stream counts from 1 again; else note its place."""
        if ack.duplicate or ack.seq > self.last_seq:
            self.last_seq = max(ack.seq, self.last_seq)
            return
        await asyncio.sleep(READERS_WITHIN)
        # under other ids: the new stream may have taken and dropped the last ones already
        again = [Publication(self.subject, k.data, f"{k.name}.{ack.seq}") for k in self.kept]
        results = await self.belt.publish_batch(again)
        if all(isinstance(result, PubAck) for result in results):
            self.last_seq = ack.seq  # else the next envelope finds the same

    def refuse(self, error: HermesError) -> None:
        """Note why nothing can be stored now."""
        self.is_refused, self.last_error = True, str(error)
