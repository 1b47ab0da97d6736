"""The `hermes` command and its subcommands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer

from hermes.cli import (
    carrier,
    cascade,
    dead,
    inbound,
    mail,
    place,
    run,
    send,
    sim,
    simulate,
    smpp,
    status,
)
from hermes.cli.exit_code import CommandExit, exit_codes

ALWAYS = (CommandExit.OK, CommandExit.USAGE)
ASKS = (
    *ALWAYS,
    CommandExit.FAILED,
    CommandExit.UNAVAILABLE,
    CommandExit.NO_PERMISSION,
    CommandExit.BAD_CONFIG,
)
RUNS = (
    *ALWAYS,
    CommandExit.GAVE_UP,
    CommandExit.CANNOT_CREATE,
    CommandExit.PORT_IN_USE,
    CommandExit.LOCKED,
    CommandExit.NO_PERMISSION,
    CommandExit.BAD_CONFIG,
)
CHECKS = exit_codes(*ALWAYS, CommandExit.BAD_CONFIG)

app = typer.Typer(
    help="Hermes, a carrier mesh daemon: durable messages into SMPP carriers.",
    epilog=exit_codes(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the configuration.", epilog=CHECKS, no_args_is_help=True)
app.add_typer(config_app, name="config")


def add_group(
    word: str,
    sentence: str,
    commands: Mapping[str, Callable[..., None]],
    codes: tuple[CommandExit, ...],
    *,
    epilog: bool = True,
) -> None:
    """Add commands under one word; `epilog` shows the exit codes on the page of the group too."""
    said = exit_codes(*codes)
    group = typer.Typer(help=sentence, epilog=said if epilog else None, no_args_is_help=True)
    app.add_typer(group, name=word)
    for name, command in commands.items():
        group.command(name, epilog=said)(command)


add_group(
    "carrier",
    "Pause a carrier, let it go on, or see whether it binds.",
    carrier.COMMANDS,
    ASKS,
    epilog=False,
)
add_group(
    "cascade",
    "Look at the engine behind plans of several steps, and at what it parked.",
    cascade.COMMANDS,
    ASKS,
)
add_group(
    "dead",
    "Look at what could not be understood, and bring it back or drop it.",
    dead.COMMANDS,
    ASKS,
)
add_group(
    "mail",
    "Look at the mails of a sink, which delivers to nobody.",
    mail.COMMANDS,
    ASKS,
)
add_group(
    "sim",
    "Watch a simulated carrier, change how it behaves, and have it misbehave.",
    sim.COMMANDS,
    ASKS,
)
add_group("smpp", "Explain PDUs and delivery receipts as Hermes reads them.", smpp.COMMANDS, ALWAYS)
app.command("run", epilog=exit_codes(*RUNS))(run.run)
app.command("send", epilog=exit_codes(*ASKS, CommandExit.TIMED_OUT))(send.send)
app.command("inbound", epilog=exit_codes(*ASKS))(inbound.inbound)
app.command("orphans", epilog=exit_codes(*ASKS))(inbound.orphans)
app.command("status", epilog=exit_codes(*ASKS))(status.status)
app.command("tree", epilog=exit_codes(*ASKS))(status.tree)
app.command(
    "simulate",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)(simulate.simulate)


@config_app.command("check", epilog=CHECKS)
def config_check(
    config: Annotated[Path | None, typer.Option(help="Folder with hermes.toml.")] = None,
) -> None:
    """Check the configuration and print all its faults at once, each with its key."""
    settings = place.load_settings(config)
    carriers = ", ".join(carrier.id for carrier in settings.carrier) or "the simulated one"
    typer.echo(f"the configuration is right: host {settings.host.id}, carriers: {carriers}")


@app.command("version", epilog=exit_codes(*ALWAYS))
def show_version() -> None:
    """Print the version."""
    typer.echo(package_version("hermes"))


def main() -> None:
    """Run the command line."""
    app()
