"""The CLI's way to the control APIs of a simulated carrier and of a mail sink."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from pathlib import Path
from typing import Any

from hermes.cli.client import said
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.place import find_wiring


def url_of(control: str | None, config: Path | None) -> str:
    """Give the control API: the option's, or the one of this host's simulated carrier."""
    if control is not None:
        return control
    wiring = find_wiring(config)
    if not wiring.settings.is_simulated:
        leave(
            CommandExit.UNAVAILABLE,
            "the daemon here has no simulated carrier, as real ones are configured; "
            "name a simulator with --control URL",
        )
    return f"http://127.0.0.1:{wiring.simulator_control_port}"


def sink_url_of(control: str | None, config: Path | None) -> str:
    """Give the control API: the option's, or the one of this host's mail sink."""
    if control is not None:
        return control
    wiring = find_wiring(config)
    if not wiring.settings.has_mail_sink:
        leave(
            CommandExit.UNAVAILABLE,
            "the daemon here has no mail sink, as real carriers are configured; mail.sink = true "
            "adds one, and --control URL names another",
        )
    return f"http://127.0.0.1:{wiring.mailsink_control_port}"


def ask(url: str, method: str, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask the control API; exits 1 with what it refuses, 69 when nobody answers, 2 for no URL."""
    status, octets = fetch(url, method, route, body, who="simulator")
    found = answer_of(url, route, status, octets, who="simulator")
    if status >= 400:
        refusal = found.get("error", {})
        leave(CommandExit.FAILED, f"{refusal.get('field')}: {refusal.get('rule')}")
    return found


def fetch(
    url: str, method: str, route: str, body: dict[str, Any] | None = None, *, who: str
) -> tuple[int, bytes]:
    """Give status and octets of an answer; exits 69 when nobody answers, 2 for no URL."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        leave(CommandExit.USAGE, f"--control {url}: {error}")
    if parts.scheme != "http" or host is None:
        leave(CommandExit.USAGE, f"--control {url}: expected http://host:port")
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request(method, route, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        leave(CommandExit.UNAVAILABLE, f"no {who} answers at {url} ({said(error)})")
    finally:
        connection.close()


def answer_of(url: str, route: str, status: int, octets: bytes, *, who: str) -> dict[str, Any]:
    """Read an answer; exits 1 for one that no such API gives."""
    try:
        found = json.loads(octets)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        leave(CommandExit.FAILED, f"{url} is no {who}: {route} answered {status}")
    return found
