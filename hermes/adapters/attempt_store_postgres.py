"""Attempts as intake makes them, in PostgreSQL: one statement for a batch that nobody contends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from hermes.adapters.ledger_postgres import SHOWN_COLUMNS, encode, with_bounds
from hermes.adapters.postgres import Connection, PostgresPool, fetch_text
from hermes.adapters.unreadable_postgres import RowReader
from hermes.core.attempt import Attempt
from hermes.core.clock import Timing
from hermes.core.event import Source
from hermes.core.ids import attempt_id, decode_message_id, encode_message_id, split_attempt_id
from hermes.core.state import AttemptState, MessageState
from hermes.ports.attempt_store import (
    Cancellation,
    JobPlace,
    Offer,
    OnItsWay,
    Parking,
    Taken,
)

UNCERTAIN: Final = int(AttemptState.UNCERTAIN)

TAKE_IN: Final = """
with locked as materialized (
    select m.id, m.tenant, m.state, m.expires_at, i.*,
        m.state = 'accepted' and m.expires_at > now() as is_free
    from json_to_recordset($1::json) as i(message uuid, carrier text, segments smallint,
        price_amount numeric, price_currency text)
    join message m on m.id = i.message and m.id = any($2::uuid[]) and m.id between $3 and $4
    order by m.id for update of m),
placed as (
    insert into attempt (message, step, n, tenant, carrier, segments, price_amount,
        price_currency, queued_at, expires_at, next_at, next_action)
    select id, 0, 0, tenant, carrier, segments, price_amount, price_currency, now(), expires_at,
        now() + make_interval(secs => $5), 'republish'
    from locked where is_free and carrier is not null
    on conflict do nothing),
taken as (
    update message m set state = 'processing', reason_code = null, reason_text = null,
        next_at = case when m.id = any(array(select id from locked where carrier is null))
            then now() + make_interval(secs => $5) end,
        next_action = case when m.id = any(array(select id from locked where carrier is null))
            then 'admit' end
    where m.id = any(array(select id from locked where is_free)) and m.id between $3 and $4)
select json_build_object('now', now(), 'found', coalesce(json_agg(
    json_build_array(id, state, is_free)), '[]'))::text
from locked"""

# For messages already taken in: the newest attempt of each, and whether an engine has it.
WHERE_IS: Final = f"""
select json_agg(json_build_object(
    'id', m.id, 'state', m.state, 'has_engine', m.cascade_owner is not null,
    'attempt', (select row_to_json(r) from (
        select {SHOWN_COLUMNS} from attempt a where a.message = m.id
        order by a.step desc, a.n desc limit 1) r)))::text
from message m where m.id = any($1::uuid[]) and m.id between $2 and $3"""  # noqa: S608 - constants

RECORD: Final = """
with found as (
    update attempt a set stream_created = x.stream_created, job_seq = x.job_seq,
        next_at = case when a.next_action = 'republish'
            then a.expires_at + make_interval(secs => $5) else a.next_at end,
        next_action = case when a.next_action = 'republish' then 'expire' else a.next_action end
    from json_to_recordset($1::json) as x(message uuid, step smallint, n smallint,
        stream_created timestamptz, job_seq bigint)
    where a.message = x.message and a.step = x.step and a.n = x.n
        and a.message = any($2::uuid[]) and a.message between $3 and $4
    returning 1)
select count(*)::text from found"""

PARK: Final = """
with locked as materialized (
    select m.id, m.state, m.reason_code, i.*
    from json_to_recordset($1::json) as i(message uuid, code text, text text,
        at timestamptz, after_s double precision, action text)
    join message m on m.id = i.message and m.id = any($2::uuid[]) and m.id between $3 and $4
    where m.state in ('accepted', 'processing') and m.cascade_owner is null
    order by m.id for update of m),
withdrawn as (
    delete from attempt a
    where a.message = any(array(select id from locked where state = 'processing'))
        and a.message between $3 and $4 and a.step = 0 and a.n = 0 and a.state = 0
        and a.job_seq is null and a.next_action = 'republish'
    returning a.message),
waiting as materialized (
    select * from locked
    where state = 'accepted' or id = any(array(select message from withdrawn))),
