"""`hermes sim`: watch a simulated carrier, change how it behaves, and have it misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from hermes.cli.control import ask, url_of
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.key_value import read_pairs, read_value, written
from hermes.cli.send import pause
from hermes.cli.status import AsJson, Config, console

LAST_LINES: Final = 50
MAX_LINES: Final = 10_000
LOOK_AGAIN_S: Final = 0.2
COMMON: Final = {"session": 0, "system_id": "", "seconds": 0, "count": 0}
"""What every fault takes, as it is when nothing is said."""

Control = Annotated[
    str | None, typer.Option(help="URL of the control API; default: this host's daemon's.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Values as in JSON; numbers also as 0x14."),
]
FaultName = Annotated[str, typer.Argument(metavar="NAME", help="`hermes sim faults` lists them.")]


def stats(control: Control = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show the sessions, the queues, the counts and which faults are on."""
    answer = ask(url_of(control, config), "GET", "/stats")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    screen = console()
    sessions = Table("session", "account", "bind", "peer", "submits", "in flight", box=None)
    for row in answer["sessions"]:
        flight = f"{row['in_flight']} (at most {row['max_in_flight']})"
        who = (str(row["session"]), row["system_id"], row["mode"] or "not yet", row["peer"])
        sessions.add_row(*map(escape, who), str(row["submits"]), flight)
    screen.print(sessions if answer["sessions"] else "nobody is connected")
    accounts = Table("account", "not final", "receipts waiting", "unanswered", box=None)
    for name, row in answer["accounts"].items():
        counts = (row["queued"], row["deliver_waiting"], row["deliver_unanswered"])
        accounts.add_row(escape(name), *map(str, counts))
    if answer["accounts"]:
        screen.print(accounts)
    screen.print(escape(counted(answer["counters"])))
    screen.print(escape(f"faults on: {', '.join(map(called, answer['faults'].items())) or 'none'}"))


def faults(control: Control = None, config: Config = None, as_json: AsJson = False) -> None:
    """List every fault with its parameters, and which are on."""
    answer = ask(url_of(control, config), "GET", "/faults")
    if as_json:
        typer.echo(json.dumps(answer))
        return
    table = Table("fault", "", "parameters", "what it does", box=None)
    for name, row in answer["table"].items():
        is_on = name in answer["on"]
        values = answer["on"][name] if is_on else row["parameters"]
        marks = (f"[bold]{name}[/]", "[yellow]on[/]" if is_on else "")
        table.add_row(*marks, escape(pairs_of(values)), escape(row["does"]))
    screen = console()
    screen.print(table)
    screen.print("every one takes session and system_id too; those that stay on seconds and count")


