"""Progress of a start: any process tells the daemon one line over a unix datagram."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import NamedTuple

NAME = "progress.sock"
MAX_TEXT = 2000
PATIENCE = 0.5  # seconds; Linux queues 10 datagrams, and many binds may come up at once
MAX_LINE = 16 * 1024  # JSON writes a character in up to 6 octets


class Step(NamedTuple):
    """One line of progress: which part of the host, and what happened to it."""

    part: str
    text: str


def tell(socket_dir: str, part: str, text: str) -> None:
    """Tell the daemon; when nobody listens nothing happens."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller,
    ):
        teller.settimeout(PATIENCE)
        teller.sendto(json.dumps([part, text[:MAX_TEXT]]).encode(), f"{socket_dir}/{NAME}")


class Listener:
    """The daemon's end; readable by `fileno`."""

    def __init__(self, socket_dir: str) -> None:
        self.path = Path(socket_dir) / NAME
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(self.path))
        self.path.chmod(0o600)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self.socket.fileno()

    def read(self) -> list[Step]:
        """Give what was told since the last call."""
        steps: list[Step] = []
        while True:
            try:
                body = self.socket.recv(MAX_LINE)
            except BlockingIOError:
                return steps
            with contextlib.suppress(ValueError, TypeError):
                part, text = json.loads(body)
                steps.append(Step(str(part), str(text)))

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()
        self.path.unlink(missing_ok=True)
