"""Messages into the ledger, a batch of strangers' requests at a time, and out again to view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from hermes.adapters.ledger_postgres import SHOWN_COLUMNS, encode
from hermes.adapters.postgres import Connection, PostgresPool, fetch_text, split_bad
from hermes.core.attempt import Attempt
from hermes.core.ids import BadId, is_name
from hermes.core.plan import Plan
from hermes.core.wire import BROKEN, read
from hermes.ports.message_store import (
    ApiKey,
    CommitResult,
    Committed,
    Conflict,
    MessageView,
    Refused,
    Replayed,
    Submission,
)

# The key first: whoever waits there for another request's transaction holds nothing yet, and keys
# in order cannot wait for each other in a circle. What loses its key takes nothing else along.
COMMIT: Final = """
with input as materialized (
    select * from json_to_recordset($1::json) as x(id uuid, tenant text, api_key text, key text,
        body_hash text, traffic text, segments smallint, success text, accepted_at timestamptz,
        send_at timestamptz, expires_at timestamptz, reference text, traceparent text,
        recipient text, sender text, body text, plan json)),
keyed as (
    insert into idempotency (tenant, key, body_hash, message)
    select tenant, key, decode(body_hash, 'hex'), id from input where key is not null
    order by tenant, key
    on conflict do nothing returning message),
won as materialized (select array(select message from keyed) as ids),
fresh as materialized (
    select input.* from input, won where key is null or id = any(won.ids)),
messages as (
    insert into message (id, tenant, api_key, traffic, segments, success, accepted_at, send_at,
        expires_at, reference, traceparent, next_at, next_action)
    select id, tenant, api_key, traffic, segments, success, accepted_at, send_at, expires_at,
        reference, traceparent,
        case when send_at > now() then send_at else now() + make_interval(secs => $2) end,
        case when send_at > now() then 'start' else 'admit' end
    from fresh on conflict do nothing),
bodies as (
    insert into message_body (message, recipient, sender, body, plan)
    select id, recipient, sender, body, plan from fresh on conflict do nothing)
select input.id::text from input, won where key is not null and id <> all(won.ids)"""

KEYS_USED: Final = """
select i.tenant, i.key, d.message, encode(d.body_hash, 'hex')
from json_to_recordset($1::json) as i(tenant text, key text)
join idempotency d on d.tenant = i.tenant and d.key = i.key"""

VIEW: Final = """
    select m.id, m.tenant, m.state, m.traffic, m.segments, m.success, m.accepted_at, m.expires_at,
        m.send_at, m.done_at, m.reference, m.reason_code, m.reason_text, m.possible_duplicate,
        m.next_at, m.next_action, b.recipient as to, b.sender, b.body as text, b.plan"""

FIND: Final = f"""
select row_to_json(v)::text from (
    {VIEW},
        coalesce((select json_agg(r) from (
            select {SHOWN_COLUMNS} from attempt a where a.message = $2 order by a.step, a.n) r),
            '[]') as attempts,
        coalesce((select json_agg(r) from (
            select e.id, e.step, e.n, e.kind, e.at, e.recorded_at, e.host, e.actor, e.segment,
                e.carrier, e.carrier_message_id, e.reason_code, e.reason_text
            from event e where e.message = $2 order by e.at, e.recorded_at, e.id) r),
            '[]') as events
    from message m left join message_body b on b.message = $2
    where m.tenant = $1 and m.id = $2) v"""  # noqa: S608 - constants

PAGE: Final = f"""
select json_agg(v)::text from (
    {VIEW}
    from (select * from message where tenant = $1 and id < $2 order by id desc limit $3) m
    left join message_body b on b.message = m.id order by m.id desc) v"""  # noqa: S608

API_KEYS: Final = """
select k.id, k.tenant, k.hash, k.mode, t.suspended_at is not null, k.expires_at
from api_key k join tenant t on t.id = k.tenant
where k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
    and ($1::text[] is null or k.id = any($1::text[]))