def fault(
    name: FaultName,
    pairs: Pairs = None,
    control: Control = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Do a fault, or switch it on in place of one of the same name."""
    url = url_of(control, config)
    parameters = table_row(url, name)["parameters"]
    answer = ask(url, "POST", f"/faults/{name}", read_pairs(pairs or [], parameters))
    hit = "1 session" if answer["sessions"] == 1 else f"{answer['sessions']} sessions"
    stays = f"is on, it hits {hit} now" if name in answer["on"] else f"hit {hit}"
    typer.echo(json.dumps(answer) if as_json else f"{name} {stays}")


def lift(
    name: FaultName, control: Control = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Switch a fault off."""
    url = url_of(control, config)
    table_row(url, name)
    answer = ask(url, "DELETE", f"/faults/{name}")
    words = f"{name} is off" if answer["was_on"] else f"{name} was not on"
    typer.echo(json.dumps(answer) if as_json else words)


def change(
    pairs: Pairs = None, control: Control = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Change settings, all or none; without any, show them."""
    url = url_of(control, config)
    present = ask(url, "GET", "/settings")
    changes = read_pairs(pairs or [], present)
    answer = ask(url, "PUT", "/settings", changes) if changes else present
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for name, value in answer.items():
        if name in (changes or answer):
            typer.echo(f"{name:<22} {written(value)}".rstrip())


def mo(  # noqa: PLR0913, PLR0917 - one parameter per option
    sender: Annotated[str, typer.Option("--from", help="The handset's number.")],
    to: Annotated[str, typer.Option(help="The number it writes to.")],
    text: Annotated[str | None, typer.Option(help="The text.")] = None,
    octets: Annotated[str | None, typer.Option("--hex", help="Or octets, sent as is.")] = None,
    account: Annotated[str, typer.Option(help="system_id, if several have bound.")] = "",
    data_coding: Annotated[str, typer.Option(help="Of --hex, such as 0x08.")] = "0",
    esm_class: Annotated[str, typer.Option(help="Of --hex, such as 0x40.")] = "0",
    concatenation: Annotated[str, typer.Option(help="udh8, udh16, sar or payload.")] = "udh8",
    control: Control = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send a message from a handset; it waits until its account is bound."""
    body = {
        "source": sender,
        "destination": to,
        "text": text,
        "hex": octets,
        "system_id": account,
        "data_coding": read_value(data_coding, 0),
        "esm_class": read_value(esm_class, 0),
        "concatenation": concatenation,
        "payload": concatenation == "payload",
    }
    answer = ask(url_of(control, config), "POST", "/mo", body)
    typer.echo(json.dumps(answer) if as_json else f"on its way: {', '.join(answer['message_ids'])}")


def log(
    since: Annotated[
        int | None, typer.Option(min=0, help="Lines after this one; default: the last 50.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes; Ctrl-C ends it.")] = False,
    control: Control = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened, line by line; --json gives the lines as the log file has them."""
    url = url_of(control, config)
    if since is None:
        since = max(0, ask(url, "GET", "/log?limit=0")["last"] - LAST_LINES)
    try:
        while True:
            answer = ask(url, "GET", f"/log?since={since}&limit={MAX_LINES}")
            for line in answer["lines"]:
                typer.echo(json.dumps(line) if as_json else line_words(line))
            since = answer["lines"][-1]["n"] if answer["lines"] else min(since, answer["last"])
            if since < answer["last"]:
                continue
            if not follow:
                return
            pause(LOOK_AGAIN_S)
    except KeyboardInterrupt:
        return


def reset(control: Control = None, config: Config = None, as_json: AsJson = False) -> None:
    """Back to the settings of the start: no faults, no messages, no counts; sessions stay."""
    answer = ask(url_of(control, config), "POST", "/reset")
    words = f"as at the start; the next message has number {answer['next_id']}"
    typer.echo(json.dumps(answer) if as_json else words)


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "stats": stats,
    "faults": faults,
    "fault": fault,
    "lift": lift,
    "set": change,
    "mo": mo,
    "log": log,
    "reset": reset,
}


def table_row(url: str, name: str) -> dict[str, Any]:
    """Give the row of a fault; exits 1 when there is none of that name."""
    table = ask(url, "GET", "/faults")["table"]
    if name not in table:
        leave(CommandExit.FAILED, f"there is no fault {name}; there are {', '.join(table)}")
    row: dict[str, Any] = table[name]
    return row


def counted(counters: dict[str, Any]) -> str:
    """Give the counts that are not 0."""
    words = [f"{name} {written(value)}" for name, value in counters.items() if value]
    return "  ".join(words) or "nothing happened yet"


def called(fault: tuple[str, dict[str, Any]]) -> str:
    """Give a fault that is on, with its parameters."""
    name, parameters = fault
    return f"{name} {pairs_of(parameters)}".rstrip()


def pairs_of(parameters: dict[str, Any]) -> str:
    """Give parameters as they are typed, without those that say nothing."""
    return " ".join(
        f"{key}={written(value)}"
        for key, value in parameters.items()
        if key not in COMMON or value != COMMON[key]
    )


def line_words(line: dict[str, Any]) -> str:
    """Give a line of the log for people."""
    at = datetime.fromtimestamp(line["at"], UTC)
    rest = {key: value for key, value in line.items() if key not in ("n", "event", "at")}
    words = "  ".join(f"{key}={written(value)}" for key, value in rest.items())
    return f"{line['n']:>6} {at:%H:%M:%S}.{at.microsecond // 1000:03d} {line['event']:<13} {words}"
