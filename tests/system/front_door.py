"""A plain HTTP client of a daemon's front door, and waits with a deadline."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Any, TypeVar

import pytest

from hermes.testing.daemon_process import FINAL, DaemonProcess, pause

T = TypeVar("T")
PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front door said; `body` is the JSON of it."""

    status: int
    headers: Headers
    body: dict[str, Any]


def ask(
    daemon: DaemonProcess,
    method: str,
    route: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Make one request with the demo key; `body` is octets, or anything JSON can hold."""
    payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"Authorization": f"Bearer {daemon.key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", daemon.wiring["http_port"], timeout=10)
    try:
        connection.request(method, route, payload, {**usual, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.msg, json.loads(answer.read() or b"{}"))
    finally:
        connection.close()


def post(daemon: DaemonProcess, to: str, text: str = "hi", **more: str) -> str:
    """Send a message that is accepted; give its id."""
    answer = ask(daemon, "POST", "/v1/messages", {"to": to, "text": text, **more})
    assert answer.status == 202, answer
    name: str = answer.body["id"]
    return name


def view(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    """Look at a message."""
    return ask(daemon, "GET", f"/v1/messages/{name}").body


def final(daemon: DaemonProcess, name: str, within_s: float = 20.0) -> dict[str, Any]:
    """Wait until a message is final; give it."""

    def look() -> dict[str, Any] | None:
        found = view(daemon, name)
        return found if found.get("state") in FINAL else None

    return wait_for(look, within_s)


def crowding() -> float:
    """How many processes want each core, 1 at least: a promised time is one of a free machine."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(look: Callable[[], T | None], within_s: float = 20.0) -> T:
    """Look until there is something; fails the test when the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        pause(0.02)
    pytest.fail(f"{getattr(look, '__name__', look)}: nothing within {within_s:g} s")
