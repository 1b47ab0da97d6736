"""A killed or interrupted daemon leaves nothing running, and the next one goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes.testing.daemon_process import (
    CarrierProcess,
    DaemonProcess,
    all_pids,
    running_carrier,
    running_daemon,
)
from tests.system.front_door import crowding, final, post, wait_for

pytestmark = pytest.mark.daemon

QUICK = {
    "HERMES_REDIS__LEASE": "2.0",
    "HERMES_REDIS__LEASE_RENEW": "0.5",
    "HERMES_NATS__ACK_WAIT": "1.0",
    "HERMES_NATS__PROGRESS_EVERY": "0.3",
    "HERMES_CLOCK__TICK": "0.2",
    "HERMES_CLOCK__UNCERTAIN_GRACE": "2.0",
    "HERMES_CLOCK__READMIT_AFTER": "2.0",
    "HERMES_SMPP__BACKOFF_FIRST": "0.2",
}


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    """A carrier that outlives the daemon, and so still owes it the receipts."""
    with running_carrier(receipt_delay_ms=50) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    with running_daemon(QUICK, config=carrier.configure()) as running:
        yield running


def test_kill_of_hermesd_ends_everything_and_the_next_start_goes_on(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    names = [post(daemon, f"+45300000{count:02}0") for count in range(10)]
    daemon.process.kill()
    daemon.process.wait()
    began = time.monotonic()
    wait_for(lambda: not daemon.pids() or None, within_s=5)
    print(f"everything was gone after {time.monotonic() - began:.2f} s")
    for words in (("status",), ("send", "--to", "+4530000999", "--text", "hi")):
        asked = daemon.run(*words)
        assert asked.returncode == 69
        assert len(asked.stderr.splitlines()) == 1
    daemon.start()
    assert {final(daemon, name)["state"] for name in names} == {"delivered"}


def test_kill_of_the_starter_makes_hermesd_start_the_tree_again(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    final(daemon, post(daemon, "+4531000010"))
    old = daemon.pids() - {daemon.process.pid}
    (starter,) = children_of(daemon.process.pid)
    ready = daemon.said().count("hermes ready")
    os.kill(starter, signal.SIGKILL)
    daemon.wait_said("hermes ready", ready + 1)
    assert "the actor system ended (-9); starting it again" in daemon.said()
    assert daemon.process.poll() is None
    assert not old & daemon.pids()
    assert final(daemon, post(daemon, "+4531000020"))["state"] == "delivered"


def children_of(parent: int) -> list[int]:
    """Give the processes whose parent is this one."""
    found = []
    for pid in all_pids():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == parent:
            found.append(pid)
    return found


@pytest.mark.parametrize(
    ("until", "number", "said"),
    [
        ("creating the PostgreSQL cluster", signal.SIGTERM, "stopped before anything was started"),
        ("actor system up", signal.SIGINT, "stopped, nothing left running"),
    ],
)
def test_a_start_can_be_interrupted_at_any_time(
    until: str, number: signal.Signals, said: str
) -> None:
    with running_daemon(start=False) as daemon:
        daemon.start(until=until)
        began = time.monotonic()
        code = daemon.stop(number, group=True)
        took = time.monotonic() - began
        assert (code, daemon.pids()) == (0, set())
        assert daemon.said().splitlines()[-1].endswith(said)
        assert took < 10 * crowding()
