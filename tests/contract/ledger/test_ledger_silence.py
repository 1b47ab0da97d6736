"""A ledger that falls silent behind an open connection: a call ends at its deadline, not later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import pytest

from hermes.adapters.postgres import PostgresPool
from hermes.core.errors import StoreUnavailable
from hermes.embedded.endpoints import Endpoints
from tests.contract.ledger.stores import PostgresStores

pytestmark = pytest.mark.services

SOCKET = ".s.PGSQL.5432"
DEADLINE = 2.0


class Relay:
    """Passes octets on between a client and a server, until `is_silent`."""

    def __init__(self, server: Path) -> None:
        self.server = server
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.pumps: list[asyncio.Task[None]] = []
        self.sinks: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to the server."""
        answers, requests = await asyncio.open_unix_connection(self.server)
        for source, sink in ((reader, requests), (answers, writer)):
            self.sinks.append(sink)
            self.pumps.append(asyncio.create_task(self.pump(source, sink)))

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on one direction."""
        while octets := await source.read(65536):
            await self.is_open.wait()
            sink.write(octets)
        sink.close()

    async def close(self) -> None:
        """Hang up everywhere."""
        for pump in self.pumps:
            pump.cancel()
        for sink in self.sinks:
            sink.close()
        waits = (sink.wait_closed() for sink in self.sinks)
        await asyncio.gather(*self.pumps, *waits, return_exceptions=True)


@asynccontextmanager
async def relayed(endpoints: Endpoints, folder: Path) -> AsyncIterator[tuple[Relay, str]]:
    """Run a relay before the server; give it and a DSN that goes through it."""
    behind = Path(endpoints.postgres_dsn.partition("host=")[2].replace("%2F", "/"))
    relay = Relay(behind / SOCKET)
    server = await asyncio.start_unix_server(relay.serve, folder / SOCKET)
    try:
        yield relay, f"postgresql://hermes@/postgres?host={quote(str(folder), safe='')}"
    finally:
        server.close()
        await relay.close()


async def test_a_silent_ledger_is_given_up_at_the_deadline_and_found_again(
    services: Endpoints, tmp_path: Path
) -> None:
    async with (
        relayed(services, tmp_path) as (relay, dsn),
        PostgresPool(dsn, deadline_s=DEADLINE) as pool,
    ):
        stores = PostgresStores(pool)
        assert await stores.rows("select 1") == [(1,)]
        relay.is_open.clear()
        began = monotonic()
        with pytest.raises(StoreUnavailable):
            await stores.rows("select 2")
        assert monotonic() - began < DEADLINE + 1.0
        relay.is_open.set()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await stores.rows("select 3") == [(3,)]
                except StoreUnavailable:
                    continue
                break
