"""Load settings: `hermes.toml`, then `carriers/*.toml`, then `HERMES_<SECTION>__<KEY>`."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hermes.core.errors import ConfigError
from hermes.settings.check import SECRETS, Fault, check
from hermes.settings.check_carriers import check_carriers
from hermes.settings.check_cascade import check_cascade
from hermes.settings.check_relay import check_domain, check_mail, check_sink
from hermes.settings.tree import Settings

PREFIX = "HERMES_"


class BadSettings(ConfigError):
    """The configuration is wrong; `faults` holds all that is, each with its key."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


def load(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Load the settings of this host. Raises BadSettings with every fault.

    `folder` holds `hermes.toml` and `carriers/`; both may be missing. No file at all is embedded
    mode with the simulated carrier.
    """
    faults: list[Fault] = []
    data = read_folder(folder, faults) if folder is not None else {}
    override(data, os.environ if environ is None else environ, faults)
    settings = check(Settings, data, "", faults)
    if settings is not None:
        check_carriers(settings.carrier, faults)
        check_cascade(settings, faults)
        check_mail(settings.mail, faults)
        check_sink(settings, faults)
        check_domain(settings, faults)
    if faults or settings is None:
        raise BadSettings(faults)
    if settings.host.id is None:
        host = msgspec.structs.replace(settings.host, id=host_name())
        settings = msgspec.structs.replace(settings, host=host)
    return settings


def read_folder(folder: Path, faults: list[Fault]) -> dict[str, Any]:
    """Read `hermes.toml` and every carrier file below `folder`."""
    data: dict[str, Any] = {}
    main = folder / "hermes.toml"
    if main.exists():
        data = read_toml(main, faults)
    carriers = data.get("carrier", [])
    for path in sorted((folder / "carriers").glob("*.toml")):
        carriers = [*carriers, *read_toml(path, faults).get("carrier", [])]
    if carriers:
        data["carrier"] = carriers
    return data


def read_toml(path: Path, faults: list[Fault]) -> dict[str, Any]:
    """Read one file; what is wrong with it becomes a fault."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(Fault(str(path), str(error).lower()))
        return {}


def override(data: dict[str, Any], environ: Mapping[str, str], faults: list[Fault]) -> None:
    """Put `HERMES_<SECTION>__<KEY>` over what the files say."""
    for variable, text in sorted(environ.items()):
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if not variable.startswith(PREFIX) or not key:
            continue
        table = data.setdefault(section, {})
        if not isinstance(table, dict):
            faults.append(Fault(variable, f"{section} cannot be set from the environment"))
            continue
        table[key] = {"env": variable} if key in SECRETS else plain(text)


def plain(text: str) -> object:
    """Read a value as TOML would (number, true, list), else as the text it is."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def host_name() -> str:
    """Give this machine's name as an id."""
    letters = [c if c.isalnum() and c.isascii() else "-" for c in socket.gethostname().lower()]
    return "".join(letters).strip("-")[:32] or "host"
