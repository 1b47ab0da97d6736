"""Handles dead letters for the operator: reads them, brings their content back, drops them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import assert_never

from actors.stores import belt_settings, timing
from hermes.adapters.dead_letters_jetstream import JetStreamDeadLetters
from hermes.adapters.postgres import PostgresPool
from hermes.adapters.revival_postgres import PostgresRevival
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.dead_letter import (
    Admit,
    ByItself,
    FiledLetter,
    NoWay,
    Republish,
    StartClock,
    TellAgain,
    way_back,
)
from hermes.core.errors import StoreUnavailable
from hermes.ports.dead_letters import Retried, Revived
from hermes.ports.stream import StreamFull, StreamMissing
from hermes.settings.wiring import Wiring

CONNECT_WITHIN = 3.0


class DeadLetterDesk:
    """Connects to the belt with the first question: the admin API is there without a belt."""

    def __init__(self, wiring: Wiring, pool: PostgresPool, name: str) -> None:
        self.wiring, self.name = wiring, name
        self.revival = PostgresRevival(pool, timing(wiring))
        self.belt: JetStream | None = None
        self.turn = asyncio.Lock()

    async def list(self, after_seq: int, limit: int) -> Sequence[FiledLetter]:
        """Give letters behind a sequence, oldest first."""
        return await (await self.letters()).list(after_seq, limit)

    async def get(self, seq: int) -> FiledLetter | None:
        """Give one letter."""
        return await (await self.letters()).get(seq)

    async def drop(self, seq: int) -> bool:
        """Remove a letter."""
        return await (await self.letters()).drop(seq)

    async def retry(self, filed: FiledLetter) -> Retried:
        """Bring back what a letter speaks of; only then it is dropped."""
        done, detail = await self.bring_back(filed)
        if done:
            await self.drop(filed.seq)
        return Retried(filed.seq, detail, is_dropped=done)

    async def bring_back(self, filed: FiledLetter) -> tuple[bool, str]:
        """Say whether the letter is done with, and what was done."""
        way = way_back(filed.letter)
        match way:
            case TellAgain():
                return await self.tell_again(filed.seq, way)
            case Republish():
                return outcome(await self.revival.republish(way), "publishes the job of")
            case Admit():
                return outcome(await self.revival.admit(way.message), "admits message")
            case StartClock():
                return outcome(await self.revival.start_clock(way), f"looks again at {way.table}")
            case ByItself():
                return True, way.why
            case NoWay():
                return False, way.why
            case _:
                assert_never(way)

    async def tell_again(self, seq: int, way: TellAgain) -> tuple[bool, str]:
        """Put events on the belt again, under an id that no repeat of the first time hides."""
        belt = await self.connection()
        try:
            await belt.publish(way.subject, way.envelope, f"dead-{seq}")
        except (StreamFull, StreamMissing) as error:
            raise StoreUnavailable("nats", str(error)) from error
        return True, "its events are on the belt again"

    async def letters(self) -> JetStreamDeadLetters:
        """Give the letters on the connection. Raises StoreUnavailable."""
        return JetStreamDeadLetters((await self.connection()).mux)

    async def connection(self) -> JetStream:
        """Give the connection, made when it is needed first. Raises StoreUnavailable."""
        async with self.turn:
            if self.belt is None:
                self.belt = await JetStream.connect(
                    self.wiring.nats_url,
                    name=f"{self.name}/dead",
                    settings=belt_settings(self.wiring),
                    timeout_s=CONNECT_WITHIN,
                )
            return self.belt

    async def close(self) -> None:
        """Leave the belt."""
        if self.belt is not None:
            await self.belt.close()


def outcome(revived: Revived, what: str) -> tuple[bool, str]:
    """Say what the ledger clock will do, or why there is nothing to do."""
    if revived.at is None:
        return revived.is_moot, revived.why
    at = revived.at.isoformat(timespec="seconds")
    return True, f"the ledger clock {what} {revived.why} at {at}"
