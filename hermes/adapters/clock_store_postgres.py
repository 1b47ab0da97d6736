"""The ledger clock in PostgreSQL: due rows out, new attempts in, by one host at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from hermes.adapters.ledger_postgres import (
    ATTEMPT_COLUMNS,
    ATTEMPTS,
    INSERT_EVENTS,
    MESSAGE_COLUMNS,
    Changes,
    array_of,
    encode,
    event_row,
    read_attempts,
)
from hermes.adapters.postgres import Connection, PostgresPool, fetch_text
from hermes.core.attempt import Attempt
from hermes.core.clock import Timing
from hermes.core.event import Source
from hermes.core.ids import decode_message_id
from hermes.core.outcome import Rules
from hermes.core.sweep import StreamWatch, Sweep, SweptMessage, lost_job
from hermes.ports.clock_store import Due, Retention, Rotation

# ruff: noqa: S608 - every statement here is made of constants alone
SWEEP_LOCK: Final = 0x4845524D45530002

TURN: Final = """
select json_build_object('has_turn', pg_try_advisory_xact_lock($1), 'now', now())::text"""

SWEPT: Final = f"""
    select {MESSAGE_COLUMNS}, m.segments, m.accepted_at, m.send_at, m.reference, m.traceparent,
        m.cascade_owner is not null or exists (select from attempt a where a.message = m.id)
            as is_taken,
        b.recipient as to, b.sender, b.body as text, b.plan
    from message m left join message_body b on b.message = m.id"""

# What others have locked comes next time: nobody waits for the sweeper, nor it for anybody.
DUE_MESSAGES: Final = f"""
select json_agg(r)::text from ({SWEPT}
    where m.next_at <= now() order by m.next_at limit $1 for update of m skip locked) r"""
DUE_ATTEMPTS: Final = f"""
select json_agg(r)::text from (
    select {ATTEMPT_COLUMNS} from attempt a join message m on m.id = a.message
    where a.next_at <= now() order by a.next_at limit $1 for update of m, a skip locked) r"""
LOST_JOBS: Final = f"""
select json_agg(r)::text from (
    select {ATTEMPT_COLUMNS} from attempt a join message m on m.id = a.message
    where a.next_at is not null and a.next_action = 'expire' and exists (
        select from json_to_recordset($2::json) as s(carrier text, created timestamptz)
        where s.carrier = a.carrier and s.created <> a.stream_created)
    order by a.next_at limit $1 for update of m, a skip locked) r"""
MESSAGES_OF: Final = f"""
select json_agg(r)::text from ({SWEPT}
    where m.id = any($1::uuid[]) and m.id between $2 and $3) r"""

ENSURE: Final = """
select ledger_ensure_partitions(
    (now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + $1::integer)"""
PAST: Final = """
select d, d < today - $1::integer from ledger_days() d,
    lateral (select (now() at time zone 'UTC')::date as today) t
where d < today - least($1::integer, $2::integer)"""
DROP: Final = "select ledger_drop_partition($1)"
ERASE: Final = "select ledger_erase_bodies($1)"
FORGET: Final = """
delete from idempotency where (tenant, key) in (
    select tenant, key from idempotency where created_at < now() - make_interval(days => $1)
    order by created_at limit 10000)"""


class _Turn(msgspec.Struct):
    has_turn: bool
    now: datetime


TURNS: Final = msgspec.json.Decoder(_Turn)
SWEPT_ROWS: Final = msgspec.json.Decoder(list[SweptMessage])


class PostgresClockStore:
    """The sweeper's side of the ledger (port: ClockStore). `source` signs the events it tells."""

    def __init__(self, pool: PostgresPool, source: Source) -> None:
        self._pool = pool
        self._source = source
        self._watch = StreamWatch()

    async def sweep(
        self,
        limit: int,
        timing: Timing,
        streams: Mapping[str, datetime] | None = None,
        receiptless: frozenset[str] = frozenset(),
    ) -> Due:
        """Hand out what is due, if it is this host's turn."""

        async def work(connection: Connection) -> Due:
            async with connection.transaction():
                turn = TURNS.decode(await fetch_text(connection, TURN, SWEEP_LOCK) or "")
                if not turn.has_turn:
                    return Due(has_turn=False)
                rules = Rules(now=turn.now, timing=timing, receiptless=receiptless)
                return await self._sweep(connection, limit, rules, dict(streams or {}))

        return await self._pool.run(work)

    async def _sweep(
        self, connection: Connection, limit: int, rules: Rules, streams: dict[str, datetime]
    ) -> Due:
        sweep, changes = Sweep(rules, self._source), Changes()
        messages = SWEPT_ROWS.decode(await fetch_text(connection, DUE_MESSAGES, limit) or "[]")
        for swept in messages:
            changes.note((swept.row(), ()), (sweep.on_message(swept), ()))
        due = ATTEMPTS.decode(await fetch_text(connection, DUE_ATTEMPTS, limit) or "[]")
        lost: list[Attempt] = []
        if self._watch.is_due(streams, rules.now):
            created = encode([{"carrier": c, "created": at} for c, at in streams.items()])
            text = await fetch_text(connection, LOST_JOBS, limit, created)
            lost = [lost_job(attempt) for attempt in ATTEMPTS.decode(text or "[]")]
        if due or lost:
            await self._sweep_attempts(connection, sweep, changes, [*due, *lost])
        await changes.write(connection)
        if sweep.told:
            rows = [event_row(event, decode_message_id(event.message)) for event in sweep.told]
            await connection.execute(INSERT_EVENTS, (encode(rows),), prepare=True)
        if streams and len(lost) < limit:
            self._watch.looked(streams, rules.now)
        return Due(
            admit=tuple(sweep.admit),
            jobs=tuple(sweep.jobs),
            events=tuple(sweep.events),
            has_more=limit in (len(messages), len(due), len(lost)),
        )

    async def _sweep_attempts(
        self, connection: Connection, sweep: Sweep, changes: Changes, due: Sequence[Attempt]
    ) -> None:
        due_of: dict[UUID, dict[tuple[int, int], Attempt]] = {}
        for attempt in due:
            due_of.setdefault(attempt.message, {}).setdefault((attempt.step, attempt.n), attempt)
        ids = sorted(due_of)
        text = await fetch_text(connection, MESSAGES_OF, array_of(ids), ids[0], ids[-1])
        attempts = await read_attempts(connection, ids)
        for swept in SWEPT_ROWS.decode(text or "[]"):
            known = attempts[swept.id]
            rows = sweep.on_attempts(swept, known, tuple(due_of[swept.id].values()))
            changes.note((swept.row(), known), rows)

    async def rotate(self, retention: Retention) -> Rotation:
        """Make, drop and erase partitions, each in a transaction of its own."""
        made = await self._value(ENSURE, retention.ahead_days)
        past = await self._pool.run(
            lambda c: _rows(c, PAST, retention.history_days, retention.body_days)
        )
        dropped: list[date] = []
        erased: list[date] = []
        kept: list[date] = []
        for day, is_history in past:
            if is_history and await self._value(DROP, day):
                dropped.append(day)
            elif is_history:
                kept.append(day)
            elif await self._value(ERASE, day):
                erased.append(day)
        forgotten = await self._pool.run(
            lambda c: c.execute(FORGET, (retention.idempotency_days,), prepare=True)
        )
        return Rotation(
            made=made,
            dropped=tuple(dropped),
            erased=tuple(erased),
            kept_open=tuple(kept),
            forgotten_keys=forgotten.rowcount,
        )

    async def _value(self, statement: str, *parameters: object) -> Any:
        rows = await self._pool.run(lambda c: _rows(c, statement, *parameters))
        return rows[0][0]


async def _rows(connection: Connection, statement: str, *parameters: object) -> list[Any]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall()
