"""Memory lost under load: emptied behind open connections, and gone with its file."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.row import Keep
from tests.chaos.stand import Load, Stand
from tests.chaos.stores import empty_memory, remove_memory

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("name", ["memory-emptied", "memory-removed"])
async def test_memory_lost(stand: Stand, keep: Keep, name: str) -> None:
    each = stand.options.seconds
    chance = stand.options.chance(name)
    instants = [i * each + chance.uniform(0.1, 0.5) * each for i in range(2)]

    async def strike(load: Load) -> None:
        for instant in instants:
            await load.until(instant)
            if name == "memory-emptied":
                await empty_memory(stand.daemon)
            else:
                await asyncio.to_thread(remove_memory, stand.daemon)
            load.strike(name)

    keep(await stand.row(name, strike, 2 * each))
