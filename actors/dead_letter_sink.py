"""Sets aside what nobody can understand: a letter in DEAD, a count, and the end of its delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from actors.dead_letter_kinds import Named, of_delivery
from hermes.core.dead_letter import DeadLetter, encode_letter
from hermes.core.errors import HermesError, Unreadable
from hermes.metrics import Metrics
from hermes.ports.stream import (
    Acknowledger,
    BeltAdmin,
    Delivery,
    PubAck,
    Publication,
    Publisher,
    PublishResult,
    StreamMissing,
)


class Belt(Publisher, Acknowledger, Protocol):
    """What a letter goes through."""


class DeadLetterSink:
    """DEAD as one actor sees it. What cannot be stored now comes back by redelivery or lease."""

    def __init__(
        self,
        belt: Belt,
        admin: BeltAdmin,
        metrics: Metrics,
        clock: Callable[[], datetime],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self.belt, self.admin, self.metrics, self.clock, self.log = belt, admin, metrics, clock, log

    async def bury(self, dead: Sequence[tuple[Delivery, Unreadable]]) -> None:
        """Set deliveries aside, then end them; one whose letter is not stored stays as it is."""
        letters = [of_delivery(delivery, str(error), self.clock()) for delivery, error in dead]
        stored = await self.store(letters)
        ended = [delivery.reply for (delivery, _), done in zip(dead, stored, strict=True) if done]
        try:
            await self.belt.term(*ended)
        except HermesError as error:
            self.log.warning("letter.delivery_not_ended", reason=str(error))

    async def store(self, letters: Sequence[Named]) -> list[bool]:
        """Store letters and count the new ones; say of each whether it is there."""
        if not letters:
            return []
        results = await self.publish(letters)
        if any(isinstance(result, StreamMissing) for result in results):
            await self.make_stream()
            results = await self.publish(letters)
        for (_, letter), result in zip(letters, results, strict=True):
            self.note(letter, result)
        return [isinstance(result, PubAck) for result in results]

    async def publish(self, letters: Sequence[Named]) -> list[PublishResult]:
        """Publish letters; a repeat of one keeps its id."""
        return await self.belt.publish_batch(
            [
                Publication(f"dead.{letter.stream}", encode_letter(letter), name)
                for name, letter in letters
            ]
        )

    async def make_stream(self) -> None:
        """Make DEAD, which nobody else would miss."""
        try:
            await self.admin.ensure(())
        except HermesError as error:
            self.log.warning("belt.not_ensured", reason=str(error))

    def note(self, letter: DeadLetter, result: PublishResult) -> None:
        """Count and log what became of a letter; one that was there before was counted then."""
        if not isinstance(result, PubAck):
            self.log.warning("letter.not_stored", stream=letter.stream, reason=str(result))
        elif not result.duplicate:
            self.metrics.dead.labels(letter.stream).inc()
            self.log.warning(
                "letter.stored",
                stream=letter.stream,
                seq=letter.seq,
                attempt=letter.attempt,
                reason=letter.reason,
            )
