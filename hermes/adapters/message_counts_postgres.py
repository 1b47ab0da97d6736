"""Counts messages by state for the status display."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from hermes.adapters.postgres import Connection, PostgresPool

COUNTS = """
select state, count(*) from message where id >= $1 group by state"""


async def count_messages(pool: PostgresPool, since: datetime) -> dict[str, int]:
    """Count the messages accepted since then: their ids sort by time. Raises StoreUnavailable."""
    first = UUID(int=int(since.timestamp() * 1000) << 80)

    async def work(connection: Connection) -> dict[str, int]:
        cursor = await connection.execute(COUNTS, (first,))
        return {str(state): int(count) for state, count in await cursor.fetchall()}

    return await pool.run(work)
