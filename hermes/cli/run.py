"""`hermes run`: start everything, show each step, then one line; Ctrl-C stops in order."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from hermes import daemon
from hermes.cli.exit_code import CommandExit, leave
from hermes.cli.place import load_settings
from hermes.core.errors import ConfigError
from hermes.daemon import GaveUp, PortInUse
from hermes.embedded.errors import DataDirLocked, DataDirUnusable, DiskFull


def run(
    config: Annotated[Path | None, typer.Option(help="Folder with hermes.toml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Progress as JSON lines.")] = False,
) -> None:
    """Run the daemon in the foreground."""
    settings = load_settings(config)
    began = time.monotonic()

    def say(part: str, text: str) -> None:
        seconds = time.monotonic() - began
        if as_json:
            line = json.dumps({"after_s": round(seconds, 3), "part": part, "text": text})
        elif part == "ready":
            line = text
        else:
            line = f"  {seconds:6.2f} s  {part:<12} {text}"
        with contextlib.suppress(OSError):  # a terminal or a pipe that has gone
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    try:
        daemon.run(settings, say)
    except (DataDirUnusable, DiskFull) as error:
        leave(CommandExit.CANNOT_CREATE, str(error))
    except DataDirLocked as error:
        leave(CommandExit.LOCKED, str(error))
    except PortInUse as error:
        leave(CommandExit.PORT_IN_USE, str(error))
    except GaveUp as error:
        leave(CommandExit.GAVE_UP, str(error))
    except ConfigError as error:
        leave(CommandExit.BAD_CONFIG, str(error))
    except PermissionError as error:
        leave(CommandExit.NO_PERMISSION, f"{error.filename}: {error.strerror}")
    except OSError as error:
        leave(CommandExit.CANNOT_CREATE, f"{error.filename or 'the start'}: {error.strerror}")
