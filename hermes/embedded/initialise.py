"""Prepare what a service finds when it starts: NATS its configuration, PostgreSQL its cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hermes.embedded.endpoints import POSTGRES_DATABASE, POSTGRES_USER
from hermes.embedded.errors import InitialiseFailed
from hermes.embedded.postgres_install import enterable_bin_dir, hand_over, postgres_user
from hermes.embedded.private_file import kept_secret, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hermes.embedded.data_dir import DataDir
    from hermes.embedded.locate import Located

_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_TIMEOUT_S = 120.0
_MAX_LOG_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class NatsLimits:
    """JetStream's limits in NATS notation; sync_interval is a duration or `always`."""

    max_file_store: str = "10GB"
    max_memory_store: str = "256MB"
    sync_interval: str = "100ms"
    max_payload: str = "1MB"


def write_nats_config(
    data: DataDir, ports: Mapping[str, int], token: str, limits: NatsLimits
) -> Path:
    """Write NATS's configuration file (0600: it holds the token) and return its path."""
    path = data.run / "nats.conf"
    # sync_interval is quoted: 2m unquoted is read as the number 2,000,000
    write_private(
        path,
        f"""\
host: 127.0.0.1
port: {ports["nats"]}
http: "127.0.0.1:{ports["nats_monitor"]}"
server_name: hermes-embedded
authorization {{ token: "{token}" }}
max_payload: {limits.max_payload}
jetstream {{
  store_dir: "{data.nats}"
  max_file_store: {limits.max_file_store}
  max_memory_store: {limits.max_memory_store}
  sync_interval: "{limits.sync_interval}"
}}
""",
    )
    return path


@dataclass(frozen=True, slots=True)
class PostgresReady:
    """A cluster that can be started: the `postgres` program to use and (uid, gid) to run it as."""

    binary: Path
    run_as: tuple[int, int] | None


def initialise_postgres(
    data: DataDir,
    located: Located,
    progress: Callable[[str], None] = lambda _: None,
    *,
    sync: bool = True,
) -> PostgresReady:
    """Make the cluster and its database `hermes` unless they exist; safe to repeat.

    sync=False leaves flushing a new cluster to the kernel (tests). Raises InitialiseFailed, also
    if the cluster is of another major version than the program, and DataDirUnusable.
    """
    user = postgres_user()
    bin_dir = located.bin_dir
    if user is not None:
        hand_over(data, user)
        bin_dir = enterable_bin_dir(data, located, progress)
    ready = PostgresReady(bin_dir / "postgres", user)
    if not _is_empty(data.pg):
        _check_major_version(data.pg, located.version)
        _remove_foreign_pid_file(data.pg, progress)
        return ready
    progress("creating the PostgreSQL cluster")
    # made beside its place and moved there when complete: a start cut short is simply repeated
    fresh = data.root / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user is not None:
        os.chown(fresh, *user)
    _create_cluster(fresh, ready, data, sync=sync)
    if data.pg.exists():
        data.pg.rmdir()
    fresh.rename(data.pg)
    return ready


def _create_cluster(fresh: Path, ready: PostgresReady, data: DataDir, *, sync: bool) -> None:
    kept_secret(data.run / "postgres.password")  # asked for only if TCP is opened by hand
    # not /dev/stdin: the pipe is root's and cannot be opened by the user initdb runs as
    password_file = data.pg_sockets / "initdb.password"
    try:
        shutil.copyfile(data.run / "postgres.password", password_file)
        password_file.chmod(0o600)
        if ready.run_as is not None:
            os.chown(password_file, *ready.run_as)
        _run(
            [
                *(str(ready.binary.with_name("initdb")), "-D", str(fresh), "-U", POSTGRES_USER),
                *("-E", "UTF8", "--no-locale", "--auth-local=trust", "--data-checksums"),
                *("--auth-host=scram-sha-256", f"--pwfile={password_file}", "--no-sync"),
            ],
            ready.run_as,
        )
    finally:
        password_file.unlink(missing_ok=True)
    _run(
        [str(ready.binary), "--single", "-D", str(fresh), "postgres"],
        ready.run_as,
        f"CREATE DATABASE {POSTGRES_DATABASE}\n",
    )
    if sync:
        initdb = str(ready.binary.with_name("initdb"))
        _run([initdb, "--sync-only", "-D", str(fresh)], ready.run_as)


def _run(argv: list[str], run_as: tuple[int, int] | None, stdin: str = "") -> None:
    uid, gid = run_as if run_as is not None else (None, None)
    program = Path(argv[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - programs we located
            argv,
            check=False,
            cwd="/",
            env=_ENV,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InitialiseFailed("PostgreSQL", f"{program}: {error}") from error
    # single-user mode ends with 0 after a failed statement
    if done.returncode != 0 or "ERROR:" in done.stderr:
        said = " ".join((done.stderr or done.stdout).split())
        raise InitialiseFailed("PostgreSQL", f"{program} ended with {done.returncode}: {said}")


def _is_empty(pg: Path) -> bool:
    with suppress(FileNotFoundError):
        return not any(pg.iterdir())
    return True


def _check_major_version(pg: Path, version: str) -> None:
    try:
        cluster = (pg / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError as error:
        raise InitialiseFailed(
            "PostgreSQL", f"{pg} is not empty and holds no cluster ({error.strerror}): move it away"
        ) from error
    program = version.split(".", maxsplit=1)[0]
    if cluster != program:
        raise InitialiseFailed(
            "PostgreSQL",
            f"{pg} was made by version {cluster} and the program is version {version}: nothing is "
            f"upgraded silently; point postgres.bin_dir at version {cluster}, or dump and restore",
        )


def _remove_foreign_pid_file(pg: Path, progress: Callable[[str], None]) -> None:
    """Remove postmaster.pid if its pid now belongs to another program.

    After a crash of the machine, or in a new container, pids start anew: PostgreSQL would see a
    live process under its old pid and refuse to start for ever.
    """
    path = pg / "postmaster.pid"
    try:
        pid = int(path.read_text(encoding="utf-8").partition("\n")[0])
        command = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return
    if command != "postgres":
        progress(f"removing a stale postmaster.pid: pid {pid} is {command}")
        path.unlink(missing_ok=True)


def rotate_logs(data: DataDir, max_bytes: int = _MAX_LOG_BYTES) -> None:
    """Move log files above max_bytes to `<name>.1`; call it before the services start."""
    for path in data.log.glob("*.log"):
        if path.stat().st_size > max_bytes:
            path.replace(path.with_name(f"{path.name}.1"))
