"""`hermes cascade`: the engine behind plans of several steps, its versions, what is parked."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.client import admin_do
from hermes.cli.exit_code import CommandExit
from hermes.cli.place import find_wiring
from hermes.cli.status import AsJson, Config, console

Id = Annotated[str, typer.Argument(help="The message, as msg_ and 26 letters.")]


def status(config: Config = None, as_json: AsJson = False) -> None:
    """Say whether the cascade engine takes work (exit 1 if not)."""
    answer = ask("GET", "", config)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        detail = answer.get("detail") or ""
        console().print("the engine is up" if answer["is_up"] else f"the engine is down: {detail}")
    raise typer.Exit(CommandExit.OK if answer["is_up"] else CommandExit.FAILED)


def versions(config: Config = None, as_json: AsJson = False) -> None:
    """Show the registered versions of the workflow; an older one stays until it is drained."""
    found = ask("GET", "/versions", config)["versions"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("deployment", "served at", "since (UTC)", "cascades waiting", "", box=None)
    for version in found:
        note = "new cascades start here" if version["is_newest"] else "until drained"
        since = str(version["created_at"])[:19].replace("T", " ")
        table.add_row(version["id"], version["uri"], since, str(version["waiting"]), note)
    console().print(table if found else "the engine does not know the endpoint yet")


def parked(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List cascades whose handler kept failing; nobody tries them any more."""
    found = ask("GET", f"/parked?limit={limit}", config)["parked"]
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("message", "since (UTC)", "why", "", box=None)
    for one in found:
        note = "an outage: resumed by itself" if one.get("is_outage") else ""
        since = str(one["since"])[:19].replace("T", " ")
        table.add_row(one["mid"], since, escape(one["failure"]), note)
    console().print(table if found else "no cascade is parked")


def resume(name: Id, config: Config = None, as_json: AsJson = False) -> None:
    """Try a parked cascade again, from where it stood."""
    say(ask("POST", f"/{name}/resume", config), as_json=as_json)


def fail(
    name: Id,
    reason: Annotated[str, typer.Option(help="Why; the message shows it.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """End a parked cascade: the message becomes failed."""
    say(ask("POST", f"/{name}/fail", config, reason=reason), as_json=as_json)


def ask(method: str, route: str, config: Path | None, **query: str) -> dict[str, Any]:
    """Ask the admin API of this host's daemon."""
    socket = Path(find_wiring(config).admin_socket)
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    return admin_do(socket, method, f"/v1/cascades{route}{words}")


def say(answer: dict[str, Any], *, as_json: bool) -> None:
    """Say what was done."""
    typer.echo(json.dumps(answer) if as_json else f"{answer['id']} {answer['done']}")


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "status": status,
    "versions": versions,
    "parked": parked,
    "resume": resume,
    "fail": fail,
}
