"""The belt wiped, while stopped and while running: the ledger brings back what it held."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.chaos.row import Keep
from tests.chaos.stand import Load, Stand
from tests.chaos.stores import delete_streams, wipe

pytestmark = pytest.mark.chaos

SYSTEM_ERROR = 0x08
STREAMS = {
    "jobs-deleted": ("JOBS_sim",),
    "intake-deleted": ("INTAKE",),
    "events-deleted": ("EVENTS",),
    "belt-deleted": ("INTAKE", "JOBS_sim", "EVENTS", "DEAD"),
}


@pytest.mark.parametrize("name", ["belt-wiped", "belt-and-memory-wiped"])
async def test_wiped_while_stopped_with_a_backlog(stand: Stand, keep: Keep, name: str) -> None:
    each = stand.options.seconds

    async def strike(load: Load) -> None:
        await load.until(0.2 * each)
        await stand.fault("refuse_binds", status=SYSTEM_ERROR)
        await stand.fault("drop", how="rst")
        load.strike("binds refused", None)
        await load.until(0.6 * each)
        await asyncio.to_thread(stand.daemon.stop)
        load.strike("stopped", None)
        shutil.rmtree(stand.daemon.data / "nats")
        if name == "belt-and-memory-wiped":
            wipe(stand.daemon.data / "redis")
        await stand.lift("refuse_binds")
        load.strike("started without its belt")
        seconds = await asyncio.to_thread(stand.daemon.start)
        stand.say(f"  ready again after {seconds:.1f} s")
        stand.ends.forget()

    keep(await stand.row(name, strike, 2 * each))


@pytest.mark.parametrize("name", list(STREAMS))
async def test_deleted_while_running(stand: Stand, keep: Keep, name: str) -> None:
    each = stand.options.seconds
    chance = stand.options.chance(name)
    instants = [i * each + chance.uniform(0.1, 0.5) * each for i in range(2)]

    async def strike(load: Load) -> None:
        for instant in instants:
            await load.until(instant)
            await delete_streams(stand.daemon, *STREAMS[name])
            load.strike(name)

    keep(await stand.row(name, strike, 2 * each))
