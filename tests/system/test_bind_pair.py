"""A transmitter and a receiver bind, on both engines, do together what a transceiver does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)

pytestmark = pytest.mark.daemon

COUNT = 40
BIND = """
[[carrier.bind]]
id = "{mode}"
host = "127.0.0.1"
port = {port}
system_id = "hermes"
mode = "{mode}"
engine = "{engine}"
tls = {{ insecure = true }}
"""


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=5, receipt_delay_ms=50) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(carrier: CarrierProcess) -> Iterator[DaemonProcess]:
    folder = carrier.place / "pair"
    (folder / "carriers").mkdir(parents=True)
    binds = (
        BIND.format(mode=mode, engine=engine, port=carrier.port)
        for mode, engine in (("tx", "native"), ("rx", "aiosmpplib"))
    )
    profile = '[[carrier]]\nid = "pair"\ndefault_sender = "Hermes"\n'
    (folder / "carriers" / "pair.toml").write_text(profile + "".join(binds))
    with running_daemon(SCALED, config=folder) as running:
        yield running


async def test_the_transmitter_submits_and_the_receiver_takes_the_receipts(
    carrier: CarrierProcess, daemon: DaemonProcess
) -> None:
    async with client_of(daemon) as client:
        await client.send_many(COUNT, 4_630_000_000)
        views = await client.wait_final(30)
    assert {view["state"] for view in views.values()} == {"delivered"}
    sessions = {line["session"]: line["mode"] for line in carrier.log() if line["event"] == "bind"}
    of = {
        kind: {sessions[line["session"]] for line in carrier.log() if line["event"] == kind}
        for kind in ("submit", "receipt")
    }
    assert of == {"submit": {"tx"}, "receipt": {"rx"}}
    (receiver,) = (bind for bind in status(daemon)["binds"] if bind["bind"] == "rx")
    assert (receiver["state"], receiver["held"], receiver["asked"]) == ("bound", 0, 0)


def status(daemon: DaemonProcess) -> dict[str, Any]:
    """What `hermes status --json` says."""
    found: dict[str, Any] = json.loads(daemon.run("status", "--json").stdout)
    return found
