"""Prepares the stores before the main tree starts, then needs no process: its start says ignore."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from actors.io_loop import BeginResult
from actors.stage_actor import StageActor
from actors.stores import SAY_EVERY, admin_of, connect_belt, open_ledger, open_memory
from hermes.adapters.message_store_postgres import PostgresMessageStore
from hermes.adapters.migrate_postgres import migrate
from hermes.adapters.redis_memory import MemoryRefusedLogin
from hermes.core.carrier import Carrier
from hermes.core.errors import ConfigError, StoreUnavailable
from hermes.frontdoor import auth
from hermes.ports.message_store import ApiKey
from hermes.ports.stream import StreamMissing
from hermes.progress import tell

RETRY_EVERY = 0.2
SAY_AFTER = 1.0
CONNECT_WITHIN = 2.0
DEMO = "demo"


class PrepareActor(StageActor):
    """Migrations, streams, the demo tenant; waits for a store as long as it takes, and says so."""

    async def on_begin(self) -> BeginResult:
        """Do all of it; fails only on a wrong schema or wrong credentials."""
        carriers: tuple[Carrier, ...] = self.args["carriers"]
        version, *_ = await asyncio.gather(
            migrate(self.wiring.postgres_dsn, self.say),
            self.insist("the belt", lambda: self.ensure_streams(carriers)),
            self.insist("memory", self.check_memory),
        )
        self.say(f"ledger schema {version}")
        await self.insist("the ledger", self.ensure_demo)
        return BeginResult.IGNORED

    async def insist(self, store: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do work on a store, again for as long as it is away, and say so."""
        began = self.loop.time()
        say_at = began + SAY_AFTER
        while True:
            try:
                return await work()
            except (StoreUnavailable, StreamMissing) as error:
                now = self.loop.time()
                if now >= say_at:
                    self.say(f"waiting for {store} since {now - began:.0f} s: {error}")
                    say_at = now + SAY_EVERY
            await asyncio.sleep(RETRY_EVERY)

    def say(self, text: str) -> None:
        """Show progress."""
        tell(self.wiring.socket_dir, "prepare", text)
        self.log.info("prepare.progressed", step=text)

    async def ensure_streams(self, carriers: tuple[Carrier, ...]) -> None:
        """Make streams and durables."""
        belt = await connect_belt(self.wiring, self.name, CONNECT_WITHIN)
        try:
            await admin_of(belt, self.wiring).ensure(carriers)
        finally:
            await belt.close()
        self.say(f"belt ready for {', '.join(c.id for c in carriers) or 'no carrier'}")

    async def check_memory(self) -> None:
        """See that memory answers: its epoch is written by whoever comes first."""
        memory = await open_memory(self.wiring, self.name)
        try:
            await memory.check_epoch()
        except MemoryRefusedLogin as error:
            raise ConfigError(str(error)) from error
        finally:
            await memory.close()

    async def ensure_demo(self) -> None:
        """Make the demo tenant and a key for it, kept 0600 beside the data."""
        path = self.wiring.demo_key_file
        pepper = auth.read_pepper(self.wiring)
        pool = await open_ledger(self.wiring, self.name)
        try:
            store = PostgresMessageStore(pool)
            await store.create_tenant(DEMO, "demo tenant")
            key = auth.read_key(path)
            known = await store.api_keys([key.id]) if key is not None else []
            if key is None or not known or not auth.is_secret(key.secret, pepper, known[0].hash):
                key = auth.mint("test")
                hashed = auth.digest(key.secret, pepper)
                row = ApiKey(id=key.id, tenant=DEMO, hash=hashed, mode="test")
                await store.create_key(row, "made at the first start")
                auth.write_key(path, key)
        finally:
            await pool.close()
