"""Stores that somebody else runs: outside every daemon, and away whenever a test wants it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from hermes.embedded.plan import plan_services
from hermes.testing.services import ServiceRunner, options_for_tests

STORES = ("nats", "valkey", "postgres")


@dataclass(frozen=True, slots=True)
class Outside:
    """The servers; whoever uses them starts and ends them from the main thread."""

    runner: ServiceRunner

    def environment(self) -> dict[str, str]:
        """Give the settings that point a daemon here; nobody answers at Restate's address."""
        found = self.runner.endpoints
        return {
            "HERMES_NATS__URL": found.nats_url,
            "HERMES_REDIS__URL": found.redis_url,
            "HERMES_POSTGRES__URL": found.postgres_dsn,
            "HERMES_RESTATE__ENABLED": "true",
            "HERMES_RESTATE__INGRESS_URL": "http://127.0.0.1:9",
            "HERMES_RESTATE__ADMIN_URL": "http://127.0.0.1:9",
        }

    def pids(self, name: str) -> list[int]:
        """Give a server's process and all below it, the oldest first."""
        found = [self.runner.processes[name].pid]
        for pid in found:
            listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            found += [int(word) for word in listed.split()]
        return found

    def start(self, name: str) -> None:
        """Start a server and wait until it is ready."""
        self.runner.start(name)

    def end(self, name: str) -> None:
        """End a server by its own signal."""
        self.runner.stop(name)

    def kill(self, name: str) -> None:
        """End a server with SIGKILL."""
        self.runner.kill(name)

    def pause(self, name: str) -> None:
        """Stop a server in its tracks: it keeps its connections and answers nothing."""
        for pid in self.pids(name):
            os.kill(pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused server go on."""
        for pid in reversed(self.pids(name)):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def running_outside(names: tuple[str, ...] = STORES, *, start: bool = True) -> Iterator[Outside]:
    """Run the servers named in a directory of their own."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    data = Path(tempfile.mkdtemp(prefix="hermes-outside-", dir=place))
    data.chmod(0o755)
    try:
        with ServiceRunner(plan_services(options_for_tests(names, data))) as runner:
            if start:
                runner.start()
            yield Outside(runner)
    finally:
        rmtree(data, ignore_errors=True)


def settings_of(*parts: Mapping[str, str]) -> dict[str, str]:
    """Join settings; later ones win."""
    return {key: value for part in parts for key, value in part.items()}
