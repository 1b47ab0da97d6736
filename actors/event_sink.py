"""Puts events on the belt in envelopes, and waits until they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid5

from hermes.core.errors import HermesError, StoreUnavailable
from hermes.core.event import MAX_ENVELOPE, NAMESPACE, Event, encode_envelope
from hermes.ports.stream import Publisher, StreamFull, StreamMissing

RETRY_EVERY = 0.5


class EventSink:
    """EVENTS as one source sees it; `store` returns only when every event is there.

    `is_refused` is true while the stream is full or away: whoever makes events stops making more.
    """

    def __init__(self, belt: Publisher, source: str) -> None:
        self.belt, self.subject = belt, f"events.{source.replace('/', '-')}"
        self.is_refused = False
        self.last_error = ""

    async def store(self, events: Sequence[Event]) -> None:
        """Store events, trying again for as long as it takes."""
        for start in range(0, len(events), MAX_ENVELOPE):
            await self.store_envelope(tuple(events[start : start + MAX_ENVELOPE]))

    async def store_envelope(self, events: tuple[Event, ...]) -> None:
        """Store one envelope under the id of what is in it."""
        name = str(uuid5(NAMESPACE, "".join(event.id.hex for event in events)))
        data = encode_envelope(events)
        while True:
            try:
                await self.belt.publish(self.subject, data, name)
            except (StreamFull, StreamMissing, StoreUnavailable) as error:
                self.refuse(error)
                await asyncio.sleep(RETRY_EVERY)
            else:
                self.is_refused = False
                return

    def refuse(self, error: HermesError) -> None:
        """Note why nothing can be stored now."""
        self.is_refused, self.last_error = True, str(error)
