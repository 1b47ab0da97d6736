"""What it takes to run each service as one OS process: command line, signals, readiness."""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hermes.embedded.endpoints import POSTGRES_DATABASE, POSTGRES_USER
from hermes.embedded.probe import HttpProbe, PostgresSelect, Probe, RedisPing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hermes.embedded.data_dir import DataDir
    from hermes.embedded.initialise import PostgresReady
    from hermes.embedded.locate import Located

_PATH = "/usr/local/bin:/usr/bin:/bin"
_BASE_ENV = (("PATH", _PATH), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"))


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service process, complete: the environment is this one alone, nothing is inherited.

    run_as is (uid, gid) or None for the daemon's own; stop_signal asks for an orderly end,
    death_signal is what the process gets when its parent dies (PR_SET_PDEATHSIG); after
    stop_timeout_s comes SIGKILL. where is what clients connect to, for people to read. If
    leftover_title is set, `end_leftovers` of it comes before every start. One that was ready and
    is not for replace_after_s seconds is started again; None: never.
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    run_as: tuple[int, int] | None
    stop_signal: int
    death_signal: int
    stop_timeout_s: float
    ready: Probe
    log_path: str
    binary: str
    version: str
    where: str
    leftover_title: str | None = None
    replace_after_s: float | None = None


def nats_spec(
    data: DataDir, located: Located, config: Path, ports: Mapping[str, int]
) -> ServiceSpec:
    """Return how to run NATS with the configuration file given.

    Its health tells of streams that take no message any more: after a write that failed, as on a
    full disk, none does until the server starts again, however much room there is by then.
    """
    monitor = f"http://127.0.0.1:{ports['nats_monitor']}"
    return ServiceSpec(
        name="nats",
        argv=(str(located.binary), "-c", str(config)),
        env=_BASE_ENV,
        cwd="/",
        run_as=None,
        stop_signal=int(signal.SIGTERM),
        death_signal=int(signal.SIGTERM),
        stop_timeout_s=10.0,
        ready=HttpProbe((f"{monitor}/healthz",)),
        log_path=str(data.log / "nats.log"),
        binary=str(located.binary),
        version=located.version,
        where=f"127.0.0.1:{ports['nats']}",
        replace_after_s=5.0,
    )


def valkey_spec(data: DataDir, located: Located, max_memory: str = "512mb") -> ServiceSpec:
    """Return how to run Valkey; max_memory in its own notation."""
    return ServiceSpec(
        name="valkey",
        argv=(
            str(located.binary),
            *("--port", "0"),
            *("--unixsocket", str(data.valkey_socket), "--unixsocketperm", "700"),
            *("--dir", str(data.redis), "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--save", "", "--daemonize", "no", "--logfile", ""),
            *("--maxmemory", max_memory, "--maxmemory-policy", "noeviction"),
        ),
        env=_BASE_ENV,
        cwd="/",
        run_as=None,
        stop_signal=int(signal.SIGTERM),
        death_signal=int(signal.SIGTERM),
        stop_timeout_s=15.0,
        ready=RedisPing(str(data.valkey_socket)),
        log_path=str(data.log / "valkey.log"),
        binary=str(located.binary),
        version=located.version,
        where=str(data.valkey_socket),
    )


def postgres_spec(
    data: DataDir,
    ready: PostgresReady,
    version: str,
    options: Mapping[str, str],
) -> ServiceSpec:
    """Return how to run PostgreSQL; options are its run-time parameters by name."""
    settings = {
        "unix_socket_permissions": "0700",
        "cluster_name": _cluster_name(data),
        **options,
    }
    return ServiceSpec(
        name="postgres",
        argv=(
            str(ready.binary),
            *("-D", str(data.pg), "-h", "", "-k", str(data.pg_sockets)),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ),
        env=_BASE_ENV,
        cwd="/",
        run_as=ready.run_as,
        stop_signal=int(signal.SIGINT),  # fast shutdown: SIGTERM waits for every client to leave
        death_signal=int(signal.SIGINT),
        stop_timeout_s=30.0,
        ready=PostgresSelect(str(data.postgres_socket), POSTGRES_USER, POSTGRES_DATABASE),
        log_path=str(data.log / "postgres.log"),
        binary=str(ready.binary),
        version=version,
        where=str(data.postgres_socket),
        leftover_title=postgres_title(data),
    )


def _cluster_name(data: DataDir) -> str:
    return "hermes-" + hashlib.sha256(os.fsencode(data.pg)).hexdigest()[:12]


def postgres_title(data: DataDir) -> str:
    """Return how the command lines of this cluster's server processes begin."""
    return f"postgres: {_cluster_name(data)}: "


@dataclass(frozen=True, slots=True)
class RestateSizing:
    """Restate's size. partitions are fixed for ever by the first start; memory in its notation."""

    partitions: int = 4
    memory: str = "512MB"
    concurrent_invocations: int = 2_000


def restate_spec(
    data: DataDir,
    located: Located,
    ports: Mapping[str, int],
    sizing: RestateSizing,
    identity_key: Path | None,
) -> ServiceSpec:
    """Return how to run Restate; identity_key is the PEM file it signs its requests with."""
    ingress = f"http://127.0.0.1:{ports['restate_ingress']}"
    admin = f"http://127.0.0.1:{ports['restate_admin']}"
    env = {
        **dict(_BASE_ENV),
        "RESTATE_BASE_DIR": str(data.restate),
        "RESTATE_NODE_NAME": "hermes",
        "RESTATE_CLUSTER_NAME": "hermes-embedded",
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_PORT": str(ports["restate_node"]),
        "RESTATE_INGRESS__BIND_PORT": str(ports["restate_ingress"]),
        "RESTATE_ADMIN__BIND_PORT": str(ports["restate_admin"]),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "RESTATE_LOG_FILTER": "warn",
        "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
        "RESTATE_DEFAULT_NUM_PARTITIONS": str(sizing.partitions),
        "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": sizing.memory,
        # waiting invocations must not hold the invoker's slots: restatedev/restate#2761
        "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "0s",
        "RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT": str(sizing.concurrent_invocations),
    }
    if identity_key is not None:
        env["RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"] = str(identity_key)
    return ServiceSpec(
        name="restate",
        argv=(str(located.binary),),
        env=tuple(env.items()),
        cwd="/",
        run_as=None,
        stop_signal=int(signal.SIGTERM),
        death_signal=int(signal.SIGTERM),
        stop_timeout_s=15.0,
        ready=HttpProbe((f"{admin}/health", f"{ingress}/restate/health")),
        log_path=str(data.log / "restate.log"),
        binary=str(located.binary),
        version=located.version,
        where=ingress,
    )
