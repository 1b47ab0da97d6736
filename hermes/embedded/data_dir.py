"""The private data directory: place, sub-directories and modes, sockets, lock, free space."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hermes.embedded.errors import DataDirLocked, DataDirUnusable, DiskFull
from hermes.embedded.socket_dir import socket_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_FREE_BYTES = 512 * 2**20
VALKEY_SOCKET = "v.sock"
POSTGRES_SOCKET = ".s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class DataDir:
    """An existing data directory. `run_sockets` and `pg_sockets` hold the unix sockets.

    The two differ because as root `pg_sockets` belongs to the user PostgreSQL runs as.
    """

    root: Path
    run_sockets: Path
    pg_sockets: Path

    @property
    def nats(self) -> Path:
        """JetStream's store."""
        return self.root / "nats"

    @property
    def redis(self) -> Path:
        """Valkey's append-only files."""
        return self.root / "redis"

    @property
    def pg(self) -> Path:
        """PostgreSQL's cluster."""
        return self.root / "pg"

    @property
    def pg_bin(self) -> Path:
        """Copy of PostgreSQL's programs, where the original cannot be entered by their user."""
        return self.root / "pg-bin"

    @property
    def restate(self) -> Path:
        """Restate's base directory."""
        return self.root / "restate"

    @property
    def run(self) -> Path:
        """State file, secrets and generated configuration."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """One log file per process."""
        return self.root / "log"

    @property
    def state_file(self) -> Path:
        """What runs: see `state_file.py`."""
        return self.run / "state.json"

    @property
    def valkey_socket(self) -> Path:
        """Socket of Valkey."""
        return self.run_sockets / VALKEY_SOCKET

    @property
    def postgres_socket(self) -> Path:
        """Socket of PostgreSQL."""
        return self.pg_sockets / POSTGRES_SOCKET


def default_data_dir(environ: Mapping[str, str], euid: int) -> Path:
    """Return where data lives if `host.data_dir` is not set.

    Raises DataDirUnusable for an ordinary user without a home directory.
    """
    if euid == 0:
        return Path("/var/lib/hermes")
    if data_home := environ.get("XDG_DATA_HOME"):
        return Path(data_home) / "hermes"
    if home := environ.get("HOME"):
        return Path(home) / ".local/share/hermes"
    raise DataDirUnusable(
        Path("$XDG_DATA_HOME/hermes"),
        "neither XDG_DATA_HOME nor HOME is set: set host.data_dir",
    )


def create_data_dir(root: Path) -> DataDir:
    """Create what is missing of the data directory and return it; safe to repeat.

    The root is 0755 for root (PostgreSQL's user passes through it) and 0700 for others.
    Raises DataDirUnusable if it is another user's or cannot be written.
    """
    root = root.resolve()
    try:
        if not root.exists():
            root.mkdir(parents=True)
            root.chmod(0o755 if os.geteuid() == 0 else 0o700)
        owner = root.stat().st_uid
        if owner != os.geteuid():
            raise DataDirUnusable(
                root,
                f"it belongs to uid {owner} and this daemon runs as uid {os.geteuid()}: "
                "run as that user, or set another host.data_dir",
            )
        for name in ("nats", "redis", "restate", "run", "log"):
            _private(root / name)
        (root / "pg-run").mkdir(mode=0o700, exist_ok=True)  # PostgreSQL's user's later on
    except OSError as error:
        raise DataDirUnusable(root, str(error)) from error
    return DataDir(
        root=root,
        run_sockets=socket_dir(root / "run", VALKEY_SOCKET),
        pg_sockets=socket_dir(root / "pg-run", POSTGRES_SOCKET),
    )


def _private(path: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def check_free_space(data: DataDir, min_free_bytes: int = MIN_FREE_BYTES) -> int:
    """Return the free bytes below the data directory. Raises DiskFull if below the limit."""
    free = shutil.disk_usage(data.root).free
    if free < min_free_bytes:
        raise DiskFull(data.root, free, min_free_bytes)
    return free


_held: set[Path] = set()


class DataDirLock:
    """The lock of one daemon on its data directory; freed by `release` or the process's end.

    A POSIX record lock, not flock(2): forked children inherit the latter, so a child that
    outlives a killed daemon would keep its successor out.
    """

    def __init__(self, data: DataDir) -> None:
        """Take the lock. Raises DataDirLocked if another process, or this one, has it."""
        self._root = data.root
        path = data.root / "lock"
        if data.root in _held:  # record locks do not exclude their own process
            raise DataDirLocked(data.root, os.getpid())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise DataDirUnusable(data.root, f"{path} cannot be locked: {error}") from error
            raise DataDirLocked(data.root, holder) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor
        _held.add(data.root)

    def release(self) -> None:
        """Free the lock; safe to repeat."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
