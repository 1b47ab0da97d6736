"""Messages from handsets in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from hermes.adapters.inbound_store_postgres import INBOUND_COLUMNS, MARK, inbound_of
from hermes.adapters.ledger_postgres import encode, with_bounds
from hermes.adapters.postgres import Connection, PostgresPool
from hermes.core.event import Source
from hermes.ports.inbound_store import Inbound
from hermes.ports.mo_store import Mo, WholeMo

# ruff: noqa: S608  (statements are made of constants alone)
MO_COLUMNS: Final = """id, carrier, source, destination, text, octets, data_coding, received_at,
    total, missing, problems"""

ADD: Final = f"""
with added as (
    insert into mo ({MO_COLUMNS})
    select id, carrier, source, destination, text, decode(octets, 'base64'), data_coding,
        received_at, total, missing, problems
    from json_to_recordset($1::json) as x(id uuid, carrier text, source text, destination text,
        text text, octets text, data_coding smallint, received_at timestamptz, total smallint,
        missing smallint[], problems text[])
    on conflict do nothing returning id, carrier, received_at
)
insert into event (message, id, step, n, kind, at, host, actor, boot, carrier)
select id, id, 0, 0, 'inbound', received_at, $2, $3, $4, carrier from added
on conflict do nothing"""

HOLD: Final = """
update inbound set result = 'part'
where id = any($1::uuid[]) and id between $2 and $3 and processed_at is null"""

HELD: Final = f"""
select {INBOUND_COLUMNS} from inbound
where processed_at is null and result = 'part' and partition = any($1::smallint[])
order by id limit $2"""

LATEST: Final = f"select {MO_COLUMNS} from mo order by stored_at desc, id desc limit $1"

MOST_HELD: Final = 10_000


class PostgresMoStore:
    """Messages from handsets (port: MoStore)."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def add(self, whole: Sequence[WholeMo], source: Source) -> None:
        """See `MoStore.add`."""
        if not whole:
            return
        rows = [row for one in whole for row in one.rows]
        payload = encode([without_nul(one.mo) for one in whole])

        async def work(connection: Connection) -> None:
            async with connection.transaction():
                told_by = (payload, source.host, source.actor, source.boot)
                await connection.execute(ADD, told_by, prepare=True)
                await connection.execute(MARK, (*with_bounds(rows), "mo"), prepare=True)

        await self._pool.run(work)

    async def hold(self, rows: Sequence[UUID]) -> None:
        """See `MoStore.hold`."""
        if rows:
            parameters = with_bounds(rows)
            await self._pool.run(lambda c: c.execute(HOLD, parameters, prepare=True))

    async def held(self, partitions: Sequence[int]) -> list[Inbound]:
        """See `MoStore.held`; at most 10,000."""
        rows = await self._pool.fetch(HELD, list(partitions), MOST_HELD)
        return [inbound_of(row) for row in rows]

    async def latest(self, limit: int) -> list[Mo]:
        """See `MoStore.latest`."""
        return [
            Mo(
                id=row[0],
                carrier=row[1],
                source=row[2],
                destination=row[3],
                text=row[4],
                octets=row[5],
                data_coding=row[6],
                received_at=row[7],
                total=row[8],
                missing=tuple(row[9]),
                problems=tuple(row[10]),
            )
            for row in await self._pool.fetch(LATEST, limit)
        ]


def without_nul(mo: Mo) -> Mo:
    """Replace the one character PostgreSQL has no place for; the octets keep it."""
    texts = {
        name: value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        for name in ("text", "source", "destination")
        if (value := getattr(mo, name)) is not None and "\0" in value
    }
    return replace(mo, **texts) if texts else mo
