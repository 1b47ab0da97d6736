"""`hermes inbound`: the newest messages from handsets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.client import admin_do
from hermes.cli.place import find_wiring
from hermes.cli.status import AsJson, Config, console


def inbound(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what handsets sent, newest first; long messages are joined."""
    route = f"/v1/inbound?limit={limit}"
    answer = admin_do(Path(find_wiring(config).admin_socket), "GET", route)
    if as_json:
        typer.echo(json.dumps(answer))
        return
    screen = console()
    if not answer["inbound"]:
        screen.print("nothing came from a handset yet")
        return
    table = Table("received (UTC)", "carrier", "from", "to", "text", box=None)
    for mo in answer["inbound"]:
        text = mo["text"] if mo["text"] is not None else f"binary, {mo['octets']}"
        if mo["missing"]:
            text += f" [parts {', '.join(map(str, mo['missing']))} of {mo['total']} are missing]"
        when = str(mo["received_at"])[:19].replace("T", " ")
        cells = (mo["carrier"], mo["source"], mo["destination"], text)
        table.add_row(when, *(escape(cell) for cell in cells))
    screen.print(table)
