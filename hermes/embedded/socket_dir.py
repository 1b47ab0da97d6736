"""A private directory for unix sockets, short enough for their addresses."""

from __future__ import annotations

import hashlib
import os
import pwd
import tempfile
from contextlib import suppress
from pathlib import Path

from hermes.embedded.errors import DataDirUnusable

MAX_SOCKET_PATH_BYTES = 107  # sun_path is 108 with its final NUL (unix(7))


def socket_dir(wanted: Path, name: str) -> Path:
    """Return `wanted`, or a short 0700 directory if a socket `name` in it had too long a path.

    The short one is the same at every start. Raises DataDirUnusable if somebody else made it.
    """
    if _fits(wanted / name):
        return wanted
    euid = os.geteuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # PostgreSQL's user cannot enter root's runtime directory
    base = Path(runtime) if runtime and euid != 0 else Path(tempfile.gettempdir())
    tag = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    short = base / f"hermes-{euid}-{tag}"
    if not _fits(short / name):
        raise DataDirUnusable(
            wanted,
            f"a socket in {short} would exceed {MAX_SOCKET_PATH_BYTES} bytes: set a shorter TMPDIR",
        )
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if short.is_symlink() or found.st_mode & 0o077 or found.st_uid not in _owners(euid):
        raise DataDirUnusable(wanted, f"{short}, its socket directory, is not private: remove it")
    return short


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES


def _owners(euid: int) -> set[int]:
    owners = {euid}
    if euid == 0:  # PostgreSQL's user, from an earlier start
        with suppress(KeyError):
            owners.add(pwd.getpwnam("nobody").pw_uid)
    return owners
