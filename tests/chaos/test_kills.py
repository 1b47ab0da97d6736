"""kill -9 of each kind of process under load, at three random instants each."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from tests.chaos.row import Keep, Row
from tests.chaos.stand import Load, Stand
from tests.chaos.victims import VICTIMS, Victim, pid_of

pytestmark = pytest.mark.chaos

INSTANTS = 3
LONGEST_WAIT = 60.0
FOUND_WITHIN = 20.0


@pytest.mark.parametrize("kind", list(VICTIMS))
async def test_kill(stand: Stand, keep: Keep, kind: str) -> None:
    victim = VICTIMS[kind]
    await allow(stand, victim)
    if await asyncio.to_thread(pid_of, stand.daemon, victim) is None:
        keep(Row(id=kind, skipped=f"the tree has no {victim.path}"))
    each = stand.options.seconds
    chance = stand.options.chance(kind)
    # each instant in a load of its own length, early enough to see the recovery in it
    instants = [i * each + chance.uniform(0.1, 0.5) * each for i in range(INSTANTS)]

    async def strike(load: Load) -> None:
        killed: set[int] = set()
        for instant in instants:
            pid = await find(stand, victim, killed)
            await load.until(instant)
            os.kill(pid, signal.SIGKILL)
            load.strike(kind)
            killed.add(pid)
            stand.ends.note(victim.limit, time.monotonic())

    keep(await stand.row(kind, strike, INSTANTS * each))


async def allow(stand: Stand, victim: Victim) -> None:
    """Wait, or start the daemon again, until so many ends are within what supervisors allow."""
    wait_s = stand.ends.wait_s(victim.limit, INSTANTS, time.monotonic())
    if wait_s > LONGEST_WAIT:
        await asyncio.to_thread(stand.restart)
    elif wait_s > 0:
        assert victim.limit is not None
        stand.say(f"waiting {wait_s:.0f} s for the restart intensity of {victim.limit.owner}")
        await asyncio.sleep(wait_s)
    await stand.wait_well()


async def find(stand: Stand, victim: Victim, killed: set[int]) -> int:
    """Give the pid of a victim that is up again; the tree may still name the one that was killed.

    Raises TimeoutError.
    """
    async with asyncio.timeout(FOUND_WITHIN):
        while True:
            pid = await asyncio.to_thread(pid_of, stand.daemon, victim)
            if pid is not None and pid not in killed:
                return pid
            await asyncio.sleep(0.1)
