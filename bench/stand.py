"""The test stand: a daemon, its carrier, its ledger and a load client, measured together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.carrier import CarrierPlan, SimulatedCarrier
from bench.ledger import Ledger, ledger_of
from bench.load_client import KEY_VARIABLE, LoadResult
from bench.machine import machine_seconds
from bench.processes import CLIENT, SIMULATOR, Processes, Usage, processes_of
from bench.progress import Progress
from bench.report import Surroundings
from hermes.testing.daemon_process import DaemonProcess, pause, running_daemon

LOOK_EVERY = 0.2
STALLED_AFTER = 30.0
SETTINGS: Mapping[str, str] = {
    "HERMES_RESTATE__ENABLED": "true",
    "HERMES_SMPP__BACKOFF_FIRST": "0.2",
    "HERMES_SMPP__BACKOFF_MAX": "0.2",
}
"""Only a bind that finds no carrier waits less than by default; nothing else is tuned."""


class Stalled(Exception):
    """Nothing moved for 30 s."""


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    count: int
    connections: int
    is_quick: bool
    progress: Progress
    batch: int = 1
    rate: float = 0.0
    body: str = "message"


@dataclass(frozen=True)
class Measured:
    """CPU seconds by kind in a span of time, and what else the machine did."""

    seconds: float
    cpu: Mapping[str, float]
    around: Surroundings

    def cpu_ms(self, messages: int, load: LoadResult | None = None) -> dict[str, float]:
        """Give CPU milliseconds per message by kind."""
        spent = dict(self.cpu)
        if load is not None:
            spent[CLIENT] = load.cpu_s
        return {kind: 1000 * seconds / max(1, messages) for kind, seconds in spent.items()}


class Stopwatch:
    """Measures a span from its making until `stop`."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.load_before = os.getloadavg()[0]
        self.machine = machine_seconds()
        self.began = time.monotonic()
        self.before: Usage = processes.usage()

    def stop(self, load: LoadResult | None = None) -> Measured:
        """Read everything again. Raises ProcessGone."""
        cpu = self.processes.usage().since(self.before)
        seconds = time.monotonic() - self.began
        busy, stolen = (
            now - then for now, then in zip(machine_seconds(), self.machine, strict=True)
        )
        ours = sum(cpu.values()) + (load.cpu_s if load is not None else 0.0)
        around = Surroundings(
            load_before=self.load_before,
            others_cores=max(0.0, busy - ours) / seconds,
            stolen_cores=stolen / seconds,
        )
        return Measured(seconds, cpu, around)


