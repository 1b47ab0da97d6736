"""Whom PostgreSQL runs as, and programs that this user can enter: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hermes.embedded.errors import DataDirUnusable, InitialiseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hermes.embedded.data_dir import DataDir
    from hermes.embedded.locate import Located

UNPRIVILEGED_USER = "nobody"


def postgres_user() -> tuple[int, int] | None:
    """Return (uid, gid) PostgreSQL runs as, None for the daemon's own.

    Raises InitialiseFailed where PostgreSQL could not find its user's name.
    """
    if os.geteuid() == 0:
        try:
            nobody = pwd.getpwnam(UNPRIVILEGED_USER)
        except KeyError as error:
            raise InitialiseFailed(
                "PostgreSQL",
                f"as root it runs as user {UNPRIVILEGED_USER}, which does not exist: "
                "create it, run the daemon as an ordinary user, or set postgres.url",
            ) from error
        return nobody.pw_uid, nobody.pw_gid
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise InitialiseFailed(
            "PostgreSQL",
            f"uid {os.geteuid()} has no passwd entry, without which initdb refuses to run: "
            "add one, or set postgres.url",
        ) from error
    return None


def enterable_by_others(path: Path) -> Path | None:
    """Return the first directory above path that others cannot pass, None if they reach it."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def hand_over(data: DataDir, user: tuple[int, int]) -> None:
    """Give PostgreSQL's socket directory to its user.

    Raises DataDirUnusable if a directory above keeps that user out.
    """
    if closed := enterable_by_others(data.pg) or enterable_by_others(data.pg_sockets):
        raise DataDirUnusable(
            data.root,
            f"PostgreSQL runs as {UNPRIVILEGED_USER}, who cannot pass {closed} "
            f"(mode {closed.stat().st_mode & 0o7777:04o}): chmod o+x it, or set another "
            "host.data_dir",
        )
    os.chown(data.pg_sockets, *user)


def enterable_bin_dir(
    data: DataDir, located: Located, progress: Callable[[str], None] = lambda _: None
) -> Path:
    """Return a directory of PostgreSQL's programs that its unprivileged user can enter.

    That is the located one, or a copy in the data directory if the located one lies below a
    closed directory (a virtual environment in root's home). Raises InitialiseFailed.
    """
    bin_dir = located.bin_dir.resolve()
    if enterable_by_others(bin_dir / "postgres") is None:
        return bin_dir
    try:
        return copy_install(bin_dir, data.pg_bin, located.version, progress)
    except OSError as error:
        raise InitialiseFailed("PostgreSQL", f"copying {bin_dir}: {error}") from error


def copy_install(
    bin_dir: Path, target: Path, version: str, progress: Callable[[str], None] = lambda _: None
) -> Path:
    """Copy the installation around bin_dir below target and return the copy's bin directory.

    Keeps the relative layout of a wheel: the programs look for their libraries in
    $ORIGIN/../../../<package>.libs. Does nothing if target holds this version of this source.
    """
    install = bin_dir.parent
    package = install.parent
    copied = target / package.name / install.name / bin_dir.name
    marker, mark = target / "SOURCE", f"{version} {bin_dir}\n"
    with suppress(FileNotFoundError):
        if marker.read_text(encoding="utf-8") == mark and (copied / "postgres").is_file():
            return copied
    progress("copying PostgreSQL's programs to where their user can enter")
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(
        install,
        target / package.name / install.name,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "pgxs", "*.a"),
    )
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    _open_to_others(target)  # the original may have been installed with umask 077
    marker.write_text(mark, encoding="utf-8")  # last: a copy without it is made again
    return copied


def _open_to_others(tree: Path) -> None:
    for directory, _, files in os.walk(tree):
        Path(directory).chmod(0o755)
        for path in (Path(directory, name) for name in files):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                path.chmod(0o755 if mode & 0o100 else 0o644)
