"""Two-step cascades under load while everything is killed: one outcome each, no step twice."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from msgspec.structs import replace

from tests.chaos.carrier_log import Seen
from tests.chaos.pacer import Pacer
from tests.chaos.row import Keep, Row
from tests.chaos.stand import ACCEPT_WITHIN, Load, Options, Stand, row_of, running_stand
from tests.chaos.test_kills import INSTANTS, allow, find
from tests.chaos.verdict import Verdict, views_of
from tests.chaos.victims import VICTIMS

pytestmark = pytest.mark.chaos

RATE = 60.0
WAIT_S = 5.0
SECONDS = 60.0
FATES = "034"
"""Last digit of the first step's number: delivered, undelivered, silent."""
SECOND = "9"
KINDS = (
    "restate",
    "cascade-endpoint",
    "outcome",
    "intake",
    "recorder",
    "sweeper",
    "bind",
    "carrier-stage",
    "receipt-stage",
    "front-door",
    "nats",
    "postgres",
    "valkey",
    "stages-supervisor",
    "root-supervisor",
)


def steps_of(number: str) -> tuple[str, str]:
    """Give the numbers of the two steps of a message."""
    stem = number[:-1]
    return stem + FATES[int(stem.removeprefix("+")) % len(FATES)], stem + SECOND


def cascade(number: str) -> dict[str, Any]:
    """Give the request of a cascade."""
    first, second = steps_of(number)
    steps = [{"channel": "sms", "to": first, "wait": WAIT_S}, {"channel": "sms", "to": second}]
    return {"to": number, "text": "Your code is 493021.", "class": "otp", "cascade": steps}


@dataclass
class Found:
    """What became of the cascades: `late_s` is how long after 202 and wait a second step came."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    advanced: int = 0
    left: int = 0


def look(pacer: Pacer, seen: Seen) -> Found:
    """Judge every cascade by the carrier's log."""
    found = Found()
    for number, accepted in pacer.accepted.items():
        first, second = (n.removeprefix("+") for n in steps_of(number))
        came, then = seen.submits.get(first, []), seen.submits.get(second, [])
        if not then and (first[-1] != "0" or not came):
            found.lost.append(number)
            continue
        if len(came) > 1 or len(then) > 1:
            found.twice.append(number)
        if not then:
            continue
        if not came:  # its process died with it, and it came back after its wait: not sent any more
            found.left += 1
        # the wait counts from when the belt had the first step, which is after the 202
        after = then[0] - accepted.at
        if first[-1] == "0":
            found.advanced += 1
        if first[-1] != "3":
            if after < WAIT_S:
                found.early.append(f"{number} after {after:.2f} s")
            else:
                found.late_s.append(after - WAIT_S)
    return found


@pytest.fixture(scope="module")
def cascades(options: Options, say: Callable[[str], None]) -> Iterator[Stand]:
    """A daemon of its own, with the engine."""
    fewer = Options(options.seed, options.seconds, RATE, options.soak_s)
    with running_stand(fewer, say, {"HERMES_RESTATE__ENABLED": "true"}) as running:
        yield running


async def run(stand: Stand, name: str, script: Callable[[Load], Any]) -> Row:
    """Load with cascades while the script strikes; judge."""
    await stand.wait_well()
    stand.say(f"{name}: {SECONDS:g} s of {RATE:g} cascades/s")
    log = stand.log
    log.mark()
    pacer = Pacer(stand.daemon.url, stand.daemon.key, RATE, next(stand.first), cascade)
    load = Load(pacer)
    async with asyncio.TaskGroup() as group:
        group.create_task(pacer.run(SECONDS, ACCEPT_WITHIN))
        group.create_task(stand.follow(script, load))
    settled_s, left = await stand.settle(pacer)
    seen = await asyncio.to_thread(log.read)
    found = look(pacer, seen)
    odd = [pacer.accepted[number].id for number in found.twice]
    views = await views_of(stand.daemon, odd)
    verdict = Verdict(
        lost=tuple(pacer.accepted[number].id for number in found.lost),
        doubled=len(found.twice),
        unmarked=tuple(name for name, view in views.items() if not view["possible_duplicate"]),
        ended_otherwise=tuple(await ended_otherwise(stand, pacer)),
        slowest_s=max(found.late_s, default=0.0),
    )
    row = row_of(name, load, seen, verdict, settled_s=settled_s, left=left)
    late = sorted(found.late_s)
    lateness = (
        f"timers late by {median(late):.2f} s (median), {late[-1]:.2f} s at most, of {len(late)}"
        if late
        else "no timer fired"
    )
    others = (
        f"{found.advanced} went on for want of a receipt in time, "
        f"{found.left} left a first step that was held up for its whole wait"
    )
    notes = (*row.notes, lateness, others)
    faults = (*row.faults, *(f"step 1 too early: {text}" for text in found.early[:5]))
    return stand.told(replace(row, faults=faults, notes=()), notes)


async def ended_otherwise(stand: Stand, pacer: Pacer) -> list[str]:
    """Name a sample of those that did not end as delivered: every twentieth is asked for."""
    names = [accepted.id for accepted in list(pacer.accepted.values())[::20]]
    views = await views_of(stand.daemon, names)
    return [f"{n} ended {v['state']}" for n, v in views.items() if v["state"] != "delivered"]


@pytest.mark.parametrize("kind", KINDS)
async def test_kill_under_cascades(cascades: Stand, keep: Keep, kind: str) -> None:
    victim = VICTIMS[kind]
    await allow(cascades, victim)
    chance = cascades.options.chance(f"cascade-{kind}")
    part = SECONDS / INSTANTS
    instants = [i * part + chance.uniform(0.1, 0.7) * part for i in range(INSTANTS)]

    async def strike(load: Load) -> None:
        killed: set[int] = set()
        for instant in instants:
            pid = await find(cascades, victim, killed)
            await load.until(instant)
            os.kill(pid, signal.SIGKILL)
            load.strike(kind, None)
            killed.add(pid)
            cascades.ends.note(victim.limit, time.monotonic())

    keep(await run(cascades, f"cascades, {kind}", strike))


async def test_everything_is_killed_at_once(cascades: Stand, keep: Keep) -> None:
    chance = cascades.options.chance("cascade-everything")

    async def strike(load: Load) -> None:
        await load.until(chance.uniform(0.3, 0.7) * SECONDS)
        pids = cascades.daemon.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        load.strike("everything", None)
        assert cascades.daemon.process is not None
        await asyncio.to_thread(cascades.daemon.process.wait)
        await asyncio.to_thread(cascades.daemon.start)
        cascades.ends.forget()

    keep(await run(cascades, "cascades, everything", strike))