@dataclass
class Stand:
    """A running daemon with one carrier of the bench's own."""

    daemon: DaemonProcess
    carrier: SimulatedCarrier
    ledger: Ledger
    processes: Processes
    progress: Progress

    def start_carrier(self) -> None:
        """Let the bind find its carrier."""
        self.processes.add(SIMULATOR, self.carrier.start())

    def wait_bound(self) -> None:
        """Wait until the bind is up. Raises Stalled."""
        self.wait("bound", lambda: 0, lambda: bool(self.carrier.sessions()))

    def start_load(self, options: Options) -> Load:
        """Start the client."""
        return Load(self.daemon, options)

    def post_all(self, options: Options) -> LoadResult:
        """Post all messages and wait for the last answer. Raises Stalled, OSError."""
        load = self.start_load(options)
        try:
            self.wait("accepted", lambda: sum(self.ledger.by_state().values()), load.is_over)
            return load.result()
        finally:
            load.kill()

    def post_until(self, state: str, options: Options) -> LoadResult:
        """Post all messages and wait until each is in a state. Raises Stalled, OSError."""
        load = self.start_load(options)
        try:
            self.wait_final(state, options.count, load)
            return load.result()
        finally:
            load.kill()

    def preload(self, options: Options) -> LoadResult:
        """Accept messages and wait until all their jobs are on the belt. Raises Stalled."""
        load = self.post_all(options)
        there = self.ledger.on_belt
        self.wait("on the belt", there, lambda: there() >= load.accepted)
        return load

    def wait_final(self, state: str, count: int, load: Load | None = None) -> None:
        """Wait until `count` messages are in a state. Raises Stalled."""

        def there() -> int:
            return self.ledger.by_state().get(state, 0)

        def is_over() -> bool:
            return there() >= count or (load is not None and load.has_failed())

        self.wait(state, there, is_over)

    def wait(self, what: str, number: Callable[[], int], is_over: Callable[[], bool]) -> None:
        """Look every 0.2 s until it is over. Raises Stalled when a number stands still for 30 s."""
        moved_at, before = time.monotonic(), -1
        while not is_over():
            now = number()
            self.progress.say(f"{now} {what}")
            if now != before:
                moved_at, before = time.monotonic(), now
            elif time.monotonic() > moved_at + STALLED_AFTER:
                raise Stalled(f"{now} {what}, and no more for {STALLED_AFTER:g} s")
            pause(LOOK_EVERY)

    def faults(self, load: LoadResult, state: str, body: str = "message") -> list[str]:
        """Say what makes the figures void: failed requests, losses, duplicates, restarts, errors.

        Stops the carrier, because its log must be whole.
        """
        found = [f"{number} requests: {what}" for what, number in load.failed.items()]
        self.carrier.stop()
        if state != "accepted":
            steps = ("3", "0") if body == "cascade" else ("0",)
            found += self.carrier.faults(load.accepted, steps)
            others = {s: n for s, n in self.ledger.by_state().items() if s != state}
            found += [f"{number} messages ended {what}" for what, number in others.items()]
        found += [f"{path} was restarted" for path in restarted(self.daemon.tree())]
        return found + errors_in(self.daemon.data / "log" / "hermes.log")


class Load:
    """A running load client."""

    def __init__(self, daemon: DaemonProcess, options: Options) -> None:
        port = str(daemon.wiring["http_port"])
        words = ["--port", port, "--count", str(options.count)]
        words += ["--connections", str(options.connections), "--batch", str(options.batch)]
        words += ["--rate", str(options.rate), "--body", options.body]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load_client", *words],
            stdout=subprocess.PIPE,
            env={**os.environ, KEY_VARIABLE: daemon.key},
        )

    def is_over(self) -> bool:
        """Say whether every request has its answer."""
        return self.process.poll() is not None

    def has_failed(self) -> bool:
        """Say whether the client itself ended badly."""
        return self.process.poll() not in (None, 0)

    def result(self) -> LoadResult:
        """Wait for the client and give what it saw. Raises OSError."""
        output, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise OSError(f"the load client ended with {self.process.returncode}")
        return msgspec.json.decode(output, type=LoadResult)

    def kill(self) -> None:
        """End the client if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@contextmanager
def stand_of(
    plan: CarrierPlan, progress: Progress, settings: Mapping[str, str] | None = None
) -> Iterator[Stand]:
    """Start a daemon whose carrier is not there yet. Raises DidNotStart, psycopg.Error."""
    with running_daemon({**SETTINGS, **(settings or {})}, start=False) as daemon:
        carrier = SimulatedCarrier(plan, daemon.data.parent)
        daemon.config = carrier.write_config()
        progress.say("starting the daemon")
        daemon.start()
        with ledger_of(daemon.wiring["postgres_dsn"]) as ledger:
            processes = processes_of(daemon)
            processes.not_counted.add(ledger.backend)
            try:
                yield Stand(daemon, carrier, ledger, processes, progress)
            finally:
                carrier.stop()


def restarted(node: Mapping[str, Any]) -> Iterator[str]:
    """Give the paths of what was started more than once below a node of the tree."""
    if node.get("restarts"):
        yield str(node["path"])
    for child in node.get("children", ()):
        yield from restarted(child)


def errors_in(log: Path) -> list[str]:
    """List the errors in a log, by event, with how often each came."""
    counts: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"level": "error", "event": line[:80]}
        if entry.get("level") in ("error", "critical"):
            event = str(entry.get("event"))
            counts[event] = counts.get(event, 0) + 1
    return [f"log: {event} ({times} times)" for event, times in counts.items()]
