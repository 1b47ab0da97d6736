"""`hermes carrier pause|resume`: stop pulling one carrier's belt, and go on; survives restarts."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from hermes.cli.client import admin_do
from hermes.cli.place import find_wiring
from hermes.cli.status import AsJson, Config

CarrierId = Annotated[str, typer.Argument(help="The carrier's id.")]


def pause(
    carrier: CarrierId,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads it later.")] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send nothing more to a carrier; its messages wait, its binds stay bound."""
    query = urllib.parse.urlencode({"reason": reason})
    decide(carrier, f"pause?{query}", config, as_json=as_json)


def resume(carrier: CarrierId, config: Config = None, as_json: AsJson = False) -> None:
    """Let a paused carrier go on."""
    decide(carrier, "resume", config, as_json=as_json)


def decide(carrier: str, what: str, config: Path | None, *, as_json: bool) -> None:
    """Ask the admin API and show what it said."""
    route = f"/v1/carriers/{urllib.parse.quote(carrier, safe='')}/{what}"
    answer = admin_do(Path(find_wiring(config).admin_socket), "POST", route)
    state = "paused" if answer["paused"] else "going on"
    typer.echo(json.dumps(answer) if as_json else f"carrier {answer['carrier']} is {state}")


COMMANDS: Final[dict[str, Callable[..., None]]] = {"pause": pause, "resume": resume}
