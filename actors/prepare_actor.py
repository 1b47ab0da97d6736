"""Prepares the stores before the main tree starts, then needs no process: its start says ignore."""

from __future__ import annotations

import asyncio

from actors.io_loop import BeginResult
from actors.stage_actor import StageActor
from actors.stores import admin_of, open_belt, open_ledger
from hermes.adapters.message_store_postgres import PostgresMessageStore
from hermes.adapters.migrate_postgres import migrate
from hermes.core.carrier import Carrier
from hermes.core.errors import StoreUnavailable
from hermes.frontdoor import auth
from hermes.ports.message_store import ApiKey
from hermes.progress import tell

RETRY_EVERY = 0.2
DEMO = "demo"


class PrepareActor(StageActor):
    """Migrations, streams, the demo tenant; waits for a store as long as it takes, and says so."""

    async def on_begin(self) -> BeginResult:
        """Do all of it; fails only on a wrong schema or wrong credentials."""
        carriers: tuple[Carrier, ...] = self.args["carriers"]
        version = await migrate(self.wiring.postgres_dsn, self.say)
        self.say(f"ledger schema {version}")
        await self.ensure_streams(carriers)
        await self.ensure_demo()
        return BeginResult.IGNORED

    def say(self, text: str) -> None:
        """Show progress."""
        tell(self.wiring.socket_dir, "prepare", text)
        self.log.info("prepare.progressed", step=text)

    async def ensure_streams(self, carriers: tuple[Carrier, ...]) -> None:
        """Make streams and durables."""
        belt = await open_belt(self.wiring, self.name)
        while True:
            try:
                await admin_of(belt, self.wiring).ensure(carriers)
                break
            except StoreUnavailable as error:
                self.say(f"waiting for the belt: {error}")
                await asyncio.sleep(RETRY_EVERY)
        await belt.close()
        self.say(f"belt ready for {', '.join(c.id for c in carriers) or 'no carrier'}")

    async def ensure_demo(self) -> None:
        """Make the demo tenant and a key for it, kept 0600 beside the data."""
        path = self.wiring.demo_key_file
        pepper = auth.read_pepper(self.wiring)
        pool = await open_ledger(self.wiring, self.name)
        store = PostgresMessageStore(pool)
        await store.create_tenant(DEMO, "demo tenant")
        key = auth.read_key(path)
        known = await store.api_keys([key.id]) if key is not None else []
        if key is None or not known or not auth.is_secret(key.secret, pepper, known[0].hash):
            key = auth.mint("test")
            row = ApiKey(id=key.id, tenant=DEMO, hash=auth.digest(key.secret, pepper), mode="test")
            await store.create_key(row, "made at the first start")
            auth.write_key(path, key)
        await pool.close()
