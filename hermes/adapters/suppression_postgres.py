"""The suppression list in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from hermes.adapters.postgres import PostgresPool
from hermes.ports.suppression_store import Recipient

# The address is the ledger's own: what a report says of it may be anybody's.
SUPPRESS: Final = """
insert into suppression (tenant, channel, address, reason)
select m.tenant, 'email', lower(coalesce(b.plan -> 'steps' -> $2::int ->> 'to', b.recipient)), $3
from message m, message_body b
where m.id = $1 and b.message = $1 and b.plan -> 'steps' -> $2::int ->> 'channel' = 'email'
on conflict (tenant, channel, address) do update
set reason = excluded.reason, created_at = now(), expires_at = null
where suppression.expires_at is not null
returning 1"""

SUPPRESSED: Final = """
select w.tenant, w.channel, w.address
from unnest($1::text[], $2::text[], $3::text[]) w (tenant, channel, address)
join suppression s
    on s.tenant = w.tenant and s.channel = w.channel and s.address = lower(w.address)
where s.expires_at is null or s.expires_at > now()"""


class PostgresSuppressionStore:
    """The list of every tenant (port: SuppressionStore)."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def suppress_attempt(self, message: UUID, step: int, reason: str) -> bool:
        """See `SuppressionStore.suppress_attempt`."""
        return bool(await self._pool.fetch(SUPPRESS, message, step, reason))

    async def suppressed(self, wanted: Collection[Recipient]) -> set[Recipient]:
        """See `SuppressionStore.suppressed`; one statement for all."""
        if not wanted:
            return set()
        columns = map(list, zip(*wanted, strict=True))
        return {Recipient(*row) for row in await self._pool.fetch(SUPPRESSED, *columns)}