told as (
    insert into event (message, id, step, n, kind, at, host, actor, boot, reason_code, reason_text)
    select id, gen_random_uuid(), 0, 0, 'parked', now(), $5, $6, $7, code, text
    from waiting where reason_code is distinct from code),
parked as (
    update message m set state = 'accepted', reason_code = i.code, reason_text = i.text,
        next_at = coalesce(i.at, now() + make_interval(secs => i.after_s)), next_action = i.action
    from json_to_recordset($1::json) as i(message uuid, code text, text text,
        at timestamptz, after_s double precision, action text)
    where m.id = i.message and m.id = any(array(select id from waiting))
        and m.id between $3 and $4)
select json_agg(id)::text from waiting"""

# A cascade can be cancelled whatever is under way: no later step is begun, and its engine hears.
CANCEL: Final = """
with locked as materialized (
    select id, tenant, state, reference, success like '%,%' as is_cascade
    from message where tenant = $1 and id = $2 for update),
won as materialized (
    select * from locked where state = 'accepted' or (state = 'processing' and is_cascade)),
done as (
    update message set state = 'cancelled', done_at = now(), reason_code = 'cancelled',
        reason_text = null, next_at = null, next_action = null
    where id = $2 and exists (select from won)),
told as (
    insert into event (message, id, step, n, kind, at, host, actor, boot, reason_code)
    select id, gen_random_uuid(), 0, 0, 'cancelled', now(), $3, $4, $5, 'cancelled' from won),
hooks as (
    insert into webhook_outbox (tenant, endpoint, message, state, reference, reason_code)
    select won.tenant, e.id, won.id, 'cancelled', won.reference, 'cancelled'
    from won join webhook_endpoint e on e.tenant = won.tenant and e.disabled_at is null
        and (e.states is null or 'cancelled' = any(e.states))
    on conflict do nothing),
news as (
    insert into cascade_news (message, step) select id, -1 from won where is_cascade
    on conflict (message, step) do update set version = cascade_news.version + 1, next_at = now()
    returning pg_notify('hermes_cascade', ''))
