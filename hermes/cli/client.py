"""The CLI's way in: the admin API over its unix socket, the front door over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
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
    status, body = admin_call(path, "GET", route)
    if status != 200:
        leave(CommandExit.FAILED, f"{route} answered {status}: {body.decode(errors='replace')}")
    return json.loads(body)


def admin_do(path: Path, method: str, route: str) -> dict[str, Any]:
    """Have the admin API do something; exits 1 with its own sentence when it refuses."""
    status, body = admin_call(path, method, route)
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        leave(CommandExit.FAILED, f"{route} answered {status}: {body.decode(errors='replace')}")
    if status != 200:
        leave(CommandExit.FAILED, str(found.get("detail", f"{route} answered {status}")))
    return found


def admin_call(path: Path, method: str, route: str) -> tuple[int, bytes]:
    """Call the admin API; give status and body. Exits 69 when no daemon answers."""
    connection = UnixConnection(str(path))
    try:
        connection.request(method, route)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except PermissionError:
        leave(CommandExit.NO_PERMISSION, f"{path} belongs to another user; ask as that user")
    except (OSError, http.client.HTTPException) as error:
        leave(
            CommandExit.UNAVAILABLE,
            f"no daemon answers at {path} ({said(error)}); start one with `hermes run`",
        )
    finally:
        connection.close()


def said(error: Exception) -> str:
    """Give the words of an error without its number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def call(
    url: str, method: str, route: str, key: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """Call the front door at `url` (http[s]://host:port); give status and JSON.

    Exits 69 with a sentence when nobody answers.
    """
    try:
        return exchange(url, method, route, key, body)
    except OSError as error:
        leave(CommandExit.UNAVAILABLE, f"{url} does not answer: {said(error)}")


def exchange(
    url: str, method: str, route: str, key: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """Call the front door once; give status and JSON. Raises OSError when nobody answers."""
    connection, base = connect(url)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if not (key.isascii() and key.isprintable()):
        leave(CommandExit.USAGE, "the key holds characters that no key has")
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, base + route, payload, headers)
        answer = connection.getresponse()
        found = json.loads(answer.read() or b"{}")
    except (http.client.BadStatusLine, http.client.IncompleteRead) as error:
        raise ConnectionError(said(error)) from error
    except (http.client.HTTPException, ValueError) as error:
        leave(CommandExit.FAILED, f"{url} gave no readable answer: {said(error)}")
    finally:
        connection.close()
    return answer.status, found if isinstance(found, dict) else {}


def connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Give a connection and the path in front of every route; exits 2 for what is no URL."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        leave(CommandExit.USAGE, f"--url {url}: {error}")
    if parts.scheme not in {"http", "https"} or host is None:
        leave(CommandExit.USAGE, f"--url {url}: expected http://host:port or https://host:port")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=30), parts.path.rstrip("/")