order by k.id"""

CREATE_TENANT: Final = """
insert into tenant (id, name) values ($1, $2) on conflict do nothing returning id"""
CREATE_KEY: Final = """
insert into api_key (id, tenant, hash, mode, expires_at, label)
select $1, id, $3, $4, $5, $6 from tenant where id = $2
on conflict do nothing returning id"""

LAST_ID: Final = UUID(int=2**128 - 1)
FOUND: Final = msgspec.json.Decoder(MessageView)
FOUND_PAGE: Final = msgspec.json.Decoder(list[MessageView])
PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
EACH: Final = msgspec.json.Decoder(list[msgspec.Raw])
ATTEMPT: Final = msgspec.json.Decoder(Attempt)


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: UUID
    tenant: str
    traffic: str
    segments: int
    success: str
    accepted_at: datetime
    expires_at: datetime
    recipient: str
    body: str
    plan: Plan
    api_key: str | None = None
    key: str | None = None
    body_hash: str = ""
    send_at: datetime | None = None
    reference: str | None = None
    traceparent: str | None = None
    sender: str | None = None


class PostgresMessageStore:
    """Messages, tenants and keys in PostgreSQL (port: MessageStore).

    What was committed and not taken in is admitted again after `readmit_after_s` seconds.
    """

    def __init__(self, pool: PostgresPool, readmit_after_s: float = 10.0) -> None:
        self._pool = pool
        self._readmit_after_s = readmit_after_s

    async def commit(self, batch: Sequence[Submission]) -> list[CommitResult]:
        """Write messages in one statement; only used keys and bad rows cost another."""
        results: dict[int, CommitResult] = {}
        open_items = list(enumerate(batch))
        while open_items:
            losers: list[tuple[int, Submission]] = []

            async def work(
                items: Sequence[tuple[int, Submission]],
                losers: list[tuple[int, Submission]] = losers,
            ) -> None:
                lost = await self._pool.run(lambda connection: self._commit(connection, items))
                for index, item in items:
                    if item.message.id in lost:
                        losers.append((index, item))
                    else:
                        results[index] = Committed(item.message.id)

            for (index, _), why in await split_bad(open_items, work):
                results[index] = Refused(why)
            open_items = await self._answer_losers(losers, results) if losers else []
        return [results[index] for index in range(len(batch))]

    async def _commit(
        self, connection: Connection, items: Sequence[tuple[int, Submission]]
    ) -> set[UUID]:
        payload = encode([_row(item) for _, item in items])
        parameters = (payload, self._readmit_after_s)
        cursor = await connection.execute(COMMIT, parameters, prepare=True)
        return {UUID(row[0]) for row in await cursor.fetchall()}

    async def _answer_losers(
        self, losers: Sequence[tuple[int, Submission]], results: dict[int, CommitResult]
    ) -> list[tuple[int, Submission]]:
        """Answer from the keys' rows; give back those whose key was forgotten in between."""
        wanted = encode([{"tenant": s.message.tenant, "key": s.key} for _, s in losers])
        rows = await self._pool.fetch(KEYS_USED, wanted)
        used = {(tenant, key): (m, h) for tenant, key, m, h in rows}
        open_items = []
        for index, item in losers:
            message, body_hash = used.get((item.message.tenant, item.key), (None, ""))
            if message is None:
                open_items.append((index, item))
            elif message == item.message.id:
                results[index] = Committed(message)
            elif body_hash == item.body_hash.hex():
                results[index] = Replayed(message)
            else:
                results[index] = Conflict(message)
        return open_items

    async def find(self, tenant: str, message: UUID) -> MessageView | None:
        """Give a message with its attempts and trail; None if this tenant has no such message."""
        text = await self._pool.run(lambda c: fetch_text(c, FIND, tenant, message))
        return _view(text.encode()) if text else None

    async def page(self, tenant: str, limit: int, before: UUID | None = None) -> list[MessageView]:
        """Give a tenant's messages older than `before`, newest first, without trails."""
        last = before or LAST_ID
        text = await self._pool.run(lambda c: fetch_text(c, PAGE, tenant, last, limit))
        try:
            return FOUND_PAGE.decode(text) if text else []
        except BROKEN:
            return [_view(bytes(raw)) for raw in EACH.decode(text or "[]")]

    async def api_keys(self, ids: Sequence[str] | None = None) -> list[ApiKey]:
        """Give the keys with these ids that are neither revoked nor expired; None: all of them."""
        wanted = None if ids is None else list(ids)
        return [
            ApiKey(id=i, tenant=t, hash=h, mode=m, is_suspended=s, expires_at=e)
            for i, t, h, m, s, e in await self._pool.fetch(API_KEYS, wanted)
        ]

    async def create_tenant(self, tenant: str, name: str = "") -> bool:
        """Make a tenant; False if it is there already. Raises BadId."""
        if not is_name(tenant):
            raise BadId("tenant", tenant)
        made = await self._pool.run(lambda c: fetch_text(c, CREATE_TENANT, tenant, name))
        return made is not None

    async def create_key(self, key: ApiKey, label: str = "") -> bool:
        """Make a key; False if that id is there already, or the tenant is not."""
        parameters = (key.id, key.tenant, key.hash, key.mode, key.expires_at, label)
        made = await self._pool.run(lambda c: fetch_text(c, CREATE_KEY, *parameters))
        return made is not None


def _view(data: bytes) -> MessageView:
    """Read a view; a plan and attempts that cannot be read are left out. Raises Unreadable."""
    try:
        return FOUND.decode(data)
    except BROKEN:
        parts = PARTS.decode(data)
    parts.pop("plan", None)
    each = EACH.decode(parts.get("attempts", b"[]"))
    attempts = ",".join(bytes(raw).decode() for raw in each if _is_attempt(raw))
    parts["attempts"] = msgspec.Raw(f"[{attempts}]".encode())
    return read(FOUND, "message", msgspec.json.encode(parts))


def _is_attempt(raw: msgspec.Raw) -> bool:
    try:
        ATTEMPT.decode(raw)
    except BROKEN:
        return False
    return True


def _row(item: Submission) -> _Row:
    message = item.message
    return _Row(
        id=message.id,
        tenant=message.tenant,
        traffic=message.traffic,
        segments=message.segments,
        success=",".join(step.success for step in message.plan.steps),
        accepted_at=message.accepted_at,
        expires_at=message.expires_at,
        recipient=message.to,
        body=message.text,
        plan=message.plan,
        api_key=item.api_key,
        key=item.key,
        body_hash=item.body_hash.hex(),
        send_at=message.send_at,
        reference=message.reference,
        traceparent=message.traceparent,
        sender=message.sender,
    )
