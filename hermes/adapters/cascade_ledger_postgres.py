"""The ledger as a cascade sees it, in PostgreSQL: batches of strangers' cascades, one lock each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import psycopg

from hermes.adapters.ledger_postgres import (
    ATTEMPT_COLUMNS,
    INSERT_EVENTS,
    MESSAGE_COLUMNS,
    encode,
    event_row,
    insert_news,
    with_bounds,
)
from hermes.adapters.postgres import Connection, PostgresPool, driver_errors, fetch_text
from hermes.adapters.unreadable_postgres import RowReader
from hermes.core.clock import Timing
from hermes.core.event import Event
from hermes.core.ids import decode_message_id
from hermes.ports.cascade_ledger import Claim, Ending, News, OpenCascade, Placement

CHANNEL: Final = "hermes_cascade"

# ruff: noqa: S608 - every statement here is made of constants alone
TAKE_OVER: Final = """
with locked as materialized (
    select m.id, i.owner, i.late,
        m.state in ('accepted', 'processing')
            and (m.cascade_owner is null or m.cascade_owner = i.owner) as is_ours
    from json_to_recordset($1::json) as i(message uuid, owner text, late text)
    join message m on m.id = i.message and m.id = any($2::uuid[]) and m.id between $3 and $4
    order by m.id for update of m),
taken as (
    update message m set cascade_owner = l.owner, cascade_late = l.late, state = 'processing',
        reason_code = null, reason_text = null, next_at = null, next_action = null
    from locked l
    where m.id = l.id and l.is_ours and m.id = any($2::uuid[]) and m.id between $3 and $4)
select json_agg(id)::text from locked where is_ours"""

READ: Final = f"""
select json_agg(r)::text from (
    select {MESSAGE_COLUMNS}, m.segments, m.accepted_at, m.send_at, m.reference, m.traceparent,
        m.cascade_owner, m.cascade_late, now() as now,
        b.recipient as to, b.sender, b.body as text, b.plan,
        coalesce((select json_agg(a) from (
            select {ATTEMPT_COLUMNS} from attempt a where a.message = m.id
            order by a.step, a.n) a), '[]') as attempts
    from message m left join message_body b on b.message = m.id
        and b.message = any($1::uuid[]) and b.message between $2 and $3
    where m.id = any($1::uuid[]) and m.id between $2 and $3) r"""

PLACE: Final = """
with locked as materialized (
    select m.id, m.tenant, m.expires_at, i.*
    from json_to_recordset($1::json) as i(message uuid, step smallint, token text, carrier text,
        segments smallint, price_amount numeric, price_currency text)
    join message m on m.id = i.message and m.id = any($2::uuid[]) and m.id between $3 and $4
    where m.state = 'processing'
    order by m.id for update of m),
placed as (
    insert into attempt (message, step, n, tenant, carrier, segments, price_amount,
        price_currency, queued_at, expires_at, next_at, next_action, token)
    select id, step, 0, tenant, carrier, segments, price_amount, price_currency, now(), expires_at,
        now() + make_interval(secs => $5), 'republish', token
    from locked on conflict do nothing),
news as (
    insert into cascade_news (message, step) select id, -1 from locked where step > 0
    on conflict (message, step) do update set version = cascade_news.version + 1, next_at = now()
    returning pg_notify('hermes_cascade', ''))
select json_agg(json_build_array(id, now()))::text from locked
where (select count(*) from news) >= 0"""

WITHDRAW: Final = """
delete from attempt a using json_to_recordset($1::json) as x(message uuid, step smallint)
where a.message = x.message and a.step = x.step and a.n = 0 and a.state = 0 and a.job_seq is null
    and a.next_action = 'republish'
    and a.message = any($2::uuid[]) and a.message between $3 and $4"""

FINISH: Final = """
with locked as materialized (
    select m.id, m.tenant, m.reference, m.possible_duplicate, i.state, i.code, i.text
    from json_to_recordset($1::json) as i(message uuid, state text, code text, text text)
    join message m on m.id = i.message and m.id = any($2::uuid[]) and m.id between $3 and $4
    where m.state in ('accepted', 'processing')
    order by m.id for update of m),
done as (
    update message m set state = l.state, done_at = now(), reason_code = l.code,
        reason_text = l.text, next_at = null, next_action = null
    from locked l where m.id = l.id and m.id = any($2::uuid[]) and m.id between $3 and $4),
hooks as (
    insert into webhook_outbox (tenant, endpoint, message, state, reference, reason_code,
        reason_text, possible_duplicate)
    select l.tenant, e.id, l.id, l.state, l.reference, l.code, l.text, l.possible_duplicate
    from locked l join webhook_endpoint e on e.tenant = l.tenant and e.disabled_at is null
        and (e.states is null or l.state = any(e.states))
    on conflict do nothing),
news as (
    insert into cascade_news (message, step) select id, -1 from locked
    on conflict (message, step) do update set version = cascade_news.version + 1, next_at = now()
    returning pg_notify('hermes_cascade', ''))
select count(*)::text from news"""

DUE_NEWS: Final = """
with due as (
    select message, step from cascade_news where next_at <= now()
    order by next_at limit $1 for update skip locked),
leased as (
    update cascade_news n set next_at = now() + make_interval(secs => $2)
    from due where n.message = due.message and n.step = due.step
    returning n.message, n.step, n.version)
