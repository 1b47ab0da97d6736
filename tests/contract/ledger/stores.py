"""The stores of a ledger together, with a view of what no port shows, and values to feed them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace
from uuid_utils.compat import uuid7

from hermes.adapters.attempt_store_postgres import PostgresAttemptStore
from hermes.adapters.clock_store_postgres import PostgresClockStore
from hermes.adapters.event_store_postgres import PostgresEventStore
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.message_store_postgres import PostgresMessageStore
from hermes.adapters.mo_store_postgres import PostgresMoStore
from hermes.adapters.postgres import Connection, PostgresPool
from hermes.core.clock import Timing
from hermes.core.event import Event, EventKind, Source, event_id
from hermes.core.ids import encode_message_id, split_attempt_id
from hermes.core.message import Message
from hermes.core.plan import ONE_SMS, Plan, Step
from hermes.core.units import Reason, TrafficClass
from hermes.ports.attempt_store import AttemptStore, JobPlace, Offer, Taken
from hermes.ports.clock_store import ClockStore
from hermes.ports.event_store import EventStore
from hermes.ports.inbound_store import InboundStore
from hermes.ports.message_store import Committed, MessageStore, MessageView, Submission
from hermes.ports.mo_store import MoStore
from hermes.testing.memory_attempt_store import MemoryAttemptStore
from hermes.testing.memory_clock_store import MemoryClockStore
from hermes.testing.memory_event_store import MemoryEventStore
from hermes.testing.memory_inbound_store import MemoryInboundStore
from hermes.testing.memory_ledger import MemoryLedger, MemoryMessageStore
from hermes.testing.memory_mo_store import MemoryMoStore

BIND: Final = Source(host="h1", actor="sim-1", boot="b1")
SWEEPER: Final = Source(host="h1", actor="sweeper", boot="b2")
CASCADE: Final = Plan((Step("email"), Step("sms", success="sent")))
TIMING: Final = Timing(republish_after_s=240.0)


def moment() -> datetime:
    """Give the present, as a host sees it."""
    return datetime.fromtimestamp(time(), UTC)


class Stores(ABC):
    """What the contract tests use."""

    messages: MessageStore
    attempts: AttemptStore
    events: EventStore
    clock: ClockStore
    inbound: InboundStore
    mo: MoStore

    @abstractmethod
    async def outbox(self) -> list[tuple[UUID, str]]:
        """Give (message, state) of every webhook to send."""

    @abstractmethod
    async def listen(self, tenant: str) -> None:
        """Give a tenant a webhook endpoint."""

    @abstractmethod
    async def own(self, message: UUID) -> None:
        """Let a cascade engine take a message over."""

    @abstractmethod
    async def make_due(self, message: UUID) -> None:
        """Move the clocks of a message and its attempts into the past."""

    @abstractmethod
    async def expire(self, message: UUID) -> None:
        """Move the expiry of a message and its attempts into the past."""

    async def accepted(self, count: int = 1, **fields: Any) -> list[UUID]:
        """Commit messages and give their ids."""
        batch = [submission(**fields) for _ in range(count)]
        results = await self.messages.commit(batch)
        assert results == [Committed(item.message.id) for item in batch]
        return [item.message.id for item in batch]

    async def queued(self, segments: int = 1, **fields: Any) -> Taken:
        """Commit a message and take it in for the carrier sim; its job is recorded."""
        (message,) = await self.accepted(segments=segments, **fields)
        offer = Offer(message=message, carrier="sim", segments=segments)
        (taken,) = await self.attempts.take_in([offer])
        assert taken.status == "taken"
        assert taken.attempt is not None
        assert await self.attempts.record_jobs([JobPlace(taken.attempt, moment(), 1)]) == 1
        return taken

    async def view(self, message: UUID, tenant: str = "acme") -> MessageView:
        """Give a message that is there."""
        view = await self.messages.find(tenant, message)
        assert view is not None
        return view


class MemoryStores(Stores):
    """In memory."""

    def __init__(self, memory: MemoryLedger) -> None:
        self._memory = memory
        self._listening: set[str] = set()
        self.messages = MemoryMessageStore(memory)
        self.attempts = MemoryAttemptStore(memory, SWEEPER, TIMING)
        self.events = MemoryEventStore(memory, TIMING)
        self.clock = MemoryClockStore(memory, SWEEPER)
        self.inbound = MemoryInboundStore(memory)
        self.mo = MemoryMoStore(memory)

    async def outbox(self) -> list[tuple[UUID, str]]:
        return [
            (message, state)
            for message, state in self._memory.outbox
            if self._memory.rows[message].tenant in self._listening
        ]

    async def listen(self, tenant: str) -> None:
        self._listening.add(tenant)

    async def own(self, message: UUID) -> None:
        self._memory.cascade_owners[message] = "inv_1"

    async def make_due(self, message: UUID) -> None:
        past = moment() - timedelta(seconds=1)
        row = self._memory.rows[message]
        if row.next_at is not None:
            self._memory.rows[message] = replace(row, next_at=past)
        attempts = self._memory.attempts.get(message, [])
        attempts[:] = [replace(a, next_at=past) if a.next_at else a for a in attempts]

    async def expire(self, message: UUID) -> None:
        past = moment() - timedelta(seconds=1)
        self._memory.rows[message] = replace(self._memory.rows[message], expires_at=past)
        attempts = self._memory.attempts.get(message, [])
        attempts[:] = [replace(a, expires_at=past) for a in attempts]


class PostgresStores(Stores):
    """In PostgreSQL."""

    def __init__(self, pool: PostgresPool) -> None:
        self.pool = pool
        self.messages = PostgresMessageStore(pool)
        self.attempts = PostgresAttemptStore(pool, SWEEPER, TIMING)
        self.events = PostgresEventStore(pool, TIMING)
        self.clock = PostgresClockStore(pool, SWEEPER)
        self.inbound = PostgresInboundStore(pool)
        self.mo = PostgresMoStore(pool)

    async def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows."""

        async def work(connection: Connection) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

        return await self.pool.run(work)

    async def outbox(self) -> list[tuple[UUID, str]]:
        return [(m, s) for m, s in await self.rows("select message, state from webhook_outbox")]

    async def listen(self, tenant: str) -> None:
        await self.rows(
            "insert into webhook_endpoint (tenant, url) values ($1, 'http://x')", tenant
        )

    async def own(self, message: UUID) -> None:
        await self.rows("update message set cascade_owner = 'inv_1' where id = $1", message)

    async def make_due(self, message: UUID) -> None:
        past = "next_at = now() - interval '1 second'"
        await self.rows(f"update message set {past} where id = $1 and next_at > now()", message)
        await self.rows(
            f"update attempt set {past} where message = $1 and next_at > now()", message
        )

    async def expire(self, message: UUID) -> None:
        past = "expires_at = now() - interval '1 second'"
        await self.rows(f"update message set {past} where id = $1", message)
        await self.rows(f"update attempt set {past} where message = $1", message)


