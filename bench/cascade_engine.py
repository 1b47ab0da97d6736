"""Row cascade-engine: what the durable engines do and cost, with steps that cost nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from bench.cascade_load import CascadeLoad
from bench.engines import own_seconds
from bench.machine import machine_seconds
from bench.report import Figure, Row, Surroundings
from bench.stand import Options
from hermes.testing.temporal_server import INSTALL, locate_test_server

TITLE: Final = "Cascade engines alone"
METHOD: Final = (
    "cascades of two steps, the first fails at once, the second is delivered; steps in memory that "
    "answer at once; {n} cascades with {f} in flight, CPU of all three processes there; then {r:g} "
    "starts a second for {s:g} s, latencies there: from the start to its answer, to the first "
    "dispatch and to the end; an engine that does not keep up shows its backlog. Restate as it is "
    "embedded, on disk with fsync; Temporal's test server, which is in memory and not the "
    "production server: that one is four services and a database, and none of it is counted here"
)
ENGINES: Final = ("restate", "temporal")
IN_FLIGHT: Final = 100
RATE: Final = 100.0
RATE_S: Final = 15.0
QUICK_RATE_S: Final = 3.0
PROCESS_TIMEOUT_S: Final = 600.0


def cascade_engine(options: Options) -> Row:
    """Measure every engine that is installed."""
    seconds = QUICK_RATE_S if options.is_quick else RATE_S
    load_before = os.getloadavg()[0]
    busy, stolen = machine_seconds()
    ours, began = own_seconds(), time.monotonic()
    figures: list[Figure] = []
    errors: list[str] = []
    for engine in ENGINES:
        if engine == "temporal" and locate_test_server() is None:
            errors.append(f"temporal-test-server is not installed: `{INSTALL}`")
            continue
        options.progress.say(f"{engine}, {options.count} cascades")
        result = run(engine, options.count, seconds)
        figures += figures_of(engine, result)
        if result.again:
            errors.append(f"{engine}: {result.again} ends were told twice")
    passed = time.monotonic() - began
    busy_now, stolen_now = machine_seconds()
    others = busy_now - busy - (own_seconds() - ours)
    return Row(
        id="cascade-engine",
        title=TITLE,
        method=METHOD.format(n=options.count, f=IN_FLIGHT, r=RATE, s=seconds),
        figures=tuple(figures),
        around=Surroundings(
            load_before=load_before,
            others_cores=max(0.0, others) / passed,
            stolen_cores=(stolen_now - stolen) / passed,
        ),
        errors=tuple(errors),
    )


def figures_of(engine: str, result: CascadeLoad) -> Iterator[Figure]:
    """Give what is shown of a result."""
    yield Figure(name=f"{engine}, {IN_FLIGHT} in flight", value=result.per_s, unit="cascade/s")
    for kind, cpu_ms in result.cpu_ms.items():
        yield Figure(name=f"  CPU, {kind}", value=cpu_ms, unit="ms/cascade")
    latencies = (
        ("accepted", result.started_ms),
        ("dispatched", result.dispatched_ms),
        ("ended", result.ended_ms),
    )
    for what, (p50, p99) in latencies:
        yield Figure(name=f"  {what} p50", value=p50, unit="ms")
        yield Figure(name=f"  {what} p99", value=p99, unit="ms")
    for kind, memory_mb in result.memory_mb.items():
        yield Figure(name=f"  memory, {kind}", value=memory_mb, unit="MB")


def run(engine: str, count: int, seconds: float) -> CascadeLoad:
    """Run the client. Raises OSError when it fails."""
    words = ["--engine", engine, "--count", count, "--in-flight", IN_FLIGHT]
    words += ["--rate", RATE, "--seconds", seconds]
    argv = [sys.executable, "-m", "bench.cascade_load", *map(str, words)]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=PROCESS_TIMEOUT_S, check=True)
    except subprocess.SubprocessError as error:
        raise OSError(f"{engine}: {error}") from error
    return msgspec.json.decode(done.stdout, type=CascadeLoad)
