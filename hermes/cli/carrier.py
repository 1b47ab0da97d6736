"""`hermes carrier`: pause one, let it go on (both survive restarts), or see whether it binds."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from hermes.adapters.link_check import BindReport, check_bind
from hermes.cli.client import admin_do
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.place import find_wiring, load_settings
from hermes.cli.status import AsJson, Config
from hermes.core.carrier import Carrier
from hermes.settings.tree import Smpp

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


def check(carrier: CarrierId, config: Config = None, as_json: AsJson = False) -> None:
    """Bind to a carrier, send nothing, unbind, and show what the peer said.

    The daemon need not run. What the carrier delivers meanwhile is left with it.
    """
    settings = load_settings(config)
    found = next((one for one in settings.carrier if one.id == carrier), None)
    if found is None:
        known = ", ".join(one.id for one in settings.carrier) or "none"
        leave(CommandExit.FAILED, f"no carrier {carrier} is configured; configured: {known}")
    if found.kind != "smpp":
        leave(CommandExit.FAILED, f"carrier {carrier} is of kind {found.kind}, it has no bind")
    reports = asyncio.run(check_all(found, settings.smpp))
    if as_json:
        typer.echo(msgspec.json.encode({"carrier": carrier, "binds": reports}).decode())
    else:
        for report in reports:
            typer.echo(words_of(carrier, report))
    if not all(report.is_bound for report in reports):
        raise typer.Exit(CommandExit.FAILED)


async def check_all(carrier: Carrier, smpp: Smpp) -> list[BindReport]:
    """Try the binds of a carrier one after the other: many at once may be over its limit."""
    return [await check_bind(bind, smpp) for bind in carrier.bind]


def words_of(carrier: str, report: BindReport) -> str:
    """Give what a bind gave, for people."""
    way = "TLS" if report.tls else "in the clear"
    where = f"{report.address} as {report.system_id} ({report.mode}, {way}, {report.engine})"
    lines = [f"carrier {carrier}, bind {report.bind}: {where}"]
    if not report.is_bound:
        lines.append(f"  not bound: {report.reason}")
        lines += [f"  {report.hint}"] if report.hint else []
        return "\n".join(lines)
    lines.append(f"  bound in {report.bind_ms:g} ms, the peer calls itself {report.peer!r}")
    lines.append(f"  enquire_link answered in {report.rtt_ms:g} ms, unbound")
    if report.deliveries:
        lines.append(f"  {report.deliveries} deliveries were left with the carrier")
    return "\n".join(lines + [f"  problem: {problem}" for problem in report.problems])


def decide(carrier: str, what: str, config: Path | None, *, as_json: bool) -> None:
    """Ask the admin API and show what it said."""
    route = f"/v1/carriers/{urllib.parse.quote(carrier, safe='')}/{what}"
    answer = admin_do(Path(find_wiring(config).admin_socket), "POST", route)
    state = "paused" if answer["paused"] else "going on"
    typer.echo(json.dumps(answer) if as_json else f"carrier {answer['carrier']} is {state}")


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "check": check,
    "pause": pause,
    "resume": resume,
}
