"""The ledger clock in PostgreSQL: due rows out, new attempts in, by one host at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from hermes.adapters.ledger_postgres import (
    ATTEMPT_COLUMNS,
    INSERT_EVENTS,
    MESSAGE_COLUMNS,
    READ_ATTEMPTS,
    Changes,
    by_message,
    encode,
    event_row,
    with_bounds,
)
from hermes.adapters.postgres import Connection, PostgresPool, fetch_text
from hermes.adapters.unreadable_postgres import ATTEMPT_ROWS, RowReader, lease, stop
from hermes.core.attempt import Attempt
from hermes.core.clock import Timing
from hermes.core.event import Source
from hermes.core.ids import decode_message_id
from hermes.core.outcome import Rules
from hermes.core.sweep import StreamWatch, Sweep, SweptMessage, lost_job
from hermes.ports.clock_store import Due, Retention, Rotation, SetAside

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
SWEPT_ROWS: Final = RowReader(
    "message", msgspec.json.Decoder(list[SweptMessage]), msgspec.json.Decoder(SweptMessage)
)


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
        messages, bad = SWEPT_ROWS.read(await fetch_text(connection, DUE_MESSAGES, limit))
        counts = [len(messages) + len(bad)]
        for swept in messages:
            changes.note((swept.row(), ()), (sweep.on_message(swept), ()))
        aside = [one.key.aside(one.why) for one in bad]
        due, bad = ATTEMPT_ROWS.read(await fetch_text(connection, DUE_ATTEMPTS, limit))
        counts.append(len(due) + len(bad))
        aside += [one.key.aside(one.why) for one in bad]
        if self._watch.is_due(streams, rules.now):
            created = encode([{"carrier": c, "created": at} for c, at in streams.items()])
            lost, bad = ATTEMPT_ROWS.read(await fetch_text(connection, LOST_JOBS, limit, created))
            counts.append(len(lost) + len(bad))
            aside += [one.key.aside(one.why) for one in bad]
            due += [lost_job(attempt) for attempt in lost]
        if due:
            aside += await self._sweep_attempts(connection, sweep, changes, due)
        await changes.write(connection)
        await lease(connection, aside, rules.timing.lease_s)
        if sweep.told:
            rows = [event_row(event, decode_message_id(event.message)) for event in sweep.told]
            await connection.execute(INSERT_EVENTS, (encode(rows),), prepare=True)
        if len(counts) > 2 and counts[2] < limit:
            self._watch.looked(streams, rules.now)
        return Due(
            admit=tuple(sweep.admit),
            jobs=tuple(sweep.jobs),
            events=tuple(sweep.events),
            aside=tuple(dict.fromkeys(aside)),
            has_more=limit in counts,
        )

    async def _sweep_attempts(
        self, connection: Connection, sweep: Sweep, changes: Changes, due: Sequence[Attempt]
    ) -> list[SetAside]:
        """Sweep what is due of messages that can be read whole; give what is due of the others."""
        due_of: dict[UUID, dict[tuple[int, int], Attempt]] = {}
        for attempt in due:
            due_of.setdefault(attempt.message, {}).setdefault((attempt.step, attempt.n), attempt)
        ids = sorted(due_of)
        bounds = with_bounds(ids)
        messages, bad = SWEPT_ROWS.read(await fetch_text(connection, MESSAGES_OF, *bounds))
        found, bad_attempts = ATTEMPT_ROWS.read(
            await fetch_text(connection, READ_ATTEMPTS, *bounds)
        )
        why_of = {one.key.owner: one.why for one in (*bad, *bad_attempts)}
        attempts = by_message(found)
        for swept in messages:
            mine = tuple(due_of[swept.id].values())
            if why := why_of.get(swept.id) or beyond_plan(swept, mine):
                why_of[swept.id] = why
                continue
            known = attempts[swept.id]
            changes.note((swept.row(), known), sweep.on_attempts(swept, known, mine))
        return [
            SetAside("attempt", attempt.id, attempt.next_action, why_of[message])
            for message, mine in due_of.items()
            if message in why_of
            for attempt in mine.values()
        ]

    async def stop(self, rows: Sequence[SetAside]) -> None:
        """Stop the clocks of rows nobody can read."""
        await self._pool.run(lambda connection: stop(connection, rows))

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


def beyond_plan(swept: SweptMessage, due: Sequence[Attempt]) -> str:
    """Say which step of an attempt the plan does not have, "" for none."""
    steps = [attempt.step for attempt in due]
    if swept.plan is None or max(steps) < len(swept.plan.steps):
        return ""
    return f"message cannot be read: step {max(steps)} of a plan of {len(swept.plan.steps)}"


async def _rows(connection: Connection, statement: str, *parameters: object) -> list[Any]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall()
