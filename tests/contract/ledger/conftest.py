"""The stores of one ledger, once in memory and once in PostgreSQL, under the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import time
from uuid import uuid4

import pytest

from hermes.adapters.migrate_postgres import migrate
from hermes.adapters.postgres import PostgresPool
from hermes.testing.memory_ledger import MemoryLedger
from tests.conftest import MakeDatabase
from tests.contract.ledger.stores import MemoryStores, PostgresStores, Stores


@pytest.fixture(scope="session")
def database_template(make_database: MakeDatabase) -> str:
    """Name of a database with the ledger's schema."""
    name = f"ledger_{uuid4().hex}"
    asyncio.run(migrate(make_database(name)))
    return name


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.services)])
def dsn(request: pytest.FixtureRequest) -> str | None:
    """DSN of a migrated database of the test's own; None: in memory."""
    return request.getfixturevalue("database") if request.param == "postgres" else None


@pytest.fixture
async def ledger(dsn: str | None) -> AsyncIterator[Stores]:
    """The stores of an empty ledger with the tenants acme and other."""
    if dsn is None:
        stores: Stores = MemoryStores(MemoryLedger(lambda: datetime.fromtimestamp(time(), UTC)))
        await _make_tenants(stores)
        yield stores
        return
    async with PostgresPool(dsn, name="contract") as pool:
        stores = PostgresStores(pool)
        await _make_tenants(stores)
        yield stores


@pytest.fixture
async def postgres(database: str) -> AsyncIterator[PostgresStores]:
    """The stores in PostgreSQL, for promises that memory does not make."""
    async with PostgresPool(database, name="contract") as pool:
        stores = PostgresStores(pool)
        await _make_tenants(stores)
        yield stores


async def _make_tenants(stores: Stores) -> None:
    for tenant in ("acme", "other"):
        assert await stores.messages.create_tenant(tenant)
