"""The stand of the table: a carrier, a daemon with real durations, a steady load, a judgement."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from msgspec.structs import replace

from hermes.testing.daemon_process import (
    CarrierProcess,
    DaemonProcess,
    running_carrier,
    running_daemon,
)
from tests.chaos.carrier_log import CarrierLog, Seen, longest_gap
from tests.chaos.ledger import open_of, summary
from tests.chaos.pacer import Pacer
from tests.chaos.row import Blow, Row
from tests.chaos.verdict import Verdict, judge
from tests.chaos.victims import Ends

WINDOW = 20
KILL_BOUND = 8.0
LINK_BOUND = 3.0
ACCEPT_WITHIN = 120.0
SETTLE_WITHIN = 300.0
"""Seconds: a job that may be on the belt or not is published again after two windows of 120 s."""
UP_WITHIN = 60.0
FIRST = 480_000_000_000
NUMBERS_PER_LOAD = 1_000_000
RESTATE = Path(__file__).resolve().parents[2] / ".hermes" / "restate" / "node_modules"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the environment asked for: `seconds` of load for each random instant."""

    seed: int
    seconds: float
    rate: float
    soak_s: float

    def chance(self, row: str) -> random.Random:
        """Give a row's own randomness: alone or in the table, it is the same."""
        return random.Random(f"{self.seed}-{row}")


def options_of(environ: Mapping[str, str]) -> Options:
    """Read HERMES_CHAOS_SEED, _SECONDS, _RATE and _SOAK_S."""
    seed = int(environ.get("HERMES_CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    return Options(
        seed=seed,
        seconds=float(environ.get("HERMES_CHAOS_SECONDS", "20")),
        rate=float(environ.get("HERMES_CHAOS_RATE", "200")),
        soak_s=float(environ.get("HERMES_CHAOS_SOAK_S", "1200")),
    )


@dataclass
class Load:
    """A load under way, and the blows it takes; `unanswered` submits may be sent again for them."""

    pacer: Pacer
    unanswered: int = 0
    struck: list[tuple[str, float, float | None]] = field(default_factory=list)

    def strike(self, what: str, bound_s: float | None = KILL_BOUND) -> None:
        """Note that a fault happens now, and within how many seconds submits must go on."""
        self.struck.append((what, time.time(), bound_s))

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds of the load have passed."""
        while not self.pacer.began:
            await asyncio.sleep(0.01)
        await asyncio.sleep(max(0.0, self.pacer.began + seconds - time.time()))


Script = Callable[[Load], Awaitable[None]]


@dataclass
class Stand:
    """Everything a row needs. `daemon` is the present one; `restart` may make it another."""

    options: Options
    carrier: CarrierProcess
    daemon: DaemonProcess
    say: Say
    first: Iterator[int]
    ends: Ends = field(default_factory=Ends)
    is_spoiled: bool = False

    @property
    def log(self) -> CarrierLog:
        """The carrier's log."""
        return CarrierLog(self.carrier.log_file)

    async def row(
        self, name: str, script: Script, seconds: float, *, notes: tuple[str, ...] = ()
    ) -> Row:
        """Load for so long while `script` strikes, wait until all is final, and judge."""
        if self.is_spoiled:  # what one row left behind is not the next one's fault
            await asyncio.to_thread(self.restart)
        self.is_spoiled = True
        await self.wait_well()
        self.say(f"{name}: {seconds:g} s at {self.options.rate:g}/s")
        log = self.log
        log.mark()
        load = Load(Pacer(self.daemon.url, self.daemon.key, self.options.rate, next(self.first)))
        async with asyncio.TaskGroup() as group:
            group.create_task(load.pacer.run(seconds, ACCEPT_WITHIN))
            group.create_task(self.follow(script, load))
        settled_s, left = await self.settle(load.pacer)
        seen = await asyncio.to_thread(log.read)
        verdict = await judge(self.daemon, load.pacer, seen)
        row = row_of(name, load, seen, verdict, settled_s=settled_s, left=left)
        self.is_spoiled = bool(row.faults)
        return self.told(row, notes)

    async def follow(self, script: Script, load: Load) -> None:
        """Strike as the script says."""
        await script(load)

    def told(self, row: Row, notes: tuple[str, ...]) -> Row:
        """Say how the row ended, in one line."""
        times = " ".join("-" if b.recovery_s is None else f"{b.recovery_s:.1f}" for b in row.blows)
        self.say(
            f"{row.id}: {row.accepted} accepted, {row.lost} lost, {row.doubled} twice "
            f"(bound {row.doubled_most}), recovery {times or '-'} s, "
            f"slowest {row.slowest_s:.1f} s, settled {row.settled_s:.1f} s after the load"
            + "".join(f"; {f}" for f in row.faults)
        )
        return replace(row, notes=(*row.notes, *notes))

    async def settle(self, pacer: Pacer) -> tuple[float, dict[str, str]]:
        """Wait until all accepted messages are final; give the seconds, and those that are not."""
        left = {accepted.id: "unknown" for accepted in pacer.accepted.values()}
        said = time.monotonic()
        while left and time.time() < pacer.ended + SETTLE_WITHIN:
            found = await asyncio.to_thread(open_of, self.daemon, list(left))
            left = left if found is None else found
            if left and time.monotonic() > said + 10:
                said = time.monotonic()
                self.say(f"  not final yet: {summary(left)}")
            await asyncio.sleep(0.5 if left else 0.0)
        return max(0.0, time.time() - pacer.ended), left

    async def wait_well(self, within_s: float = UP_WITHIN) -> None:
        """Wait until the whole tree is up and the bind bound. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                status = await asyncio.to_thread(self.daemon.admin, "/v1/status")
                if status is not None and status.get("healthy"):
                    return
                await asyncio.sleep(0.1)

    def restart(self) -> None:
        """Stop the daemon in order and start it again: its supervisors count from zero."""
        self.say("starting the daemon again")
        self.daemon.stop()
        self.daemon.start()
        self.ends.forget()

    async def fault(self, name: str, **parameters: Any) -> None:
        """Switch a fault of the carrier on."""
        await self.control("POST", f"/faults/{name}", parameters)

    async def lift(self, name: str) -> None:
        """Switch a fault of the carrier off."""
        await self.control("DELETE", f"/faults/{name}", None)

    async def control(self, method: str, path: str, body: Any) -> None:
        """Ask the carrier's control API. Raises aiohttp.ClientError."""
        url = f"{self.carrier.control}{path}"
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(method, url, json=body),
        ):
            pass


