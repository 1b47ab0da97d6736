"""Inbound PDUs in PostgreSQL, and the way back from a carrier's message id to an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from hermes.adapters.ledger_postgres import encode, with_bounds
from hermes.adapters.postgres import PostgresPool
from hermes.core.ids import attempt_id, encode_message_id
from hermes.ports.inbound_store import FoundAttempt, Inbound

# Not COPY: a batch whose commit went unanswered is stored again, and COPY would fail on it.
APPEND: Final = """
insert into inbound (id, carrier, bind, host, received_at, raw, partition, kind)
select id, carrier, bind, host, received_at, decode(raw, 'base64'), partition, kind
from json_to_recordset($1::json) as x(id uuid, carrier text, bind text, host text,
    received_at timestamptz, raw text, partition smallint, kind text)
on conflict do nothing"""

INBOUND_COLUMNS: Final = "id, carrier, bind, host, received_at, raw, partition, kind"

# parts of a long message that wait for the others have a result already
UNPROCESSED: Final = f"""
select {INBOUND_COLUMNS} from inbound
where processed_at is null and result is null and partition = any($1::smallint[])
    and received_at <= now() - make_interval(secs => $2)
order by id limit $3"""  # noqa: S608 - constants

MARK: Final = """
update inbound set processed_at = now(), result = $4
where id = any($1::uuid[]) and id between $2 and $3 and processed_at is null"""

FIND_ATTEMPT: Final = """
select distinct on (e.carrier_message_id) e.carrier_message_id, e.message, e.step, e.n, e.segment,
    a.tenant, a.segments, a.expires_at, b.recipient, b.sender
from event e
join attempt a on a.message = e.message and a.step = e.step and a.n = e.n
left join message_body b on b.message = e.message
where e.kind = 'sent' and e.carrier_message_id = any($2::text[]) and e.carrier = $1
order by e.carrier_message_id, e.at desc"""


ADOPT: Final = """
update inbound set processed_at = now(), result = 'matched'
where id = any($1::uuid[]) and id between $2 and $3 and result = 'orphan'"""

ORPHANS: Final = f"""
select {INBOUND_COLUMNS} from inbound where result = 'orphan' order by id desc limit $1"""  # noqa: S608

FIND_UNCERTAIN: Final = """
select a.message, a.step, a.n, a.tenant, a.segments, a.expires_at, b.recipient, b.sender
from attempt a join message_body b on b.message = a.message
where a.next_at is not null and a.next_action = 'resolve_uncertain' and a.carrier = $1
    and b.recipient = any($2::text[])
order by a.message, a.step, a.n"""


def inbound_of(row: Sequence[Any]) -> Inbound:
    """Make a PDU of INBOUND_COLUMNS."""
    return Inbound(
        id=row[0],
        carrier=row[1],
        bind=row[2],
        host=row[3],
        received_at=row[4],
        raw=row[5],
        partition=row[6],
        kind=row[7],
    )


class PostgresInboundStore:
    """Inbound PDUs of every bind (port: InboundStore)."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def append(self, rows: Sequence[Inbound]) -> None:
        """Store PDUs in one statement; ids that are there already stay as they are."""
        if rows:
            payload = encode(rows)
            await self._pool.run(lambda c: c.execute(APPEND, (payload,), prepare=True))

    async def unprocessed(
        self, partitions: Sequence[int], older_than_s: float, limit: int
    ) -> list[Inbound]:
        """Give PDUs of these partitions that were received at least so long ago, oldest first."""
        rows = await self._pool.fetch(UNPROCESSED, list(partitions), older_than_s, limit)
        return [inbound_of(row) for row in rows]

    async def mark(self, ids: Sequence[UUID], result: str) -> None:
        """Note that PDUs were processed, and how it ended."""
        if ids:
            parameters = (*with_bounds(ids), result)
            await self._pool.run(lambda c: c.execute(MARK, parameters, prepare=True))

    async def find_attempt(
        self, carrier: str, carrier_message_ids: Sequence[str]
    ) -> dict[str, FoundAttempt]:
        """Give the attempts whose `sent` events carry these ids, exactly as written."""
        readable = [text for text in carrier_message_ids if text and "\0" not in text]
        if not readable:
            return {}
        return {
            row[0]: FoundAttempt(
                attempt=attempt_id(encode_message_id(row[1]), row[2], row[3]),
                segment=row[4],
                tenant=row[5],
                segments=row[6],
                expires_at=row[7],
                to=row[8],
                sender=row[9],
            )
            for row in await self._pool.fetch(FIND_ATTEMPT, carrier, readable)
        }

    async def adopt(self, ids: Sequence[UUID]) -> None:
        """Note that orphans were matched after all."""
        if ids:
            parameters = with_bounds(ids)
            await self._pool.run(lambda c: c.execute(ADOPT, parameters, prepare=True))

    async def orphans(self, limit: int) -> list[Inbound]:
        """Give the receipts nobody was found for, newest first."""
        return [inbound_of(row) for row in await self._pool.fetch(ORPHANS, limit)]

    async def find_uncertain(
        self, carrier: str, recipients: Sequence[str]
    ) -> dict[str, list[FoundAttempt]]:
        """Give the attempts whose outcome is open."""
        found: dict[str, list[FoundAttempt]] = {}
        rows = (
            await self._pool.fetch(FIND_UNCERTAIN, carrier, list(recipients)) if recipients else []
        )
        for row in rows:
            found.setdefault(row[6], []).append(
                FoundAttempt(
                    attempt=attempt_id(encode_message_id(row[0]), row[1], row[2]),
                    segment=None,
                    tenant=row[3],
                    segments=row[4],
                    expires_at=row[5],
                    to=row[6],
                    sender=row[7],
                )
            )
        return found
