"""`hermes send`: one message through the front door, and with --wait its end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hermes.admin.address import url_of
from hermes.cli.client import call, exchange, said
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.place import find_wiring

FINAL = frozenset({"delivered", "undelivered", "failed", "expired", "cancelled", "unknown", "sent"})
POLL = 0.05


def send(  # noqa: PLR0913, PLR0917 - one parameter per option
    to: Annotated[str, typer.Option(help="Recipient in E.164, such as +4512345678.")],
    text: Annotated[str, typer.Option(help="The text.")],
    sender: Annotated[str | None, typer.Option("--from", help="Sender id.")] = None,
    traffic: Annotated[
        str, typer.Option("--class", help="otp, transactional or marketing.")
    ] = "transactional",
    wait: Annotated[bool, typer.Option(help="Wait for the final state and print it.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 60.0,
    key: Annotated[
        str | None, typer.Option(envvar="HERMES_KEY", help="API key; default: the demo key.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(envvar="HERMES_URL", help="Front door; default: this host's.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Folder with hermes.toml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send one SMS; --wait prints its final state (exit 0 only if delivered)."""
    if url is None or key is None:
        wiring = find_wiring(config)
        url = url or url_of(wiring.settings.http.host, wiring.http_port)
        key = key or read_demo_key(wiring.demo_key_file)
    body = {"to": to, "text": text, "class": traffic} | ({"from": sender} if sender else {})
    status, answer = call(url, "POST", "/v1/messages", key, body)
    if status != 202:
        refused(status, answer, as_json=as_json)
    if not wait:
        show(answer, f"{answer['id']} accepted", as_json=as_json)
        return
    answer = wait_final(url, key, answer["id"], timeout, as_json=as_json)
    show(answer, f"{answer['id']} {answer['state']}", as_json=as_json)
    raise typer.Exit(CommandExit.OK if answer["state"] == "delivered" else CommandExit.FAILED)


def wait_final(url: str, key: str, name: str, timeout: float, *, as_json: bool) -> dict[str, Any]:
    """Look until the message is final; exits 3 when it is not in time, 1 when it cannot be seen."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            status, answer = exchange(url, "GET", f"/v1/messages/{name}", key)
        except OSError as error:  # a front door that is being restarted answers again soon
            status, answer = 0, {"state": f"{url} does not answer: {said(error)}"}
        if status == 200 and answer["state"] in FINAL:
            return answer
        if 400 <= status < 500:
            refused(status, answer, as_json=as_json)
        if time.monotonic() > deadline:
            state = answer.get("state", f"no answer but {status}")
            show(answer, f"{name} {state} after {timeout:g} s", as_json=as_json)
            raise typer.Exit(CommandExit.TIMED_OUT)
        pause(POLL)


def refused(status: int, answer: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Say why the front door refused, on stderr or as its own JSON; exits 1."""
    if as_json:
        typer.echo(json.dumps(answer))
        raise typer.Exit(CommandExit.FAILED)
    leave(CommandExit.FAILED, str(answer.get("detail", f"the front door answered {status}")))


def read_demo_key(path: Path) -> str:
    """Read the key made at the first start; exits 1 when it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError as error:
        leave(CommandExit.FAILED, f"no --key was given, and {path}: {error.strerror}")


def pause(seconds: float) -> None:
    """Wait between two looks at the message."""
    time.sleep(seconds)  # noqa: TID251 - polling an HTTP API from a command line


def show(answer: dict[str, Any], line: str, *, as_json: bool) -> None:
    """Print the answer as JSON or as one line."""
    typer.echo(json.dumps(answer) if as_json else line)
