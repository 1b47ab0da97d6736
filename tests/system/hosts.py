"""Two hosts, a and b, on the same external stores, and the carrier they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    running_carrier,
    running_daemon,
)
from tests.system.outage import QUICK_MS, Stand
from tests.system.outside import running_outside

WINDOW = 5
PROFILE = """
[[carrier]]
id = "sim"
default_sender = "Hermes"
max_rate = {max_rate}
"""
BIND = """
[[carrier.bind]]
id = "{id}"
hosts = {hosts}
host = "127.0.0.1"
port = {port}
system_id = "hermes"
window = {window}
tls = {{ insecure = true }}
"""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Both hosts; their stores and their carrier are the same."""

    a: Stand
    b: Stand


def configure(carrier: CarrierProcess, pins: Sequence[Sequence[str]], max_rate: float) -> Path:
    """Write the one configuration both hosts use: a bind for each list of hosts."""
    folder = carrier.place / "config"
    (folder / "carriers").mkdir(parents=True)
    binds = (
        BIND.format(id=number, hosts=json.dumps(hosts), port=carrier.port, window=WINDOW)
        for number, hosts in enumerate(pins, 1)
    )
    profile = PROFILE.format(max_rate=max_rate)
    (folder / "carriers" / "sim.toml").write_text(profile + "".join(binds))
    return folder


@contextmanager
def running_hosts(pins: Sequence[Sequence[str]], max_rate: float) -> Iterator[Hosts]:
    """Run both, started at the same time; `max_rate` in segments/s is the carrier's."""
    with (
        running_carrier(latency_ms=QUICK_MS, receipt_delay_ms=100, retry_ms=300) as carrier,
        running_outside() as outside,
        ExitStack() as daemons,
        ThreadPoolExecutor(2) as pool,
    ):
        config = configure(carrier, pins, max_rate)
        env = {**SCALED, **outside.environment()}
        a, b = (
            daemons.enter_context(
                running_daemon({**env, "HERMES_HOST__ID": host}, config=config, start=False)
            )
            for host in "ab"
        )
        list(pool.map(DaemonProcess.start, (a, b)))
        yield Hosts(Stand(outside, carrier, a), Stand(outside, carrier, b))


def most_in_a_second(times: Sequence[float]) -> int:
    """Give the most that came in any second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
