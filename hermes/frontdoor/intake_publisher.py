"""Puts committed messages on INTAKE; what is refused, failed or late is the sweeper's work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from hermes.core.errors import StoreUnavailable
from hermes.core.ids import encode_message_id
from hermes.core.message import Message, encode_message
from hermes.metrics import Metrics
from hermes.ports.stream import PubAck, Publication, Publisher, StreamFull

MOST_OPEN = 2000


class IntakePublisher:
    """Publishes in the background: an answer to a client never waits for the belt."""

    def __init__(self, belt: Publisher, metrics: Metrics) -> None:
        self.belt, self.metrics = belt, metrics
        self.log = structlog.get_logger()
        self.open: set[asyncio.Task[None]] = set()
        self.waiting = 0

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish, unless so much waits already that the sweeper is the better way."""
        if not messages or self.waiting > MOST_OPEN:
            return
        task = asyncio.get_running_loop().create_task(self.publish_now(messages))
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    async def publish_now(self, messages: Sequence[Message]) -> None:
        """Publish a batch and count what was refused."""
        self.waiting += len(messages)
        try:
            results = await self.belt.publish_batch(
                [
                    Publication(f"intake.{m.traffic}", encode_message(m), encode_message_id(m.id))
                    for m in messages
                ]
            )
        except StoreUnavailable as error:
            self.log.warning("store.unavailable", reason=str(error))
            return
        finally:
            self.waiting -= len(messages)
        for result in results:
            if isinstance(result, StreamFull):
                self.metrics.refused.labels("INTAKE").inc()
            elif not isinstance(result, PubAck):
                self.metrics.puback_timeouts.inc()
                self.log.warning("intake.not_published", reason=str(result))
