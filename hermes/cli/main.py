"""The `hermes` command and its subcommands."""

from __future__ import annotations

from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer

from hermes.cli import carrier, dead, inbound, place, run, send, sim, simulate, smpp, status
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
carrier_app = typer.Typer(
    help="Pause a carrier, let it go on, or see whether it binds.", no_args_is_help=True
)
app.add_typer(carrier_app, name="carrier")
for word, command in carrier.COMMANDS.items():
    carrier_app.command(word, epilog=exit_codes(*ASKS))(command)
dead_app = typer.Typer(
    help="Look at what could not be understood, and bring it back or drop it.",
    epilog=exit_codes(*ASKS),
    no_args_is_help=True,
)
app.add_typer(dead_app, name="dead")
for word, command in dead.COMMANDS.items():
    dead_app.command(word, epilog=exit_codes(*ASKS))(command)
sim_app = typer.Typer(
    help="Watch a simulated carrier, change how it behaves, and have it misbehave.",
    epilog=exit_codes(*ASKS),
    no_args_is_help=True,
)
app.add_typer(sim_app, name="sim")
for word, command in sim.COMMANDS.items():
    sim_app.command(word, epilog=exit_codes(*ASKS))(command)
smpp_app = typer.Typer(
    help="Explain PDUs and delivery receipts as Hermes reads them.",
    epilog=exit_codes(*ALWAYS),
    no_args_is_help=True,
)
app.add_typer(smpp_app, name="smpp")
for word, command in smpp.COMMANDS.items():
    smpp_app.command(word, epilog=exit_codes(*ALWAYS))(command)
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
