"""`hermes status` and `hermes tree`: what runs, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
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
    console = Console()
    console.print(
        f"host [bold]{answer['host']}[/]  front door {answer['http_url']}  "
        f"{'all up' if answer['healthy'] else '[red]not all up[/]'}"
    )
    table = Table("carrier", "bind", "state", "in flight", "held", "asked", "rate/s", box=None)
    for row in answer["binds"]:
        table.add_row(
            row["carrier"],
            row["bind"],
            row["state"],
            *(str(row.get(key, "")) for key in ("in_flight", "held", "asked", "rate")),
        )
    console.print(table)
    counts = answer["messages"]
    words = "  ".join(f"{state} {count}" for state, count in sorted(counts.items()))
    console.print(f"messages of the last hour: {words or 'none'}")


def tree(config: Config = None, as_json: AsJson = False) -> None:
    """Draw the supervision tree: state, restarts and reason, pid, memory, in flight, demand."""
    answer = admin_get(Path(find_wiring(config).admin_socket), "/v1/tree")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    drawing = Tree(label(answer))
    grow(drawing, answer["children"])
    Console().print(drawing)


def grow(drawing: Tree, children: list[dict[str, Any]]) -> None:
    """Add the children of a node, and theirs."""
    for child in children:
        grow(drawing.add(label(child)), child.get("children", []))


def label(node: dict[str, Any]) -> str:
    """Give the one line of a node."""
    state = node["state"]
    words = [f"[bold]{node['id']}[/]", f"[{COLOURS.get(state, 'white')}]{state}[/]"]
    if node.get("pid"):
        words.append(f"pid {node['pid']}")
    if node.get("memory_mb"):
        words.append(f"{node['memory_mb']:.1f} MB")
    if node.get("restarts"):
        words.append(f"[yellow]restarts {node['restarts']}[/] ({node.get('last_reason') or '?'})")
    words += [f"{key} {value}" for key, value in node.get("facts", {}).items()]
    return "  ".join(words)
