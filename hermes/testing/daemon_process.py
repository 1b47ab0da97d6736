"""A whole daemon as a child process, for system tests, kill tables and benches."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
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


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class DaemonProcess:
    """`hermes run` in a private data directory on ports of its own."""

    data: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    config: Path | None = None
    python: str = sys.executable
    user: int | None = None

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
        return [self.python, "-m", "hermes", *words]

    def start(self, within_s: float = 120.0, until: str = READY) -> float:
        """Start and wait for a word of its output; give the seconds it took. Raises DidNotStart.

        It leads a process group of its own, as a shell's job does.
        """
        began = time.monotonic()
        words = ["run", *(("--config", str(self.config)) if self.config else ())]
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.command(*words),
                stdout=output,
                stderr=output,
                env=self.environment(),
                process_group=0,
                **self.who(),
            )
        self.wait_said(until, within_s=within_s)
        return time.monotonic() - began

    def wait_said(self, words: str, times: int = 1, within_s: float = 120.0) -> None:
        """Wait until the daemon has printed words so many times since it was started.

        Raises DidNotStart.
        """
        assert self.process is not None
        deadline = time.monotonic() + within_s
        while (said := self.said()).count(words) < times:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"exit {self.process.poll()}: {said}\n{self.last_log()}")
            pause(0.02)

    def who(self) -> dict[str, Any]:
        """Give the arguments that run a process as `user`."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.user, "extra_groups": []}

    def said(self) -> str:
        """What the daemon printed since its last start."""
        return self.output_file.read_text(errors="replace")

    def last_log(self) -> str:
        """Give the end of the log."""
        log = self.data / "log" / "hermes.log"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""

    def stop(
        self, number: int = signal.SIGINT, within_s: float = 60.0, *, group: bool = False
    ) -> int:
        """Ask the daemon, or its process group as a terminal does, to stop; give its exit code."""
        assert self.process is not None
        if self.process.poll() is None and group:
            os.killpg(self.process.pid, number)
        elif self.process.poll() is None:
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
            **self.who(),
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

    def admin(self, route: str) -> dict[str, Any] | None:
        """Ask the admin socket; None when nobody answers."""
        connection = UnixConnection(f"{self.wiring['socket_dir']}/admin.sock")
        try:
            connection.request("GET", route)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        else:
            return found
        finally:
            connection.close()

    def tree(self) -> dict[str, Any]:
        """What `hermes tree --json` says; empty when nobody answers."""
        return self.admin("/v1/tree") or {"path": "", "children": []}

    def simulator_log(self) -> list[dict[str, Any]]:
        """Every line the simulated carrier wrote, whole lines only."""
        return read_lines(self.data / "log" / "simulator.jsonl")

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
    env: Mapping[str, str] | None = None, *, start: bool = True, config: Path | None = None
) -> Iterator[DaemonProcess]:
    """Run a daemon in a directory of its own, and remove both afterwards."""
    place = Path(tempfile.mkdtemp(prefix="hermes-"))
    place.chmod(0o755)
    daemon = DaemonProcess(place / "data", dict(env or {}), config=config)
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
            headers = {"Idempotency-Key": to}
            post = self.session.post(f"{self.url}/v1/messages", json=body, headers=headers)
            async with post as answer:
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
            while left := [name for name in self.accepted if name not in final]:
                if not await self.look(left, final):
                    await asyncio.sleep(0.05)
        return final

    async def look(self, names: list[str], final: dict[str, dict[str, Any]]) -> bool:
        """Note which of the messages are final; stop at the first that is not."""
        for name in names:
            try:
                view = await self.view(name)
            except (aiohttp.ClientError, OSError):
                return False
            if view.get("state") not in FINAL:
                return False
            final[name] = view
        return True


@asynccontextmanager
async def client_of(daemon: DaemonProcess) -> AsyncIterator[Client]:
    """Give a client with the demo key."""
    headers = {"Authorization": f"Bearer {daemon.key}"}
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        yield Client(session, daemon.url)


@dataclass
class CarrierProcess:
    """A simulated carrier that is nobody's child but the test's: no kill of a daemon ends it."""

    place: Path
    process: subprocess.Popen[str]
    port: int
    control: str

    @property
    def log_file(self) -> Path:
        """Every PDU, as JSON lines."""
        return self.place / "carrier.jsonl"

    def log(self) -> list[dict[str, Any]]:
        """Every line so far, whole lines only."""
        return read_lines(self.log_file)

    def configure(self, window: int = 10, carrier: str = "sim", **more: str) -> Path:
        """Write a configuration folder that has this carrier alone; give it."""
        folder = self.place / "config"
        (folder / "carriers").mkdir(parents=True, exist_ok=True)
        extra = "".join(f"{key} = {value}\n" for key, value in more.items())
        (folder / "carriers" / f"{carrier}.toml").write_text(
            f'[[carrier]]\nid = "{carrier}"\ndefault_sender = "Hermes"\n{extra}'
            f'[[carrier.bind]]\nid = "1"\nhost = "127.0.0.1"\nport = {self.port}\n'
            f'system_id = "hermes"\nwindow = {window}\ntls = {{ insecure = true }}\n'
        )
        return folder


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines, leaving out a last one that is half written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@contextmanager
def running_carrier(**options: float | str) -> Iterator[CarrierProcess]:
    """Run `python -m hermes.simulator` with options such as latency_ms=30."""
    place = Path(tempfile.mkdtemp(prefix="hermes-carrier-"))
    argv = [sys.executable, "-m", "hermes.simulator", "--port", "0", "--control-port", "0"]
    argv += ["--log", str(place / "carrier.jsonl")]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        assert process.stdout is not None
        words = dict(word.partition("=")[::2] for word in process.stdout.readline().split())
        port = int(words["smpp"].rpartition(":")[2])
        yield CarrierProcess(place, process, port, words["control"])
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(place, ignore_errors=True)
