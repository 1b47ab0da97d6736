"""Exit codes of the `hermes` command, each with its sentence; the README lists them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NoReturn

import typer


class CommandExit(IntEnum):
    """What a shell script may rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TIMED_OUT = 3
    UNAVAILABLE = 69
    GAVE_UP = 70
    CANNOT_CREATE = 73
    PORT_IN_USE = 74
    LOCKED = 75
    NO_PERMISSION = 77
    BAD_CONFIG = 78


SENTENCES: Final = {
    CommandExit.OK: "done",
    CommandExit.FAILED: "it was tried and failed; the message says why",
    CommandExit.USAGE: "the command line is wrong",
    CommandExit.TIMED_OUT: "no final state came within the time given",
    CommandExit.UNAVAILABLE: "no daemon answers",
    CommandExit.GAVE_UP: "the actor system failed five times in 300 seconds",
    CommandExit.CANNOT_CREATE: "the data directory cannot be written, or the disk is full",
    CommandExit.PORT_IN_USE: "a port is taken",
    CommandExit.LOCKED: "another daemon uses this data directory",
    CommandExit.NO_PERMISSION: "the operating system forbids it",
    CommandExit.BAD_CONFIG: "the configuration is wrong; every fault was printed",
}


def exit_codes(*codes: CommandExit) -> str:
    """Give the line at the end of a help page: these codes, or all, each with its sentence."""
    return "Exit codes: " + "; ".join(
        f"{code.value} {SENTENCES[code]}" for code in sorted(codes or SENTENCES)
    )


def leave(code: CommandExit, sentence: str) -> NoReturn:
    """Print one sentence on stderr and exit."""
    typer.echo(f"hermes: {sentence}", err=True)
    raise typer.Exit(code)
