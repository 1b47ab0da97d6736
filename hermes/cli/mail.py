"""`hermes mail`: look at the mails the sink of this host took, which went nowhere."""

from __future__ import annotations

import json
import sys
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.control import answer_of, fetch, sink_url_of
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.status import AsJson, Config, console

SINK: Final = "mail sink"

Control = Annotated[
    str | None, typer.Option(help="URL of the control API; default: this host's daemon's.")
]
Number = Annotated[
    int, typer.Argument(min=1, metavar="N", help="`hermes mail list` shows the numbers.")
]


def list_mails(
    to: Annotated[str | None, typer.Option(help="Only mails to this address.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    control: Control = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the latest mails, the oldest first."""
    # the API counts its limit from the oldest, so the latest are cut out here
    query = urllib.parse.urlencode({"limit": 1000, **({} if to is None else {"to": to})})
    answer = ask(sink_url_of(control, config), "GET", f"/mails?{query}")
    mails = answer["mails"][-limit:]
    if as_json:
        typer.echo(json.dumps({**answer, "mails": mails}))
        return
    if not mails:
        typer.echo("no mail is kept")
        return
    table = Table("mail", "at", "to", "subject", "octets", "fate", box=None)
    for mail in mails:
        words = (mail["recipient"], mail["subject"])
        row = (str(mail["number"]), clock(mail["at"]), *map(escape, words))
        table.add_row(*row, str(mail["octets"]), mail["fate"])
    console().print(table)


def show(
    number: Number, control: Control = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Show one mail: its envelope, its headers and its text."""
    mail = ask(sink_url_of(control, config), "GET", f"/mails/{number}")
    if as_json:
        typer.echo(json.dumps(mail))
        return
    typer.echo(f"mail {mail['number']} at {clock(mail['at'])}, {mail['octets']} octets")
    typer.echo(f"envelope  <{mail['sender']}> to <{mail['recipient']}>")
    typer.echo(f"fate      {mail['fate']}\n")
    for name, value in mail["headers"].items():
        typer.echo(f"{name}: {value}")
    if mail["text"] is not None:
        typer.echo(f"\n{mail['text'].rstrip()}")
    if mail["html"] is not None:
        typer.echo(f"\n(and {len(mail['html'])} characters of HTML, see `hermes mail raw`)")


def raw(number: Number, control: Control = None, config: Config = None) -> None:
    """Give one mail octet by octet, as it came over the wire."""
    url, route = sink_url_of(control, config), f"/mails/{number}/raw"
    status, octets = fetch(url, "GET", route, who=SINK)
    if status != 200:
        refuse(answer_of(url, route, status, octets, who=SINK))
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


def behaviours(control: Control = None, config: Config = None, as_json: AsJson = False) -> None:
    """List what the sink does by the name before the @ of a recipient."""
    answer = ask(sink_url_of(control, config), "GET", "/behaviours")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    table = Table("name", "what becomes of a mail to it", box=None)
    for name, does in answer.items():
        table.add_row(f"[bold]{escape(name)}[/]", escape(does))
    screen = console()
    screen.print(table)
    screen.print("bounce+2.5@… sets the seconds; every other name is confirmed")


def forget(control: Control = None, config: Config = None, as_json: AsJson = False) -> None:
    """Drop all mails; their numbers go on."""
    answer = ask(sink_url_of(control, config), "DELETE", "/mails")
    words = f"nothing is kept; the next mail has number {answer['last'] + 1}"
    typer.echo(json.dumps(answer) if as_json else words)


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "list": list_mails,
    "show": show,
    "raw": raw,
    "behaviours": behaviours,
    "forget": forget,
}


def ask(url: str, method: str, route: str) -> dict[str, Any]:
    """Ask the sink; exits 1 with what it refuses, 69 when nobody answers, 2 for no URL."""
    status, octets = fetch(url, method, route, who=SINK)
    found = answer_of(url, route, status, octets, who=SINK)
    if status >= 400:
        refuse(found)
    return found


def refuse(found: dict[str, Any]) -> None:
    """Exit 1 with what the sink refused."""
    leave(CommandExit.FAILED, str(found.get("error")))


def clock(at: float) -> str:
    """Give the time of day in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
