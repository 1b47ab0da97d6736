"""One link engine under load, as a process of its own: `python -m bench.engine_esme --engine …`.

Closed loop: the window is full all the time, each answer lets out the next submit. Every submit is
the same encoded PDU, so that the CPU of this process is the engine's and little else.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from array import array
from pathlib import Path

import msgspec
import uvloop

from bench.load_client import percentile
from hermes.adapters.links import Engine, link_of
from hermes.ports.link import Bound, LinkEvent, LinkSettings, SubmitResult, WirePdu
from hermes.smpp.encode import encode_submit_sm
from hermes.smpp.pdu import SubmitSm

TEXT = b"Your code is 493021. It is valid for ten minutes."
WARM_WINDOWS = 2
"""Windows of submits before the measured ones."""


class EngineResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the measured submits took; memory is resident, when bound and what it grew by."""

    count: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    grown_mb: float


class Load:
    """Submits that keep a window full."""

    def __init__(self, engine: Engine, port: int, window: int, count: int) -> None:
        sm = SubmitSm(source_addr="HERMES", destination_addr="447700900123", short_message=TEXT)
        self.wire = WirePdu(encode_submit_sm(sm), "bench")
        settings = LinkSettings("127.0.0.1", port, "bench", window=window)
        self.link = link_of(engine, settings, lambda _: None, self.on_event)
        self.bound, self.done = asyncio.Event(), asyncio.Event()
        self.left = self.open = 0
        self.latencies = array("d", bytes(8 * count))
        self.measured = 0

    def on_event(self, event: LinkEvent) -> None:
        """Wait for the bind alone."""
        if isinstance(event, Bound):
            self.bound.set()

    async def submit(self, count: int) -> None:
        """Submit so many and wait for the last answer. Raises what a submit ended with."""
        self.left, self.measured = count, 0
        self.done.clear()
        while self.left and self.link.credit > 0:
            self.next()
        await self.done.wait()

    def next(self) -> None:
        """Submit one."""
        self.left -= 1
        self.open += 1
        began = time.perf_counter()
        self.link.submit(self.wire).add_done_callback(lambda done: self.on_answer(done, began))

    def on_answer(self, done: asyncio.Future[SubmitResult], began: float) -> None:
        """Note how long it took, submit the next."""
        done.result()
        self.latencies[self.measured] = time.perf_counter() - began
        self.measured += 1
        self.open -= 1
        if self.left:
            self.next()
        elif self.open == 0:
            self.done.set()


async def run(engine: Engine, port: int, window: int, count: int) -> EngineResult:
    """Bind, warm up, measure."""
    load = Load(engine, port, window, max(count, WARM_WINDOWS * window))
    life = asyncio.create_task(load.link.run())
    await load.bound.wait()
    await load.submit(WARM_WINDOWS * window)
    memory, cpu, began = resident_mb(), cpu_seconds(), time.perf_counter()
    await load.submit(count)
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    grown = resident_mb() - memory
    await load.link.drain()
    await life
    ordered = sorted(load.latencies[:count])
    return EngineResult(
        count=count,
        seconds=seconds,
        cpu_s=cpu,
        p50_ms=1000 * percentile(ordered, 0.5),
        p99_ms=1000 * percentile(ordered, 0.99),
        memory_mb=memory,
        grown_mb=grown,
    )


def cpu_seconds() -> float:
    """Give what this process used, kernel included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mb() -> float:
    """Give the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Read the options, run one load, print its result as JSON."""
    parser = argparse.ArgumentParser(prog="bench.engine_esme")
    parser.add_argument("--engine", choices=("aiosmpplib", "native"), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    a = parser.parse_args()
    result = uvloop.run(run(a.engine, a.port, a.window, a.count))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