select case when exists (select from won) then 'cancelled' else state end from locked"""

ON_THEIR_WAY: Final = """
select step, n, carrier from attempt where message = $1 and state < $2 order by step, n"""


class _Locked(msgspec.Struct):
    now: datetime
    found: list[tuple[UUID, MessageState, bool]]


class _Where(msgspec.Struct):
    id: UUID
    state: MessageState
    has_engine: bool
    attempt: Attempt | None


WHERE: Final = RowReader(
    "attempt", msgspec.json.Decoder(list[_Where]), msgspec.json.Decoder(_Where)
)
LOCKED: Final = msgspec.json.Decoder(_Locked)
IDS: Final = msgspec.json.Decoder(list[UUID])


class PostgresAttemptStore:
    """Attempts between acceptance and the belt (port: AttemptStore).

    `source` signs the events this store writes by itself.
    """

    def __init__(self, pool: PostgresPool, source: Source, timing: Timing | None = None) -> None:
        self._pool = pool
        self._source = source
        self._timing = timing or Timing()

    async def take_in(self, offers: Sequence[Offer]) -> list[Taken]:
        """Take messages in; those found taken already are looked up in a second statement."""
        if not offers:
            return []
        unique = {offer.message: offer for offer in sorted(offers, key=lambda o: o.message)}
        payload = encode([_offer_row(offer) for offer in unique.values()])
        ids = list(unique)
        parameters = (payload, *with_bounds(ids), self._timing.republish_after_s)
        text = await self._pool.run(lambda c: fetch_text(c, TAKE_IN, *parameters))
        locked = LOCKED.decode(text or "")
        results: dict[UUID, Taken] = {}
        under_way: list[UUID] = []
        for message, state, is_valid in locked.found:
            if state == "processing":
                under_way.append(message)
            elif state != "accepted":
                results[message] = Taken(message=message, status="finished")
            elif not is_valid:
                results[message] = Taken(message=message, status="expired")
            else:
                results[message] = _taken(unique[message], locked.now)
        if under_way:
            under_way.sort()
            results.update(await self._pool.run(lambda c: _where_is(c, under_way)))
        return [
            results.get(offer.message) or Taken(message=offer.message, status="absent")
            for offer in offers
        ]

    async def record_jobs(self, places: Sequence[JobPlace]) -> int:
        """Note where jobs lie on the belt; their clock now waits for expiry. Raises BadId."""
        if not places:
            return 0
        rows = sorted((_place_row(place) for place in places), key=lambda r: (r.message, r.step))
        ids = [row.message for row in rows]
        parameters = (encode(rows), *with_bounds(ids), self._timing.expire_margin_s)
        return int(await self._pool.run(lambda c: fetch_text(c, RECORD, *parameters)) or 0)

    async def park(self, parkings: Sequence[Parking]) -> list[UUID]:
        """Let messages wait on the ledger clock; a new reason is told as event `parked`."""
        if not parkings:
            return []
        rows = [
            {
                "message": p.message,
                "code": p.reason.code,
                "text": p.reason.text or None,
                "at": p.next_at,
                "after_s": p.after_s,
                "action": p.next_action,
            }
            for p in sorted(parkings, key=lambda p: p.message)
        ]
        ids = sorted({p.message for p in parkings})
        parameters = (encode(rows), *with_bounds(ids), *self._signature())
        text = await self._pool.run(lambda c: fetch_text(c, PARK, *parameters))
        return IDS.decode(text) if text else []

    async def cancel(self, tenant: str, message: UUID) -> Cancellation | None:
        """Cancel a message nobody took in yet; else name the jobs whose claims decide."""

        async def work(connection: Connection) -> Cancellation | None:
            state: Any = await fetch_text(connection, CANCEL, tenant, message, *self._signature())
            if state != "processing":
                return None if state is None else Cancellation(state)
            cursor = await connection.execute(ON_THEIR_WAY, (message, UNCERTAIN), prepare=True)
            name = encode_message_id(message)
            jobs = [
                OnItsWay(attempt_id(name, step, n), carrier)
                for step, n, carrier in await cursor.fetchall()
            ]
            return Cancellation(state, tuple(jobs))

        return await self._pool.run(work)

    def _signature(self) -> tuple[str, str, str | None]:
        return self._source.host, self._source.actor, self._source.boot or None


class _PlaceRow(msgspec.Struct, frozen=True):
    message: UUID
    step: int
    n: int
    stream_created: datetime
    job_seq: int


def _place_row(place: JobPlace) -> _PlaceRow:
    name, step, n = split_attempt_id(place.attempt)
    return _PlaceRow(decode_message_id(name), step, n, place.stream_created, place.job_seq)


def _offer_row(offer: Offer) -> dict[str, object]:
    price = offer.price
    return {
        "message": offer.message,
        "carrier": offer.carrier,
        "segments": offer.segments,
        "price_amount": price.amount if price else None,
        "price_currency": price.currency if price else None,
    }


def _taken(offer: Offer, now: datetime) -> Taken:
    message = offer.message
    return Taken(
        message=message,
        status="taken",
        attempt=attempt_id(encode_message_id(message), 0, 0) if offer.carrier else None,
        carrier=offer.carrier,
        segments=offer.segments,
        price=offer.price,
        queued_at=now,
    )


async def _where_is(connection: Connection, messages: Sequence[UUID]) -> dict[UUID, Taken]:
    text = await fetch_text(connection, WHERE_IS, *with_bounds(messages))
    found, unread = WHERE.read(text)
    # its clock will find it, and set it aside
    results = {
        one.key.owner: Taken(message=one.key.owner, status="recorded")
        for one in unread
        if one.key.owner is not None
    }
    return results | {there.id: _under_way(there) for there in found}


def _under_way(there: _Where) -> Taken:
    attempt = there.attempt
    if there.state != "processing":
        return Taken(message=there.id, status="finished")
    if attempt is None:
        return Taken(message=there.id, status="recorded" if there.has_engine else "again")
    is_recorded = attempt.job_seq is not None or attempt.next_action != "republish"
    if is_recorded or attempt.state >= AttemptState.UNCERTAIN:
        return Taken(message=there.id, status="recorded")
    return Taken(
        message=there.id,
        status="again",
        attempt=attempt.id,
        carrier=attempt.carrier,
        segments=attempt.segments,
        price=attempt.price,
        queued_at=attempt.queued_at,
        possible_duplicate=attempt.possible_duplicate,
    )
