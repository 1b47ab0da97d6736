"""Row engines: what each link engine does and costs, against a carrier that costs it nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from bench.engine_esme import EngineResult
from bench.machine import machine_seconds
from bench.report import Figure, Row, Surroundings
from bench.stand import Options

TITLE = "Link engines alone"
METHOD = (
    "one engine in a process of its own (uvloop), its window kept full with one encoded submit_sm, "
    "against a minimal SMSC in another process; up to {n} messages, or {s:g} s by the ceiling "
    "window / latency; CPU of the engine's process alone, kernel and the loop that submits "
    "included; latency from submit to result; memory grown over {m} messages"
)
ENGINES: Final = ("aiosmpplib", "native")
WINDOWS: Final = (1, 10, 100)
LATENCIES_MS: Final = (0.0, 5.0, 50.0)
CELL_S: Final = 10.0
QUICK_CELL_S: Final = 1.0
MEMORY_TIMES: Final = 10
"""Messages of the memory run, as a multiple of the others."""
MEMORY_WINDOW: Final = 100
CPU_BAR_US: Final = 12.0
PROCESS_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True)
class Cell:
    """One load: how wide the window, how slow the carrier, how many messages."""

    window: int
    latency_ms: float
    count: int

    def figures(self, engine: str, result: EngineResult) -> Iterator[Figure]:
        """Give what is shown of a result."""
        name = f"{engine}, window {self.window}, {self.latency_ms:g} ms"
        cpu_us = 1e6 * result.cpu_s / result.count
        has_bar = engine == "native" and self.latency_ms == 0 and self.window > 1
        bar = CPU_BAR_US if has_bar else None
        yield Figure(name=name, value=result.count / result.seconds, unit="submit/s")
        yield Figure(name="  CPU", value=cpu_us, unit="us/msg", bar=bar, better="lower")
        yield Figure(name="  latency p50", value=result.p50_ms, unit="ms")
        yield Figure(name="  latency p99", value=result.p99_ms, unit="ms")


def cells_of(count: int, cell_s: float) -> Iterator[Cell]:
    """Give every window against every latency."""
    for latency_ms in LATENCIES_MS:
        for window in WINDOWS:
            most = int(1000 * window / latency_ms * cell_s) if latency_ms else count
            yield Cell(window, latency_ms, max(1, min(count, most)))


def engines(options: Options) -> Row:
    """Measure every engine."""
    cell_s = QUICK_CELL_S if options.is_quick else CELL_S
    many = MEMORY_TIMES * options.count
    load_before = os.getloadavg()[0]
    busy, stolen = machine_seconds()
    ours, began = own_seconds(), time.monotonic()
    figures: list[Figure] = []
    for cell in cells_of(options.count, cell_s):
        with smsc(cell.latency_ms) as port:
            for engine in ENGINES:
                say = f"{engine}, window {cell.window}, {cell.latency_ms:g} ms"
                options.progress.say(say)
                figures += cell.figures(engine, esme(engine, port, cell.window, cell.count))
    with smsc(0.0) as port:
        for engine in ENGINES:
            options.progress.say(f"{engine}, memory over {many} messages")
            figures += memory_figures(engine, esme(engine, port, MEMORY_WINDOW, many))
    seconds = time.monotonic() - began
    busy_now, stolen_now = machine_seconds()
    others = busy_now - busy - (own_seconds() - ours)
    return Row(
        id="engines",
        title=TITLE,
        method=METHOD.format(n=options.count, s=cell_s, m=many),
        figures=tuple(figures),
        around=Surroundings(
            load_before=load_before,
            others_cores=max(0.0, others) / seconds,
            stolen_cores=(stolen_now - stolen) / seconds,
        ),
    )


def memory_figures(engine: str, result: EngineResult) -> Sequence[Figure]:
    """Give what a long run did to the memory."""
    cpu_us = 1e6 * result.cpu_s / result.count
    return (
        Figure(name=f"{engine}, {result.count} messages", value=cpu_us, unit="us/msg"),
        Figure(name="  memory when bound", value=result.memory_mb, unit="MB"),
        Figure(name="  memory grown", value=result.grown_mb, unit="MB"),
    )


def esme(engine: str, port: int, window: int, count: int) -> EngineResult:
    """Run one load. Raises OSError when it fails."""
    words = ["--engine", engine, "--port", port, "--window", window, "--count", count]
    argv = [sys.executable, "-m", "bench.engine_esme", *map(str, words)]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=PROCESS_TIMEOUT_S, check=True)
    except subprocess.SubprocessError as error:
        raise OSError(f"{engine}, window {window}: {error}") from error
    return msgspec.json.decode(done.stdout, type=EngineResult)


@contextmanager
def smsc(latency_ms: float) -> Iterator[int]:
    """Run the carrier; give its port. Raises OSError when it does not start."""
    argv = [sys.executable, "-m", "bench.engine_smsc", "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            raise OSError("the SMSC of the bench did not start")
        yield int(port)
    finally:
        process.kill()
        process.communicate()


def own_seconds() -> float:
    """Give the CPU seconds of this process and of its children that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
