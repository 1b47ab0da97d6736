"""Stores that somebody else runs: outside every daemon, and away whenever a test wants it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shutil import rmtree

import psycopg

from bench.processes import children_of
from hermes.core.ids import decode_message_id, encode_message_id
from hermes.embedded.plan import plan_services
from hermes.testing.daemon_process import FINAL
from hermes.testing.services import ServiceRunner, options_for_tests

STORES = ("nats", "valkey", "postgres")
NOBODY = "http://127.0.0.1:9"
OPEN = "select m.id from message m where m.id = any(%s) and m.state <> all(%s)"
UNPLACED = f"""{OPEN} and not exists (
    select from attempt a where a.message = m.id and a.next_action <> 'republish')"""


class How(StrEnum):
    """The ways a server goes away."""

    STOPPED = "stopped"
    PAUSED = "paused"
    """It keeps its connections and answers nothing."""
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Outside:
    """The servers; the thread that starts and ends them must live as long as they do."""

    runner: ServiceRunner

    def environment(self) -> dict[str, str]:
        """Give the settings that point a daemon here; nobody answers at Restate's address."""
        found = self.runner.endpoints
        return {
            "HERMES_NATS__URL": found.nats_url,
            "HERMES_REDIS__URL": found.redis_url,
            "HERMES_POSTGRES__URL": found.postgres_dsn,
            "HERMES_RESTATE__ENABLED": "true",
            "HERMES_RESTATE__INGRESS_URL": NOBODY,
            "HERMES_RESTATE__ADMIN_URL": NOBODY,
        }

    def take_away(self, store: str, how: How) -> None:
        """Let a server be away from now on."""
        match how:
            case How.STOPPED:
                self.runner.stop(store)
            case How.PAUSED:
                self.signal(store, signal.SIGSTOP)
            case How.KILLED:
                self.runner.kill(store)

    def bring_back(self, store: str, how: How) -> None:
        """Let a server that was taken away answer again."""
        if how is How.PAUSED:
            self.signal(store, signal.SIGCONT)
        else:
            self.runner.start(store)

    @contextmanager
    def without(self, store: str, how: How) -> Iterator[None]:
        """Let a server be away for the length of the block."""
        self.take_away(store, how)
        try:
            yield
        finally:
            self.bring_back(store, how)

    def signal(self, store: str, number: signal.Signals) -> None:
        """Send a signal to a server's process and to all below it.

        One below may end meanwhile: a backend that wakes to find its client gone.
        """
        server = self.runner.processes[store].pid
        os.kill(server, number)
        pids = children_of(server)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
                pids += children_of(pid)

    def open_of(self, names: list[str], query: str = OPEN) -> list[str]:
        """Give those messages that are not final, by the ledger."""
        ids = [decode_message_id(name) for name in names]
        with psycopg.connect(self.runner.endpoints.postgres_dsn) as ledger:
            rows = ledger.execute(query.encode(), (ids, list(FINAL))).fetchall()
        return [encode_message_id(row[0]) for row in rows]

    def unplaced_of(self, names: list[str]) -> list[str]:
        """Give those messages whose job is not known to lie on the belt."""
        return self.open_of(names, UNPLACED)


@contextmanager
def running_outside(*, start: bool = True) -> Iterator[Outside]:
    """Run the servers in a directory of their own."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    data = Path(tempfile.mkdtemp(prefix="hermes-outside-", dir=place))
    data.chmod(0o755)
    try:
        with ServiceRunner(plan_services(options_for_tests(STORES, data))) as runner:
            if start:
                runner.start()
            yield Outside(runner)
    finally:
        rmtree(data, ignore_errors=True)
