"""`hermes dead`: what could not be understood: list it, show it, bring it back, drop it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.client import admin_do
from hermes.cli.place import find_wiring
from hermes.cli.status import AsJson, Config, console

Seq = Annotated[int, typer.Argument(min=1, help="The number the list gives.")]


def list_letters(
    after: Annotated[int, typer.Option(min=0, help="Only those behind this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what was set aside, oldest first: ids and reasons."""
    letters = ask("GET", f"?after={after}&limit={limit}", config)["letters"]
    if as_json:
        typer.echo(json.dumps(letters))
        return
    screen = console()
    if not letters:
        screen.print("no dead letters" if not after else f"no dead letters behind {after}")
        return
    table = Table("seq", "at", "stream", "its seq", "of", "reason", box=None)
    for filed in letters:
        letter = filed["letter"]
        about = letter.get("attempt") or letter.get("message") or letter.get("subject", "")
        cells = (letter["stream"], letter.get("seq", ""), about, letter["reason"])
        table.add_row(str(filed["seq"]), at_of(letter), *(escape(str(cell)) for cell in cells))
    screen.print(table)
    if len(letters) == limit:
        screen.print(f"there may be more: hermes dead list --after {letters[-1]['seq']}")


def show(seq: Seq, config: Config = None, as_json: AsJson = False) -> None:
    """Show one letter: all that is known of it."""
    filed = ask("GET", f"/{seq}", config)
    if as_json:
        typer.echo(json.dumps(filed))
        return
    screen = console()
    letter = {"at": at_of(filed["letter"])} | {
        key: value for key, value in filed["letter"].items() if key not in ("at", "envelope", "v")
    }
    screen.print(f"dead letter [bold]{filed['seq']}[/]")
    for key, value in letter.items():
        screen.print(f"  {key.replace('_', ' '):<14} {escape(str(value))}")
    if filed["letter"].get("envelope"):
        words = envelope_text(filed["letter"]["envelope"])
        screen.print(f"  {'envelope':<14} {escape(words)}", soft_wrap=True)


def retry(seq: Seq, config: Config = None, as_json: AsJson = False) -> None:
    """Bring back what a letter speaks of, then drop the letter; exit 1 if there is no way."""
    told(ask("POST", f"/{seq}/retry", config), as_json=as_json)


def drop(seq: Seq, config: Config = None, as_json: AsJson = False) -> None:
    """Drop a letter for good; what it speaks of stays as it is."""
    told(ask("DELETE", f"/{seq}", config), as_json=as_json)


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "list": list_letters,
    "show": show,
    "retry": retry,
    "drop": drop,
}


def ask(method: str, route: str, config: Path | None) -> dict[str, Any]:
    """Ask the admin API of this host's daemon; exits when it refuses or is not there."""
    return admin_do(Path(find_wiring(config).admin_socket), method, f"/v1/dead{route}")


def told(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done."""
    typer.echo(json.dumps(answer) if as_json else f"{answer['seq']}: {answer['detail']}")


def at_of(letter: dict[str, Any]) -> str:
    """Give the time of a letter, to the second."""
    return str(letter["at"])[:19].replace("T", " ")


def envelope_text(text: str) -> str:
    """Give kept events as they were, as far as that is text."""
    try:
        return base64.b64decode(text).decode(errors="replace")
    except binascii.Error:
        return text
