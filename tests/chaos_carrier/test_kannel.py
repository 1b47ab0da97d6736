"""Kannel, which others wrote, speaks to our simulated carrier: bind, parts, receipts, unbind."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import CarrierProcess, pause, running_carrier

pytestmark = pytest.mark.chaos

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
BEARERBOX = shutil.which("bearerbox", path=SBIN)
SMSBOX = shutil.which("smsbox", path=SBIN)
WITHIN = 30.0
CONFIG = """
group = core
admin-port = {admin}
admin-password = x
smsbox-port = {box}
box-allow-ip = "127.0.0.1"
log-level = 1

group = smsc
smsc = smpp
smsc-id = sim
host = 127.0.0.1
port = {smpp}
transceiver-mode = true
smsc-username = kannel
smsc-password = secret
system-type = ""
max-pending-submits = 10
msg-id-type = 0x00

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}

group = sendsms-user
username = u
password = p
max-messages = 10
concatenation = true

group = sms-service
keyword = default
text = "thanks"
"""


class Sink(BaseHTTPRequestHandler):
    """Takes the receipts Kannel reports."""

    seen: list[str]

    def do_GET(self) -> None:
        """Note a receipt."""
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def sink() -> Iterator[tuple[list[str], int]]:
    """Give what came, and the port."""
    seen: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Here", (Sink,), {"seen": seen}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def running_kannel(place: Path, smpp: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run both boxes; give bearerbox and the port that takes messages."""
    admin, box, http = (free_port() for _ in range(3))
    config = place / "kannel.conf"
    config.write_text(CONFIG.format(admin=admin, box=box, smpp=smpp, http=http))
    boxes: list[subprocess.Popen[bytes]] = []
    try:
        for program, port in ((BEARERBOX, box), (SMSBOX, http)):
            assert program is not None
            with (place / f"{Path(program).name}.log").open("wb") as out:
                boxes.append(subprocess.Popen([program, str(config)], stdout=out, stderr=out))
            until(lambda port=port: is_open(port))  # type: ignore[misc]
        yield boxes[0], http
    finally:
        for process in reversed(boxes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < deadline
        pause(0.05)


def lines(carrier: CarrierProcess, kind: str) -> list[dict[str, Any]]:
    """Give what the carrier saw of a kind."""
    return [line for line in carrier.log() if line["event"] == kind]


@pytest.mark.skipif(BEARERBOX is None or SMSBOX is None, reason="apt-get install kannel")
async def test_kannel_binds_sends_a_long_message_gets_its_receipts_and_unbinds(
    tmp_path: Path,
) -> None:
    with (
        running_carrier(account="kannel:secret", receipt_delay_ms=100) as carrier,
        sink() as (seen, sink_port),
    ):
        with running_kannel(tmp_path, carrier.port) as (bearerbox, http):
            until(lambda: any(line["status"] == 0 for line in lines(carrier, "bind")))
            text = "A long message of two hundred letters " * 5 + "ends here."
            query = urllib.parse.urlencode(
                {
                    "username": "u",
                    "password": "p",
                    "from": "123",
                    "to": "447700900120",
                    "text": text,
                    "dlr-mask": 31,
                    "dlr-url": f"http://127.0.0.1:{sink_port}/dlr?state=%d",
                }
            )
            url = f"http://127.0.0.1:{http}/cgi-bin/sendsms?{query}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert answer.status == 202
            until(lambda: len(lines(carrier, "submit")) == 2)
            one, two = lines(carrier, "submit")
            assert one["text"] + two["text"] == text
            assert (one["esm_class"] & 0x40, bytes.fromhex(one["hex"])[:3]) == (0x40, b"\5\0\3")
            until(lambda: any("state=1" in path for path in seen))
            until(lambda: any(line["status"] == 0 for line in lines(carrier, "answer")))
            mo = {"source": "447700900120", "destination": "123", "text": "hello Kannel"}
            ask_carrier(carrier.control, "POST", "/mo", **mo)
            until(lambda: any(line["text"] == "thanks" for line in lines(carrier, "submit")))
            bearerbox.terminate()
            await asyncio.to_thread(until, lambda: bool(lines(carrier, "unbind")))
        assert lines(carrier, "unbind")[0]["reason"]
        assert lines(carrier, "problem") == []
