"""`hermes status` and `hermes tree`: what runs, for people and as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from hermes.cli.client import admin_get
from hermes.cli.place import find_wiring

Config = Annotated[Path | None, typer.Option(help="Folder with hermes.toml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COLOURS = {"up": "green", "down": "red", "restarting": "yellow", "starting": "yellow"}


def status(config: Config = None, as_json: AsJson = False) -> None:
    """Say how the daemon is: services, carriers, messages by state."""
    answer = admin_get(Path(find_wiring(config).admin_socket), "/v1/status")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    screen = console()
    screen.print(
        f"host [bold]{answer['host']}[/]  front door {answer['http_url']}  "
        f"{'all up' if answer['healthy'] else '[red]not all up[/], see `hermes tree`'}"
    )
    parts = (f"{s['name']} {shown(s['state'])}" for s in answer["services"])
    screen.print(f"services: {'  '.join(parts) or 'somebody else runs them'}")
    columns = ("carrier", "bind", "state", "in flight", "held", "asked", "rate/s", "reason")
    table = Table(*columns, box=None)
    for row in (*answer["binds"], *answer.get("relays", ())):
        table.add_row(
            row["carrier"],
            row.get("bind") or f"relay {row['relay']}",
            row["state"],
            *(str(row.get(key, "")) for key in ("in_flight", "held", "asked", "rate")),
            escape(str(row.get("reason", ""))),
        )
    screen.print(table)
    if answer.get("cascades"):
        screen.print(cascades_line(answer["cascades"]))
    counts = answer["messages"]
    if counts is None:
        screen.print("messages of the last hour: [red]the ledger does not answer[/]")
        return
    words = "  ".join(f"{state} {count}" for state, count in sorted(counts.items()))
    screen.print(f"messages of the last hour: {words or 'none'}")


def cascades_line(facts: dict[str, Any]) -> str:
    """Give how the engine behind cascades is, in one line."""
    engine = "up" if facts["registered"] and not facts["reason"] else "[red]away[/]"
    parked = f"[red]{facts['parked']} parked[/], see `hermes cascade parked`"
    reason = f" ({escape(facts['reason'])})" if facts["reason"] else ""
    return f"cascade engine: {engine}{reason}{'  ' + parked if facts['parked'] else ''}"


def tree(config: Config = None, as_json: AsJson = False) -> None:
    """Draw the supervision tree: state, restarts and reason, pid, memory, in flight, demand."""
    answer = admin_get(Path(find_wiring(config).admin_socket), "/v1/tree")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    drawing = Tree(label(answer))
    grow(drawing, answer["children"])
    console().print(drawing)


def grow(drawing: Tree, children: list[dict[str, Any]]) -> None:
    """Add the children of a node, and theirs."""
    for child in children:
        grow(drawing.add(label(child)), child.get("children", []))


def shown(state: str) -> str:
    """Colour a state."""
    return f"[{COLOURS.get(state, 'white')}]{state}[/]"


def label(node: dict[str, Any]) -> str:
    """Give the one line of a node."""
    words = [f"[bold]{node['id']}[/]", shown(node["state"])]
    if node.get("pid"):
        words.append(f"pid {node['pid']}")
    if node.get("memory_mb"):
        words.append(f"{node['memory_mb']:.1f} MB")
    if node.get("restarts"):
        reason = escape(str(node.get("last_reason") or "?"))
        words.append(f"[yellow]restarts {node['restarts']}[/] ({reason})")
    words += [
        f"{key.replace('_', ' ')} {escape(str(value))}"
        for key, value in node.get("facts", {}).items()
        if value is not None and value != ""
    ]
    return "  ".join(words)


def console() -> Console:
    """Give the terminal; into a pipe every node keeps to one line."""
    return Console() if sys.stdout.isatty() else Console(width=400)
