"""Where the daemon of this user lives: settings, data directory and wiring, for the CLI."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hermes.cli.exit_code import CommandExit, leave
from hermes.embedded.data_dir import default_data_dir
from hermes.embedded.errors import DataDirUnusable
from hermes.settings import Settings, load
from hermes.settings.load import BadSettings
from hermes.settings.wiring import Wiring, read


def find_config(folder: Path | None) -> Path | None:
    """Give the configuration folder: the option, HERMES_CONFIG, or /etc/hermes when it exists."""
    if folder is not None:
        return folder
    if "HERMES_CONFIG" in os.environ:
        return Path(os.environ["HERMES_CONFIG"])
    system = Path("/etc/hermes")
    return system if system.is_dir() else None


def load_settings(folder: Path | None) -> Settings:
    """Load the settings or exit 78 with every fault."""
    place = find_config(folder)
    try:
        if place is not None and not place.is_dir():
            leave(CommandExit.BAD_CONFIG, f"configuration folder {place} does not exist")
        return load(place)
    except BadSettings as error:
        faults = "\n".join(f"  {fault}" for fault in error.faults)
        count = "one fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
        leave(CommandExit.BAD_CONFIG, f"the configuration has {count}:\n{faults}")
    except OSError as error:
        leave(CommandExit.BAD_CONFIG, f"{error.filename} cannot be read: {error.strerror}")


def data_dir_of(settings: Settings) -> Path:
    """Give the data directory."""
    if settings.host.data_dir:
        return Path(settings.host.data_dir)
    return default_data_dir(os.environ, os.geteuid())


def find_wiring(folder: Path | None) -> Wiring:
    """Read the wiring of the daemon that runs, or ran last; exits 69 when there is none."""
    try:
        path = data_dir_of(load_settings(folder)) / "run" / "wiring.json"
        return read(path)
    except PermissionError as error:
        leave(CommandExit.NO_PERMISSION, f"{error.filename} belongs to another user")
    except FileNotFoundError as error:
        leave(
            CommandExit.UNAVAILABLE,
            f"no daemon has run here ({error.filename} is missing); start one with `hermes run`",
        )
    except (OSError, msgspec.MsgspecError, DataDirUnusable) as error:
        leave(CommandExit.UNAVAILABLE, f"no daemon can be found: {error}")
