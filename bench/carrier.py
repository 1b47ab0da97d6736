"""The carrier of a bench: a simulator process, the configuration that names it, and its log."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bench.load_client import destination_of

CARRIER = "bench"
CONFIG = """\
[[carrier]]
id = "{carrier}"
receipts = "{receipts}"
max_queue = 100000
default_sender = "Hermes"
"""
BIND = """
[[carrier.bind]]
id = "{id}"
host = "127.0.0.1"
port = {port}
system_id = "bench"
window = {window}
engine = "{engine}"
tls = {{ insecure = true }}
"""


def free_port() -> int:
    """Give a loopback port nobody has now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@dataclass(frozen=True)
class CarrierPlan:
    """How the carrier behaves, and how Hermes is told to use its binds, each with this window."""

    window: int = 50
    latency_ms: float = 0.0
    receipt_delay_ms: float = 200.0
    has_receipts: bool = True
    binds: int = 1
    engine: str = "aiosmpplib"


class Submit(msgspec.Struct, frozen=True):
    """A line of the simulator's log, as far as the bench reads it."""

    event: str
    at: float
    destination: str = ""
    message_id: str | None = None


@dataclass
class SimulatedCarrier:
    """One simulator, not started yet; `folder` takes configuration and log."""

    plan: CarrierPlan
    folder: Path
    port: int = field(default_factory=free_port)
    control_port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> Path:
        """Every PDU, one JSON line each."""
        return self.folder / "simulator.jsonl"

    def write_config(self) -> Path:
        """Write the configuration folder of a daemon that has this carrier alone."""
        config = self.folder / "config"
        config.joinpath("carriers").mkdir(parents=True)
        plan = self.plan
        receipts = "all" if plan.has_receipts else "none"
        text = CONFIG.format(carrier=CARRIER, receipts=receipts)
        for number in range(1, plan.binds + 1):
            text += BIND.format(id=number, port=self.port, window=plan.window, engine=plan.engine)
        config.joinpath("carriers", f"{CARRIER}.toml").write_text(text)
        return config

    def start(self) -> int:
        """Start it and wait until it listens; give its pid. Raises OSError."""
        options = {
            "port": self.port,
            "control-port": self.control_port,
            "latency-ms": self.plan.latency_ms,
            "receipt-delay-ms": self.plan.receipt_delay_ms,
            "deliver-window": 200,
            "log": self.log,
            "log-memory": 1,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hermes.simulator", *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("simulator ready"):
            raise OSError("the simulator did not start")
        return self.process.pid

    def stop(self) -> None:
        """End it; its log is whole then."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None

    def sessions(self) -> Sequence[Mapping[str, Any]]:
        """Give the sessions there are. Raises OSError."""
        url = f"http://127.0.0.1:{self.control_port}/stats"
        with urllib.request.urlopen(url, timeout=5) as answer:
            stats: dict[str, Any] = msgspec.json.decode(answer.read())
        return [session for session in stats["sessions"] if session["mode"]]

    def max_in_flight(self) -> int:
        """Give the most submits a session has had unanswered. Raises OSError."""
        return max((int(session["max_in_flight"]) for session in self.sessions()), default=0)

    def accepted(self) -> list[Submit]:
        """Read the submits that were accepted, in order."""
        decoder = msgspec.json.Decoder(Submit)
        with self.log.open("rb") as lines:
            read = (decoder.decode(line) for line in lines if line.endswith(b"\n"))
            return [s for s in read if s.event == "submit" and s.message_id is not None]

    def faults(self, count: int, digits: Sequence[str] = ("0",)) -> list[str]:
        """Compare the log with the `count` messages that were accepted over HTTP.

        `digits` are the last ones of the numbers each message goes to.
        """
        seen = Counter(submit.destination for submit in self.accepted())
        wanted = {
            destination_of(number)[:-1] + digit for number in range(count) for digit in digits
        }
        lost = len(wanted - seen.keys())
        twice = sum(times - 1 for times in seen.values())
        found = {"never submitted": lost, "submitted twice": twice}
        return [f"{number} of {count} messages {what}" for what, number in found.items() if number]


def rate_of(submits: Sequence[Submit], share: float = 1.0) -> float:
    """Give submits per second, over the middle `share` of them. Raises ValueError."""
    cut = int(len(submits) * (1 - share) / 2)
    middle = submits[cut : len(submits) - cut]
    if len(middle) < 2:
        raise ValueError(f"{len(submits)} submits make no rate")
    return (len(middle) - 1) / max(middle[-1].at - middle[0].at, 1e-9)
