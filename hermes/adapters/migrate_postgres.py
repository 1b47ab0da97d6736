"""The ledger's schema: numbered files, applied once each, by one host at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from importlib import resources
from typing import Final

import psycopg
from psycopg import AsyncConnection, errors

from hermes.adapters.postgres import driver_errors, is_credentials, reason_of
from hermes.core.errors import ConfigError, StoreUnavailable

FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
LOCK: Final = 0x4845524D45530001
MIN_SERVER: Final = 140_000
AHEAD_DAYS: Final = 7

CREATE_TABLE: Final = """
create table if not exists schema_version (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default now()
)"""
ENSURE_PARTITIONS: Final = """
select ledger_ensure_partitions(
    (now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + %s)"""

Migration = tuple[int, str, str]


def migrations() -> list[Migration]:
    """Give (version, name, statements) of every file, in order."""
    entries = resources.files("hermes.adapters").joinpath("sql").iterdir()
    return sorted(
        (int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in entries
        if (match := FILE.fullmatch(entry.name))
    )


async def migrate(
    dsn: str,
    progress: Callable[[str], None] = lambda _: None,
    *,
    retry_s: float = 0.5,
    say_every_s: float = 5.0,
    ahead_days: int = AHEAD_DAYS,
) -> int:
    """Bring the ledger to the newest schema, make the next days' partitions, give the version.

    Waits for the server as long as it takes and says so through `progress` (one sentence, at
    first and every `say_every_s` seconds). Raises ConfigError when waiting cannot help: wrong
    credentials, no such database, a server or a schema that this version does not know.
    """
    waited = 0.0
    while True:
        try:
            return await _migrate(dsn, progress, ahead_days)
        except StoreUnavailable as error:
            if waited == 0.0 or waited % say_every_s < retry_s:
                progress(f"waiting for the ledger since {waited:.0f} s: {error.why}")
        await asyncio.sleep(retry_s)
        waited += retry_s


async def _migrate(dsn: str, progress: Callable[[str], None], ahead_days: int) -> int:
    with driver_errors():
        try:
            connection = await AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5)
        except (psycopg.OperationalError, errors.InvalidCatalogName) as error:
            if is_credentials(error):
                raise ConfigError(f"the ledger refused the login: {reason_of(error)}") from error
            raise
        async with connection:
            version = connection.info.server_version
            if version < MIN_SERVER:
                raise ConfigError(
                    f"the ledger runs on PostgreSQL {version // 10_000}; 14 or newer is needed"
                )
            return await _bring_up(connection, progress, ahead_days)


async def _bring_up(
    connection: AsyncConnection, progress: Callable[[str], None], ahead_days: int
) -> int:
    known = migrations()
    newest = known[-1][0]
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        await connection.execute(CREATE_TABLE)
        cursor = await connection.execute("select coalesce(max(version), 0) from schema_version")
        row = await cursor.fetchone()
        present: int = row[0] if row else 0
        if present > newest:
            raise ConfigError(
                f"the ledger has schema {present}, this version of Hermes knows up to {newest}; "
                "run the newer version, or give it a database of its own"
            )
        for version, name, statements in known:
            if version <= present:
                continue
            progress(f"ledger: applying schema {version} ({name})")
            await connection.execute(statements.encode())
            await connection.execute(
                "insert into schema_version (version, name) values (%s, %s)", (version, name)
            )
    await connection.execute(ENSURE_PARTITIONS, (ahead_days,))
    return newest
