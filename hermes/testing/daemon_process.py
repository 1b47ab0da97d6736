"""A whole daemon as a child process, for system tests, kill tables and benches."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

READY = "hermes ready"
FINAL = frozenset({"delivered", "undelivered", "failed", "expired", "cancelled", "unknown", "sent"})

# Durations scaled down, so that a crash is over in seconds.
SCALED: Mapping[str, str] = {
    "HERMES_NATS__ACK_WAIT": "1.0",
    "HERMES_NATS__PROGRESS_EVERY": "0.3",
    "HERMES_NATS__DUPLICATE_WINDOW": "2.0",
    "HERMES_REDIS__LEASE": "2.0",
    "HERMES_REDIS__LEASE_RENEW": "0.5",
    "HERMES_CLOCK__TICK": "0.2",
    "HERMES_CLOCK__UNCERTAIN_GRACE": "2.0",
    "HERMES_CLOCK__UNCERTAIN_GRACE_OTP": "1.0",
    "HERMES_CLOCK__READMIT_AFTER": "2.0",
    "HERMES_SMPP__RESPONSE_TIMEOUT": "5.0",
    "HERMES_SMPP__BACKOFF_FIRST": "0.2",
    "HERMES_SUPERVISION__BEAT": "1.0",
}


class DidNotStart(Exception):
    """The daemon ended or said nothing before it was ready; holds its output."""


@dataclass
class DaemonProcess:
    """`hermes run` in a private data directory on ports of its own."""

    data: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    config: Path | None = None

    @property
    def output_file(self) -> Path:
        """What the daemon printed."""
        return self.data.parent / "run.out"

    def environment(self) -> dict[str, str]:
        """Give the daemon's environment."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HERMES_")}
        own = {
            "HERMES_HOST__DATA_DIR": str(self.data),
            "HERMES_HTTP__PORT": "0",
            "HERMES_ADMIN__PORT": "0",
            "HERMES_RESTATE__ENABLED": "false",
        }
        return {**kept, **own, **self.env}

    def command(self, *words: str) -> list[str]:
        """Give the command line of a `hermes` subcommand."""
        return [sys.executable, "-m", "hermes", *words]

    def start(self, within_s: float = 60.0) -> float:
        """Start and wait for `hermes ready`; give the seconds it took. Raises DidNotStart."""
        began = time.monotonic()
        words = ["run", *(("--config", str(self.config)) if self.config else ())]
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.command(*words), stdout=output, stderr=output, env=self.environment()
            )
        while READY not in (said := self.output_file.read_text(errors="replace")):
            if self.process.poll() is not None or time.monotonic() > began + within_s:
                raise DidNotStart(f"exit {self.process.poll()}: {said}")
            pause(0.02)
        return time.monotonic() - began

    def stop(self, number: int = signal.SIGINT, within_s: float = 60.0) -> int:
        """Ask the daemon to stop; give its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within_s)

    def run(self, *words: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a subcommand against this daemon."""
        return subprocess.run(  # noqa: S603 - our own command
            self.command(*words),
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=within_s,
            check=False,
        )

    @property
    def wiring(self) -> dict[str, Any]:
        """The daemon's wiring file."""
        found: dict[str, Any] = json.loads((self.data / "run" / "wiring.json").read_text())
        return found

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://127.0.0.1:{self.wiring['http_port']}"

    @property
    def key(self) -> str:
        """The demo key."""
        return (self.data / "demo-key").read_text().strip()

    def tree(self) -> dict[str, Any]:
        """What `hermes tree --json` says."""
        answer = self.run("tree", "--json")
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def simulator_log(self) -> list[dict[str, Any]]:
        """Every line the simulated carrier wrote, whole lines only."""
        text = (self.data / "log" / "simulator.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def pids(self) -> set[int]:
        """Every live process that is this daemon's: its environment names the data directory."""
        marks = (f"HERMES_HOST__DATA_DIR={self.data}".encode(), str(self.data).encode())
        return {pid for pid in all_pids() if is_marked(pid, marks)}


def all_pids() -> Iterator[int]:
    """Give every pid of this machine but our own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            yield int(entry.name)


def is_marked(pid: int, marks: tuple[bytes, ...]) -> bool:
    """Say whether a process that is no zombie has a mark in its environment or command line."""
    try:
        proc = Path(f"/proc/{pid}")
        if proc.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
            return False
        text = proc.joinpath("environ").read_bytes() + proc.joinpath("cmdline").read_bytes()
    except OSError:
        return False
    return any(mark in text for mark in marks)


def pause(seconds: float) -> None:
    """Wait between two looks at a condition."""
    time.sleep(seconds)  # noqa: TID251 - polls a condition with a deadline


@contextmanager
def running_daemon(
    env: Mapping[str, str] | None = None, *, start: bool = True
) -> Iterator[DaemonProcess]:
    """Run a daemon in a directory of its own, and remove both afterwards."""
    place = Path(tempfile.mkdtemp(prefix="hermes-"))
    place.chmod(0o755)
    daemon = DaemonProcess(place / "data", dict(env or {}))
    try:
        if start:
            daemon.start()
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            try:
                daemon.stop()
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()
        for pid in daemon.pids():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(place, ignore_errors=True)


@dataclass
class Client:
    """An HTTP client that remembers which messages were accepted."""

    session: aiohttp.ClientSession
    url: str
    accepted: dict[str, str] = field(default_factory=dict)
    refused: int = 0

    async def send(self, to: str, text: str = "hi", **more: str) -> str | None:
        """Post one message until it is accepted or refused for good; give its id."""
        body = {"to": to, "text": text, **more}
        try:
            async with self.session.post(f"{self.url}/v1/messages", json=body) as answer:
                if answer.status == 202:
                    name: str = (await answer.json())["id"]
                    self.accepted[name] = to
                    return name
        except (aiohttp.ClientError, OSError):
            pass
        self.refused += 1
        return None

    async def send_many(self, count: int, first: int = 4500000000, *, at_once: int = 20) -> None:
        """Post `count` messages to numbers of their own whose last digit means delivered."""
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                while await self.send(f"+{first + number}0") is None:
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(worker() for _ in range(at_once)))

    async def view(self, name: str) -> dict[str, Any]:
        """Get one message."""
        async with self.session.get(f"{self.url}/v1/messages/{name}") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def wait_final(self, within_s: float) -> dict[str, dict[str, Any]]:
        """Wait until every accepted message is final; give them all. Raises TimeoutError."""
        final: dict[str, dict[str, Any]] = {}
        async with asyncio.timeout(within_s):
            while len(final) < len(self.accepted):
                for name in [n for n in self.accepted if n not in final]:
                    try:
                        view = await self.view(name)
                    except (aiohttp.ClientError, OSError):
                        await asyncio.sleep(0.1)
                        break
                    if view.get("state") in FINAL:
                        final[name] = view
                    else:
                        await asyncio.sleep(0.05)
        return final


@asynccontextmanager
async def client_of(daemon: DaemonProcess) -> AsyncIterator[Client]:
    """Give a client with the demo key."""
    headers = {"Authorization": f"Bearer {daemon.key}"}
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        yield Client(session, daemon.url)
