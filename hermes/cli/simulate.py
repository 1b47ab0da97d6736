"""`hermes simulate`: an SMSC of one's own, with every option of the simulator."""

from __future__ import annotations

import typer


def simulate(context: typer.Context) -> None:
    """Run a simulated carrier; `hermes simulate --help` lists its options."""
    # a whole server, which only this command needs
    from hermes.simulator.cli import main  # noqa: PLC0415

    raise typer.Exit(main(context.args))