def row_of(
    name: str, load: Load, seen: Seen, verdict: Verdict, *, settled_s: float, left: dict[str, str]
) -> Row:
    """Put together what was found; `faults` is everything that must not be."""
    pacer = load.pacer
    most = WINDOW * len(seen.links_lost) + load.unanswered
    blows = tuple(recoveries(load, seen.times()))
    faults = verdict.faults(most)
    faults += [f"refused a repeat: {text}" for text in pacer.conflicts[:3]]
    faults += [
        f"{blow.what}: no submit for {blow.recovery_s:.1f} s, {blow.bound_s:g} is the bound"
        for blow in blows
        if blow.recovery_s is not None
        and blow.bound_s is not None
        and blow.recovery_s > blow.bound_s
    ]
    if left:
        some = ", ".join(list(left)[:3])
        faults.append(f"{summary(left)} {settled_s:.0f} s after the load, such as {some}")
    return Row(
        id=name,
        blows=blows,
        accepted=len(pacer.accepted),
        retried=pacer.retried,
        lost=len(verdict.lost),
        doubled=verdict.doubled,
        doubled_most=most,
        unmarked=len(verdict.unmarked),
        open_left=len(left),
        links_lost=len(seen.links_lost),
        load_average=os.getloadavg()[0],
        slowest_s=round(verdict.slowest_s, 2),
        settled_s=round(settled_s, 1),
        notes=verdict.ended_otherwise[:3],
        faults=tuple(faults),
    )


def recoveries(load: Load, times: list[float]) -> Iterator[Blow]:
    """Give each blow with the longest gap between it and the next, or the end of the load."""
    ends = [at for _, at, _ in load.struck[1:]] + [load.pacer.ended] * bool(load.struck)
    for (what, at, bound_s), end in zip(load.struck, ends, strict=True):
        gap = round(longest_gap(times, at, max(at, end)), 2)
        yield Blow(what=what, at_s=round(at - load.pacer.began, 2), recovery_s=gap, bound_s=bound_s)


@contextmanager
def running_stand(
    options: Options, say: Say, env: Mapping[str, str] | None = None, data: Path | None = None
) -> Iterator[Stand]:
    """Run a carrier that is nobody's child, and a daemon with every duration as delivered."""
    with ExitStack() as stack:
        carrier = stack.enter_context(
            running_carrier(latency_ms=20, receipt_delay_ms=200, deliver_window=200, log_memory=1)
        )
        has_restate = {"HERMES_RESTATE__ENABLED": "true"} if RESTATE.exists() else {}
        daemon = stack.enter_context(
            running_daemon(
                {**has_restate, **(env or {})}, config=carrier.configure(WINDOW), start=False
            )
        )
        daemon.data = data or daemon.data
        say(f"daemon ready after {daemon.start():.1f} s, data in {daemon.data}")
        yield Stand(options, carrier, daemon, say, itertools.count(FIRST, NUMBERS_PER_LOAD))
