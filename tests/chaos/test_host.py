"""kill -9 of hermesd under load; whoever watches it starts it again."""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.row import Keep
from tests.chaos.stand import Load, Stand

pytestmark = pytest.mark.chaos

DOWN_FOR = 1.0


async def test_hermesd_killed_and_started_again(stand: Stand, keep: Keep) -> None:
    each = stand.options.seconds
    chance = stand.options.chance("hermesd")

    async def strike(load: Load) -> None:
        await load.until(chance.uniform(0.1, 0.3) * each)
        process = stand.daemon.process
        assert process is not None
        process.kill()
        load.strike("hermesd killed", None)
        await asyncio.to_thread(process.wait, 10)
        await asyncio.sleep(DOWN_FOR)
        load.strike("hermesd started")
        seconds = await asyncio.to_thread(stand.daemon.start)
        stand.say(f"  ready again after {seconds:.1f} s")
        stand.ends.forget()

    keep(await stand.row("hermesd", strike, 2 * each))
