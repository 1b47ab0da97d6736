"""A great many cascades that wait at once: their cost, and that a kill of everything loses none.

HERMES_CHAOS_PARKED says how many (100,000). A workflow that changes while 1,000 wait comes last.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.chaos.footprint import named, sample
from tests.chaos.ledger import open_of
from tests.chaos.pacer import Pacer
from tests.chaos.row import Keep
from tests.chaos.stand import ACCEPT_WITHIN, Load, Options, Stand, row_of, running_stand
from tests.chaos.test_cascades import cascade
from tests.chaos.verdict import Verdict
from tests.contract.cascade.rig import (
    PATIENT,
    Server,
    deliver,
    running_server,
    settled,
)
from tests.contract.cascade.rig import plan as plan_of

pytestmark = pytest.mark.chaos

PARKED = int(os.environ.get("HERMES_CHAOS_PARKED", "100000"))
RATE = 120.0
SLACK_S = 90.0
COMPLETE_WITHIN = 3600.0
WAITING = 1000
AT_ONCE = 50


@pytest.fixture
def cascades(options: Options, say: Callable[[str], None]) -> Iterator[Stand]:
    """A daemon of its own, with the engine."""
    fewer = Options(options.seed, options.seconds, RATE, options.soak_s)
    with running_stand(fewer, say, {"HERMES_RESTATE__ENABLED": "true"}) as running:
        yield running


def silent(wait_s: float, number: str) -> dict[str, Any]:
    """Give a cascade whose first step is never heard of again."""
    body = cascade(number)
    first = body["cascade"][0] | {"to": number[:-1] + "4", "wait": wait_s}
    return body | {"cascade": [first, body["cascade"][1]]}


async def test_parked(cascades: Stand, keep: Keep) -> None:
    stand = cascades
    await stand.wait_well()
    seconds = PARKED / RATE
    wait_s = round(seconds + SLACK_S, 1)
    stand.say(f"parking {PARKED} cascades at {RATE:g}/s, each for {wait_s:g} s")
    before = await asyncio.to_thread(size_of, stand)
    body = partial(silent, wait_s)
    pacer = Pacer(stand.daemon.url, stand.daemon.key, RATE, next(stand.first), body)
    load = Load(pacer)
    said = asyncio.create_task(progress(stand, load))
    await pacer.run(seconds, ACCEPT_WITHIN)
    said.cancel()
    parked = await asyncio.to_thread(size_of, stand)
    each = [
        (now - then) * 1e6 / len(pacer.accepted) for now, then in zip(parked, before, strict=True)
    ]
    cost = (
        f"{len(pacer.accepted)} parked: memory {before[0]:.0f} -> {parked[0]:.0f} MB "
        f"({each[0]:.0f} octets each), disk {before[1]:.0f} -> {parked[1]:.0f} MB "
        f"({each[1]:.0f} octets each)"
    )
    notes = [cost]
    stand.say(notes[0])
    for pid in stand.daemon.pids():
        os.kill(pid, signal.SIGKILL)
    load.strike("everything", None)
    assert stand.daemon.process is not None
    await asyncio.to_thread(stand.daemon.process.wait)
    stand.say(f"up again after {await asyncio.to_thread(stand.daemon.start):.1f} s")
    due = pacer.ended + wait_s
    left = await complete(stand, pacer, due + COMPLETE_WITHIN)
    done_s = time.time() - due
    seen = await asyncio.to_thread(stand.log.read)
    numbers = [number[:-1].removeprefix("+") for number in pacer.accepted]
    came = [[len(seen.submits.get(n + digit, [])) for digit in "49"] for n in numbers]
    lost = [n for n, counts in zip(numbers, came, strict=True) if 0 in counts]
    twice = sum(max(counts) > 1 for counts in came)
    late = sorted(
        seen.submits[n + "9"][0] - seen.submits[n + "4"][0] - wait_s
        for n, counts in zip(numbers, came, strict=True)
        if 0 not in counts
    )
    notes.append(
        f"all complete {done_s:.0f} s after the last was due; timers late by "
        f"{late[len(late) // 2]:.2f} s (median), {late[-1]:.2f} s at most"
    )
    verdict = Verdict(tuple(lost), twice, (), (), late[-1])
    row = row_of("parked", load, seen, verdict, settled_s=max(0.0, done_s), left=left)
    keep(stand.told(replace(row, blows=()), tuple(notes)))


async def progress(stand: Stand, load: Load) -> None:
    """Say each minute how many are parked."""
    while True:
        await asyncio.sleep(60)
        stand.say(f"  {len(load.pacer.accepted)} accepted, {load.pacer.retried} retried")


async def complete(stand: Stand, pacer: Pacer, until: float) -> dict[str, str]:
    """Wait until all are final; give those that are not in time."""
    left: dict[str, str] = {accepted.id: "unknown" for accepted in pacer.accepted.values()}
    while left and time.time() < until:
        left = await still_open(stand, left)
        stand.say(f"  {len(left)} not final yet")
        await asyncio.sleep(20 if left else 0)
    return left


async def still_open(stand: Stand, left: dict[str, str]) -> dict[str, str]:
    """Look at all that are left, some thousands at a time."""
    names, found = list(left), dict[str, str]()
    for start in range(0, len(names), 5000):
        part = names[start : start + 5000]
        some = await asyncio.to_thread(open_of, stand.daemon, part)
        found |= dict.fromkeys(part, "unknown") if some is None else some
    return found


def size_of(stand: Stand) -> tuple[float, float]:
    """Give the memory of all processes and the size of the data directory, in MB."""
    sizes = sample(named(stand.daemon), 0)
    disk = sum(f.stat().st_size for f in files_of(stand.daemon.data)) / 1e6
    return sum(size.memory_mb for size in sizes.values()), disk


def files_of(folder: Path) -> Iterator[Path]:
    """Give every file below, as far as it is still there."""
    for path in folder.rglob("*"):
        if path.is_file() and path.exists():
            yield path


async def test_a_changed_workflow_is_deployed_while_many_wait(
    public_dir: Callable[[], Path], say: Callable[[str], None]
) -> None:
    with running_server(public_dir, PATIENT) as server:
        await deployed(server, say)


async def deployed(server: Server, say: Callable[[str], None]) -> None:
    """Start 1,000, deploy, start one more, end all; the old version is drained then."""
    async with server.rig() as (rig, operations):
        old = [rig.ledger.message(f"old-{number}") for number in range(WAITING)]
        for start in range(0, WAITING, AT_ONCE):
            part = old[start : start + AT_ONCE]
            await asyncio.gather(*(rig.engine.start(one, plan_of(300, 300)) for one in part))
        for one in old:
            await rig.ledger.dispatched(one, 0)
        server.runner.stop("cascade")
        server.runner.start("cascade-2")
        newest = await operations.register(server.endpoint_url("cascade-2"), [1, 2])
        assert newest.is_newest
        waiting = {version.id: version.waiting for version in await operations.versions()}
        say(f"{WAITING} wait while version 2 is deployed: {sorted(waiting.values())} by version")
        assert sorted(waiting.values()) == [0, WAITING]
        new = rig.ledger.message("new")
        await rig.engine.start(new, plan_of(300, 300))
        for start in range(0, WAITING, AT_ONCE):
            part = [*old[start : start + AT_ONCE]]
            await asyncio.gather(*(deliver(rig, one, 0) for one in part))
        await deliver(rig, new, 0)
        for one in (*old, new):
            assert (await rig.ledger.ended(one)).status == "delivered"
            await settled(rig, one)
        assert len(await operations.drop_drained()) == 1
        assert [v.is_newest for v in await operations.versions()] == [True]
