"""Runtime intent in PostgreSQL."""

from __future__ import annotations

from typing import Final

import msgspec

from hermes.adapters.postgres import PostgresPool, fetch_text
from hermes.ports.override_store import CarrierIntent

READ: Final = "select value::text from override where kind = 'carrier' and subject = $1"

DECIDE: Final = """
insert into override (kind, subject, value, decided_by) values ('carrier', $1, $2::json, $3)
on conflict (kind, subject) do update
set value = excluded.value, decided_by = excluded.decided_by, decided_at = now()"""


class PostgresOverrideStore:
    """Overrides of carriers (port: OverrideStore)."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def carrier(self, carrier: str) -> CarrierIntent:
        """See `OverrideStore.carrier`; a value of a newer version is read as far as it is known."""
        text = await self._pool.run(lambda c: fetch_text(c, READ, carrier))
        return CarrierIntent() if text is None else msgspec.json.decode(text, type=CarrierIntent)

    async def decide(self, carrier: str, intent: CarrierIntent, decided_by: str) -> None:
        """See `OverrideStore.decide`."""
        value = msgspec.json.encode(intent).decode()
        parameters = (carrier, value, decided_by)
        await self._pool.run(lambda c: c.execute(DECIDE, parameters, prepare=True))
