"""The client of row cascade-engine: `python -m bench.cascade_load --engine temporal --count 1000`.

It starts the engine and its steps in a network of their own, walks cascades, and prints one
CascadeLoad as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.cascade_stand import ENGINES, SERVER, STEPS
from bench.cascade_steps import Told, utc_now
from bench.processes import cpu_seconds, pss_mb
from cascade.engine import CascadeEngine
from cascade.events import Outcome
from hermes.core.plan import Plan, Step
from hermes.testing.services import ServiceRunner
from hermes.testing.temporal_server import enter_private_network

TWO_STEPS: Final = Plan((Step("sms", wait_s=60.0), Step("sms", wait_s=60.0)))
WARM_UP: Final = 300
BUFFER: Final = 4 << 20
ENDS_WITHIN_S: Final = 120.0
CLIENT: Final = "client"


class CascadeLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What one engine did.

    `cpu_ms` per cascade and `memory_mb` are by process; of each latency in ms, from the start at
    a fixed rate, there are median and 99th percentile. `again` counts what was told twice.
    """

    per_s: float
    cpu_ms: dict[str, float]
    memory_mb: dict[str, float]
    started_ms: tuple[float, float]
    dispatched_ms: tuple[float, float]
    ended_ms: tuple[float, float]
    again: int


@dataclass
class Walks:
    """The client's side of every cascade: it answers each dispatch and hears of each end."""

    engine: CascadeEngine
    number: int = 0
    ends: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    dispatched: dict[str, float] = field(default_factory=dict)
    answers: set[asyncio.Task[None]] = field(default_factory=set)
    again: int = 0

    def hear(self, data: bytes) -> None:
        """Take what the steps tell."""
        told = msgspec.json.decode(data, type=Told)
        if told.token:
            if told.step == 0:
                self.dispatched.setdefault(told.mid, time.monotonic())
            task = asyncio.create_task(self.answer(told))
            self.answers.add(task)
            task.add_done_callback(self.answers.discard)
        elif (end := self.ends.get(told.mid)) is not None and not end.done():
            end.set_result(told.status)
        else:
            self.again += 1

    async def answer(self, told: Told) -> None:
        """Tell at once that step 0 failed and that step 1 was delivered."""
        assert told.step is not None
        outcome = Outcome(told.step, "delivered" if told.step else "undelivered", utc_now())
        await self.engine.outcome(told.token, outcome)

    async def walk(self) -> tuple[float, float, float]:
        """Walk one cascade; give ms from its start to accepted, to the dispatch, to its end."""
        self.number += 1
        mid = f"msg_{os.getpid()}_{self.number}"
        end = self.ends[mid] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        await self.engine.start(mid, TWO_STEPS)
        accepted = time.monotonic()
        async with asyncio.timeout(ENDS_WITHIN_S):
            status = await end
        ended = time.monotonic()
        del self.ends[mid]
        if status != "delivered":
            raise ValueError(f"a cascade ended {status}")
        dispatched = self.dispatched.pop(mid)
        return tuple_of_ms(began, accepted, dispatched, ended)

    async def walk_many(self, count: int, in_flight: int) -> None:
        """Walk so many, so many of them at once."""
        left = iter(range(count))

        async def one_after_another() -> None:
            for _ in left:
                await self.walk()

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))

    async def walk_at(self, rate: float, seconds: float) -> list[tuple[float, float, float]]:
        """Start so many a second, whatever becomes of those before."""
        began, walks = time.monotonic(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            walks.append(asyncio.create_task(self.walk()))
        return await asyncio.gather(*walks)


class Ears(asyncio.DatagramProtocol):
    """Hands datagrams on."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.hear = hear

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Hand one on."""
        del addr
        self.hear(data)


def tuple_of_ms(began: float, *moments: float) -> tuple[float, float, float]:
    """Give the milliseconds from the first moment to three others."""
    first, second, third = (1000 * (moment - began) for moment in moments)
    return first, second, third


def p50_p99(values: list[float]) -> tuple[float, float]:
    """Give median and 99th percentile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


@dataclass(frozen=True)
class Load:
    """So many at once in a closed loop, then so many a second for a while."""

    count: int
    in_flight: int
    rate: float
    seconds: float


async def measure(name: str, runner: ServiceRunner, ears: socket.socket, load: Load) -> CascadeLoad:
    """Warm up, walk as fast as it goes, then at a rate."""
    pids = {kind: runner.processes[kind].pid for kind in (SERVER, STEPS)}
    pids[CLIENT] = os.getpid()
    async with ENGINES[name][1](runner.plan) as engine:
        walks = Walks(engine)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Ears(walks.hear), sock=ears)
        await walks.walk_many(WARM_UP, load.in_flight)
        before = {kind: cpu_seconds(pid, kind)[0] for kind, pid in pids.items()}
        began = time.monotonic()
        await walks.walk_many(load.count, load.in_flight)
        seconds = time.monotonic() - began
        cpu = {kind: cpu_seconds(pid, kind)[0] - before[kind] for kind, pid in pids.items()}
        latencies = await walks.walk_at(load.rate, load.seconds)
        memory = {kind: pss_mb(pid, kind) for kind, pid in pids.items()}
        transport.close()
    started, dispatched, ended = map(p50_p99, map(list, zip(*latencies, strict=True)))
    return CascadeLoad(
        per_s=load.count / seconds,
        cpu_ms={kind: 1000 * spent / load.count for kind, spent in cpu.items()},
        memory_mb=memory,
        started_ms=started,
        dispatched_ms=dispatched,
        ended_ms=ended,
        again=walks.again,
    )


def main() -> None:
    """Measure one engine."""
    parser = argparse.ArgumentParser(prog="bench.cascade_load")
    parser.add_argument("--engine", choices=[*ENGINES], required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    words = parser.parse_args()
    enter_private_network()
    load = Load(words.count, words.in_flight, words.rate, words.seconds)
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as folder:
        path = Path(folder) / "ears.sock"
        ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ears.bind(str(path))
        ears.setblocking(False)
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with ENGINES[words.engine][0](Path(folder) / "data", str(path)) as runner:
            work = measure(words.engine, runner, ears, load)
            result = uvloop.new_event_loop().run_until_complete(work)
    sys.stdout.buffer.write(msgspec.json.encode(result))
    sys.stdout.flush()
    os._exit(0)  # an orderly end may abort in a thread of temporalio's


if __name__ == "__main__":
    main()
