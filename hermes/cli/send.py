"""`hermes send`: one message through the front door, and with --wait its end."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hermes.admin.address import url_of
from hermes.cli.client import call, exchange, said
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.place import find_wiring
from hermes.core.cascade_text import parse_cascade
from hermes.core.channel import CHANNELS

FINAL = frozenset({"delivered", "undelivered", "failed", "expired", "cancelled", "unknown", "sent"})
POLL = 0.05
COST = re.compile(r"([0-9.]+) ?([A-Za-z]{3})")


def send(  # noqa: PLR0913, PLR0917 - one parameter per option
    text: Annotated[str, typer.Option(help="The text.")],
    to: Annotated[
        str | None, typer.Option(help="Phone number in E.164, such as +4512345678.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Mail address, for the channel email.")] = None,
    push: Annotated[str | None, typer.Option(help="Token, for the channel push.")] = None,
    cascade: Annotated[
        str | None,
        typer.Option(help="Channels with their waits, in order: email:10s,sms:30s."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="One channel: sms, email or push.")] = None,
    subject: Annotated[str | None, typer.Option(help="Subject of a mail.")] = None,
    html: Annotated[Path | None, typer.Option(help="File with the HTML of a mail.")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="Sender id.")] = None,
    traffic: Annotated[
        str, typer.Option("--class", help="otp, transactional or marketing.")
    ] = "transactional",
    send_at: Annotated[str | None, typer.Option(help="When to send, in RFC 3339.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="When to give up, in RFC 3339.")] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="Most it may cost in all, such as 0.05EUR.")
    ] = None,
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
    """Send one message by SMS, another channel or a cascade.

    --wait prints its final state (exit 0 only if delivered).
    """
    addresses = {"e164": to, "email": email, "token": push}
    body = {"text": text, "class": traffic} | present(
        {
            "from": sender,
            "subject": subject,
            "html": read_file(html),
            "send_at": send_at,
            "expires_at": expires_at,
            "max_cost": cost_of(max_cost),
        }
    )
    body |= plan_of(cascade, channel, addresses)
    if url is None or key is None:
        wiring = find_wiring(config)
        url = url or url_of(wiring.settings.http.host, wiring.http_port)
        key = key or read_demo_key(wiring.demo_key_file)
    status, answer = call(url, "POST", "/v1/messages", key, body)
    if status != 202:
        refused(status, answer, as_json=as_json)
    if not wait:
        show(answer, f"{answer['id']} accepted", as_json=as_json)
        return
    answer = wait_final(url, key, answer["id"], timeout, as_json=as_json)
    show(answer, f"{answer['id']} {answer['state']}", as_json=as_json)
    raise typer.Exit(CommandExit.OK if answer["state"] == "delivered" else CommandExit.FAILED)


def plan_of(
    cascade: str | None, channel: str | None, addresses: dict[str, str | None]
) -> dict[str, Any]:
    """Give recipient and steps as the front door takes them; exits 2 for what cannot be.

    One address alone names its channel; a phone number leaves the plan to the front door.
    """
    if cascade is None:
        named = [kind for kind, address in addresses.items() if address is not None]
        if channel is None and len(named) == 1 and named != ["e164"]:
            channel = next(c.id for c in CHANNELS.values() if c.address == named[0])
        if channel is None and addresses["e164"] is None:
            leave(CommandExit.USAGE, "--to is missing, or --email ADDRESS alone, or --cascade")
        kind = CHANNELS[channel].address if channel in CHANNELS else "e164"
        return present({"channel": channel, "to": addresses[kind]})
    if channel is not None:
        leave(CommandExit.USAGE, "--channel and --cascade exclude each other")
    try:
        steps = parse_cascade(cascade)
    except ValueError as error:
        leave(CommandExit.USAGE, f"--cascade: {error}")
    return present({"to": addresses["e164"]}) | {
        "cascade": [
            {"channel": name} | present({"to": addresses[CHANNELS[name].address], "wait": wait})
            for name, wait in steps
        ]
    }


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Give the fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


def cost_of(text: str | None) -> dict[str, str] | None:
    """Read an amount and its currency, such as 0.05EUR; exits 2 for anything else."""
    if text is None:
        return None
    found = COST.fullmatch(text.strip())
    if found is None:
        leave(CommandExit.USAGE, f"--max-cost {text}: expected an amount and its currency: 0.05EUR")
    return {"amount": found[1], "currency": found[2].upper()}


def read_file(path: Path | None) -> str | None:
    """Read a file; exits 2 when it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        leave(CommandExit.USAGE, f"{path}: {getattr(error, 'strerror', None) or error}")


def wait_final(url: str, key: str, name: str, timeout: float, *, as_json: bool) -> dict[str, Any]:
    """Look until the message is final, saying what changes on stderr.

    Exits 3 when it is not in time, 1 when it cannot be seen.
    """
    deadline = time.monotonic() + timeout
    known = ""
    while True:
        try:
            status, answer = exchange(url, "GET", f"/v1/messages/{name}", key)
        except OSError as error:  # a front door that is being restarted answers again soon
            status, answer = 0, {"state": f"{url} does not answer: {said(error)}"}
        if status == 200 and (now := progress(answer)) != known:
            known = now
            typer.echo(now, err=True)
        if status == 200 and answer["state"] in FINAL:
            return answer
        if 400 <= status < 500:
            refused(status, answer, as_json=as_json)
        if time.monotonic() > deadline:
            state = answer.get("state", f"no answer but {status}")
            show(answer, f"{name} {state} after {timeout:g} s", as_json=as_json)
            raise typer.Exit(CommandExit.TIMED_OUT)
        pause(POLL)


def progress(view: dict[str, Any]) -> str:
    """Give how message and steps stand, in one line; nothing for a message without steps."""
    steps = ", ".join(f"{step['channel']} {step['state']}" for step in view.get("cascade", ()))
    return f"{view['state']}: {steps}" if steps else ""


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
