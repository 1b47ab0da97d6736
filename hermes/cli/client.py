"""The CLI's way in: the admin API over its unix socket, the front door over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from hermes.cli.exit_code import CommandExit, leave


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float = 10.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def admin_get(path: Path, route: str) -> Any:
    """Ask the admin API; exits 69 with a sentence when no daemon answers."""
    connection = UnixConnection(str(path))
    try:
        connection.request("GET", route)
        answer = connection.getresponse()
        body = answer.read()
    except OSError as error:
        leave(
            CommandExit.UNAVAILABLE,
            f"no daemon answers at {path} ({error.strerror or error}); start one with `hermes run`",
        )
    finally:
        connection.close()
    if answer.status != 200:
        leave(
            CommandExit.FAILED, f"{route} answered {answer.status}: {body.decode(errors='replace')}"
        )
    return json.loads(body)


def call(
    url: str, method: str, route: str, key: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """Call the front door at `url` (http://host:port); give status and JSON."""
    host = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, route, payload, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    except OSError as error:
        leave(CommandExit.UNAVAILABLE, f"{url} does not answer: {error.strerror or error}")
    except (http.client.HTTPException, json.JSONDecodeError) as error:
        leave(CommandExit.FAILED, f"{url} gave no readable answer: {error!r}")
    finally:
        connection.close()