select json_agg(l)::text from leased l"""

TOLD: Final = """
delete from cascade_news n
using json_to_recordset($1::json) as x(message uuid, step smallint, version bigint)
where n.message = x.message and n.step = x.step and n.version = x.version"""

IDS: Final = msgspec.json.Decoder(list[UUID])
QUEUED: Final = msgspec.json.Decoder(list[tuple[UUID, datetime]])
NEWS: Final = msgspec.json.Decoder(list[News])
OPEN: Final = RowReader(
    "cascade", msgspec.json.Decoder(list[OpenCascade]), msgspec.json.Decoder(OpenCascade)
)


class PostgresCascadeLedger:
    """See `hermes.ports.cascade_ledger.CascadeLedger` for the contract of the public methods."""

    def __init__(self, pool: PostgresPool, dsn: str, timing: Timing | None = None) -> None:
        self._pool, self._dsn = pool, dsn
        self._timing = timing or Timing()
        self._ears: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def take_over(self, claims: Sequence[Claim]) -> dict[UUID, OpenCascade]:
        """See the port. What is known of earlier steps is read once the owner is written."""
        if not claims:
            return {}
        ids = [claim.message for claim in claims]
        parameters = (encode(sorted(claims, key=lambda c: c.message)), *with_bounds(ids))

        async def work(connection: Connection) -> dict[UUID, OpenCascade]:
            text = await fetch_text(connection, TAKE_OVER, *parameters)
            return await _read(connection, IDS.decode(text) if text else [])

        return await self._pool.run(work)

    async def read(self, messages: Sequence[UUID]) -> dict[UUID, OpenCascade]:
        """See the port."""
        return await self._pool.run(lambda connection: _read(connection, messages))

    async def place(self, placements: Sequence[Placement]) -> dict[UUID, datetime]:
        """See the port."""
        if not placements:
            return {}
        ids = [placement.message for placement in placements]
        rows = [_row(placement) for placement in sorted(placements, key=lambda p: p.message)]
        parameters = (encode(rows), *with_bounds(ids), self._timing.republish_after_s)
        text = await self._pool.run(lambda c: fetch_text(c, PLACE, *parameters))
        return dict(QUEUED.decode(text)) if text else {}

    async def withdraw(self, messages: Sequence[tuple[UUID, int]]) -> None:
        """See the port."""
        if messages:
            rows = encode([{"message": message, "step": step} for message, step in messages])
            await self._pool.run(
                lambda c: c.execute(
                    WITHDRAW, (rows, *with_bounds([m for m, _ in messages])), prepare=True
                )
            )

    async def finish(self, endings: Sequence[Ending]) -> None:
        """See the port."""
        if not endings:
            return
        rows = [
            {
                "message": ending.message,
                "state": ending.state,
                "code": ending.reason.code if ending.reason else None,
                "text": (ending.reason.text or None) if ending.reason else None,
            }
            for ending in sorted(endings, key=lambda e: e.message)
        ]
        parameters = (encode(rows), *with_bounds([ending.message for ending in endings]))
        await self._pool.run(lambda c: fetch_text(c, FINISH, *parameters))

    async def add_news(self, news: Sequence[tuple[UUID, int]]) -> None:
        """See the port."""
        await self._pool.run(lambda connection: insert_news(connection, news))

    async def due_news(self, limit: int, lease_s: float) -> list[News]:
        """See the port."""
        text = await self._pool.run(lambda c: fetch_text(c, DUE_NEWS, limit, lease_s))
        return NEWS.decode(text) if text else []

    async def told(self, news: Sequence[News], events: Sequence[Event] = ()) -> None:
        """See the port."""

        async def work(connection: Connection) -> None:
            if events:
                rows = [event_row(event, decode_message_id(event.message)) for event in events]
                await connection.execute(INSERT_EVENTS, (encode(rows),), prepare=True)
            await connection.execute(TOLD, (encode(list(news)),), prepare=True)

        if news:
            await self._pool.run(work)

    async def wait_for_news(self, within_s: float) -> None:
        """See the port; listens on a connection of its own, and only waits while there is none."""
        try:
            with driver_errors():
                if self._ears is None or self._ears.closed:
                    self._ears = await psycopg.AsyncConnection.connect(
                        self._dsn, autocommit=True, application_name=CHANNEL
                    )
                    await self._ears.execute(f"listen {CHANNEL}")
                    return
                async for _ in self._ears.notifies(timeout=within_s, stop_after=1):
                    return
        except Exception:
            await self.close()
            await asyncio.sleep(within_s)
            raise

    async def close(self) -> None:
        """Close the listening connection; the pool is the caller's."""
        ears, self._ears = self._ears, None
        if ears is not None:
            await ears.close()


async def _read(connection: Connection, messages: Sequence[UUID]) -> dict[UUID, OpenCascade]:
    if not messages:
        return {}
    found, _ = OPEN.read(await fetch_text(connection, READ, *with_bounds(messages)))
    return {one.id: one for one in found}


def _row(placement: Placement) -> dict[str, object]:
    price = placement.price
    return {
        "message": placement.message,
        "step": placement.step,
        "token": placement.token,
        "carrier": placement.carrier,
        "segments": placement.segments,
        "price_amount": price.amount if price else None,
        "price_currency": price.currency if price else None,
    }