def submission(
    tenant: str = "acme",
    *,
    text: str = "hello",
    key: str | None = None,
    body_hash: bytes = b"1",
    segments: int = 1,
    traffic: TrafficClass = "transactional",
    plan: Plan = ONE_SMS,
    send_in_s: float | None = None,
    lives_s: float = 86400.0,
) -> Submission:
    """Make a submission with an id of now."""
    now = moment()
    message = Message(
        id=uuid7(),
        tenant=tenant,
        to="+491700000001",
        text=text,
        plan=plan,
        accepted_at=now,
        expires_at=now + timedelta(seconds=lives_s),
        traffic=traffic,
        sender="Hermes",
        segments=segments,
        send_at=None if send_in_s is None else now + timedelta(seconds=send_in_s),
        reference="order 7",
        traceparent="00-1-1-01",
    )
    return Submission(message=message, api_key="k1", key=key, body_hash=body_hash)


def event(
    attempt: str,
    kind: EventKind,
    *,
    segment: int | None = 0,
    segments: int = 1,
    carrier_message_id: str | None = None,
    reason: Reason | None = None,
    retry_at: datetime | None = None,
    detail: str = "",
) -> Event:
    """Make an event of a bind about an attempt on the carrier sim."""
    message, step, n = split_attempt_id(attempt)
    return Event(
        id=event_id(attempt, kind, segment, detail),
        message=message,
        step=step,
        attempt_n=n,
        kind=kind,
        at=moment(),
        source=BIND,
        segment=segment,
        segments=segments,
        reason=reason,
        carrier="sim",
        carrier_message_id=carrier_message_id,
        retry_at=retry_at,
    )


def events_of(attempt: str, kinds: Sequence[EventKind]) -> list[Event]:
    """Make one event of each kind."""
    return [event(attempt, kind) for kind in kinds]


def name_of(message: UUID) -> str:
    """Give the outside form of a message id."""
    return encode_message_id(message)
