"""Events into the ledger: stored once, folded by the pure fold, in one transaction per batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from hermes.adapters.ledger_postgres import (
    INSERT_EVENTS,
    MESSAGE_COLUMNS,
    SELECT_ATTEMPTS,
    Changes,
    by_message,
    encode,
    event_row,
    with_bounds,
)
from hermes.adapters.postgres import BadRow, Connection, PostgresPool, fetch_text, split_bad
from hermes.core.attempt import Attempt, misfit
from hermes.core.clock import Timing
from hermes.core.errors import Unreadable
from hermes.core.event import Event
from hermes.core.ids import BadId, decode_message_id
from hermes.core.outcome import MessageRow, Rules, fold
from hermes.core.units import Reason
from hermes.core.wire import read
from hermes.ports.event_store import Applied, BadEvent, Turn

T = TypeVar("T")

MAX_SMALLINT: Final = 32767
MAX_SEGMENTS: Final = 255
NO_ID: Final = "it does not name its message by a message id"
NO_MESSAGE: Final = "the ledger has no such message"

# The lock on the message is the lock on its attempts; a statement of its own, because rows that
# are read together with waiting for a lock are as old as the wait.
LOCK: Final = f"""
select json_build_object('now', now(), 'messages', coalesce(json_agg(r), '[]'))::text from (
    select {MESSAGE_COLUMNS}
    from message m where m.id = any($1::uuid[]) and m.id between $2 and $3
    order by m.id for update of m) r"""  # noqa: S608 - constants

STORE: Final = f"""
with stored as ({INSERT_EVENTS.replace("$1", "$4")} returning id)
select json_build_object(
    'stored', coalesce((select json_agg(id) from stored), '[]'),
    'attempts', coalesce((select json_agg(r) from ({SELECT_ATTEMPTS}) r), '[]'))::text"""  # noqa: S608


class _Locked(msgspec.Struct):
    now: datetime
    messages: list[MessageRow]


class _Stored(msgspec.Struct):
    stored: set[UUID]
    attempts: list[Attempt]


LOCKED: Final = msgspec.json.Decoder(_Locked)
STORED: Final = msgspec.json.Decoder(_Stored)


class PostgresEventStore:
    """The recorder's side of the ledger in PostgreSQL (port: EventStore)."""

    def __init__(self, pool: PostgresPool, timing: Timing | None = None) -> None:
        self._pool = pool
        self._timing = timing or Timing()

    async def apply(
        self, events: Sequence[Event], receiptless: frozenset[str] = frozenset()
    ) -> Applied:
        """Store events and fold the new ones; a bad one is found by halving the batch."""
        applied = _Account()
        readable = applied.readable(events)

        async def work(batch: Sequence[_Told]) -> None:
            async def once(connection: Connection) -> _Account:
                async with connection.transaction():
                    return await self._apply(connection, batch, receiptless)

            applied.add(await self._pool.run(once))

        for told, why in await split_bad(readable, work):
            applied.bad.append(BadEvent(told.event, why))
        return Applied(
            new=applied.new,
            repeated=len(events) - applied.new - len(applied.bad),
            bad=tuple(applied.bad),
            turns=tuple(applied.turns),
        )

    async def _apply(
        self, connection: Connection, batch: Sequence[_Told], receiptless: frozenset[str]
    ) -> _Account:
        ids = sorted({told.message for told in batch})
        bounds = with_bounds(ids)
        locked = readable(LOCKED, "message", await fetch_text(connection, LOCK, *bounds))
        rows = {row.id: row for row in locked.messages}
        known = [told for told in batch if told.message in rows]
        account = _Account()
        account.bad = [BadEvent(t.event, NO_MESSAGE) for t in batch if t.message not in rows]
        if not known:
            return account
        payload = encode([event_row(told.event, told.message) for told in known])
        text = await fetch_text(connection, STORE, *bounds, payload)
        stored = readable(STORED, "attempt", text)
        if contradicting := next(filter(misfit, stored.attempts), None):
            raise BadRow(f"attempt {contradicting.id} cannot be read: {misfit(contradicting)}")
        account.new = len(stored.stored)
        if not stored.stored:
            return account
        told_of: dict[UUID, dict[UUID, Event]] = {}
        for told in known:
            if told.event.id in stored.stored:
                told_of.setdefault(told.message, {})[told.event.id] = told.event
        rules = Rules(now=locked.now, timing=self._timing, receiptless=receiptless)
        attempts = by_message(stored.attempts)
        changes = Changes()
        for message, events in told_of.items():
            before = rows[message], attempts.get(message, [])
            changes.note(before, fold(*before, events.values(), rules))
        await changes.write(connection)
        account.turns = [Turn(row.id, row.tenant, row.state) for row in changes.turned]
        return account


class _Told(msgspec.Struct, frozen=True):
    message: UUID
    event: Event


class _Account:
    """What became of the events so far."""

    def __init__(self) -> None:
        self.new = 0
        self.bad: list[BadEvent] = []
        self.turns: list[Turn] = []

    def add(self, other: _Account) -> None:
        self.new += other.new
        self.bad += other.bad
        self.turns += other.turns

    def readable(self, events: Sequence[Event]) -> list[_Told]:
        """Give the events with their messages' uuids, by message; set apart what has none."""
        told, uuids = [], dict[str, UUID]()
        for event in events:
            try:
                message = uuids.get(event.message)
                if message is None:
                    message = uuids[event.message] = decode_message_id(event.message)
            except BadId:
                self.bad.append(BadEvent(event, NO_ID))
                continue
            if why := _out_of_range(event):
                self.bad.append(BadEvent(event, why))
            else:
                told.append(_Told(message, _without_nul(event)))
        told.sort(key=lambda t: (t.message, t.event.id))
        return told


def readable(decoder: msgspec.json.Decoder[T], what: str, text: str | None) -> T:
    """Decode rows; one that cannot be read makes its events bad, which halving finds."""
    try:
        return read(decoder, what, text or "")
    except Unreadable as error:
        raise BadRow(str(error)) from error


def _out_of_range(event: Event) -> str:
    if not (0 <= event.step <= MAX_SMALLINT and 0 <= event.attempt_n <= MAX_SMALLINT):
        return f"step {event.step}, attempt {event.attempt_n}: out of range"
    if not (0 <= (event.segment or 0) < MAX_SEGMENTS and 1 <= event.segments <= MAX_SEGMENTS):
        return f"segment {event.segment} of {event.segments}: at most {MAX_SEGMENTS}"
    if event.at.tzinfo is None or (event.retry_at is not None and event.retry_at.tzinfo is None):
        return f"at {event.at}: a time without its zone"
    return ""


def _without_nul(event: Event) -> Event:
    """Replace the one character PostgreSQL has no place for; a state is worth more than a word."""
    reason, name = event.reason, event.carrier_message_id
    if reason is not None and ("\0" in reason.text or "\0" in reason.code):
        reason = Reason(reason.code.replace("\0", "\ufffd"), reason.text.replace("\0", "\ufffd"))
        event = replace(event, reason=reason)
    if name is not None and "\0" in name:
        event = replace(event, carrier_message_id=name.replace("\0", "\ufffd"))
    return event
