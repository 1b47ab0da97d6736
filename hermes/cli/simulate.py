"""`hermes simulate`: an SMSC of one's own, with every option of the simulator."""

from __future__ import annotations

import typer

from hermes.simulator.__main__ import main


def simulate(context: typer.Context) -> None:
    """Run a simulated carrier; `hermes simulate --help` lists its options."""
    raise typer.Exit(main(context.args))
