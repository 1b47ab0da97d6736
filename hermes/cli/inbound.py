"""`hermes inbound` and `hermes orphans`: what came from handsets, and receipts of nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.client import admin_do
from hermes.cli.place import find_wiring
from hermes.cli.status import AsJson, Config, console

Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]


def inbound(limit: Limit = 50, config: Config = None, as_json: AsJson = False) -> None:
    """Show what handsets sent, newest first; long messages are joined."""
    answer = ask("inbound", limit, config)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    table = Table("received (UTC)", "carrier", "from", "to", "text", box=None)
    for mo in answer["inbound"]:
        text = mo["text"] if mo["text"] is not None else f"binary, {mo['octets']}"
        if mo["missing"]:
            text += f" [parts {', '.join(map(str, mo['missing']))} of {mo['total']} are missing]"
        add_row(table, mo["received_at"], mo["carrier"], mo["source"], mo["destination"], text)
    show(table, "nothing came from a handset yet")


def orphans(limit: Limit = 50, config: Config = None, as_json: AsJson = False) -> None:
    """Show receipts whose message is not known, newest first; they are kept and never dropped."""
    answer = ask("orphans", limit, config)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    table = Table(
        "received (UTC)", "carrier", "bind", "message id", "from", "stat", "err", box=None
    )
    for row in answer["orphans"]:
        cells = (row[key] for key in ("carrier", "bind", "id", "source", "stat", "err"))
        add_row(table, row["received_at"], *cells)
    show(table, "every receipt has found its message")


def ask(what: str, limit: int, config: Path | None) -> dict[str, Any]:
    """Ask the admin API of this host's daemon."""
    socket = Path(find_wiring(config).admin_socket)
    return admin_do(socket, "GET", f"/v1/{what}?limit={limit}")


def add_row(table: Table, when: str, *cells: str) -> None:
    """Add a row with its time to the second."""
    table.add_row(str(when)[:19].replace("T", " "), *(escape(str(cell)) for cell in cells))


def show(table: Table, empty: str) -> None:
    """Print a table, or that there is nothing in it."""
    console().print(table if table.row_count else empty)
