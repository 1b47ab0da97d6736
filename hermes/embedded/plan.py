"""All that comes before the services start: binaries, lock, orphans, endpoints, data."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hermes.embedded.data_dir import (
    MIN_FREE_BYTES,
    DataDir,
    DataDirLock,
    check_free_space,
    create_data_dir,
    default_data_dir,
)
from hermes.embedded.endpoints import (
    NATS_PORTS,
    RESTATE_PORTS,
    Endpoints,
    ExternalUrls,
    choose_ports,
    decide_endpoints,
)
from hermes.embedded.initialise import (
    NatsLimits,
    initialise_postgres,
    rotate_logs,
    write_nats_config,
)
from hermes.embedded.locate import (
    Located,
    locate_nats,
    locate_postgres,
    locate_restate,
    locate_valkey,
)
from hermes.embedded.orphan import StoppedOrphan, end_leftovers, stop_orphans
from hermes.embedded.private_file import kept_secret
from hermes.embedded.restate_identity import ensure_identity
from hermes.embedded.spec import (
    RestateSizing,
    ServiceSpec,
    nats_spec,
    postgres_spec,
    postgres_title,
    restate_spec,
    valkey_spec,
)
from hermes.embedded.state_file import StateFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVICES = frozenset({"nats", "valkey", "postgres", "restate"})


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the operator chose. None means: the default, or look for it.

    names are the services wanted at all; extra_ports are further loopback ports to keep, by name
    (a cascade endpoint's, whose URI Restate remembers).
    """

    data_dir: Path | None = None
    external: ExternalUrls = field(default_factory=ExternalUrls)
    names: frozenset[str] = SERVICES
    nats_bin: str | None = None
    redis_bin: str | None = None
    postgres_bin_dir: str | None = None
    restate_bin: str | None = None
    restate_dir: Path | None = None
    nats: NatsLimits = field(default_factory=NatsLimits)
    redis_max_memory: str = "512mb"
    postgres_options: tuple[tuple[str, str], ...] = ()
    restate: RestateSizing = field(default_factory=RestateSizing)
    extra_ports: tuple[str, ...] = ()
    min_free_bytes: int = MIN_FREE_BYTES
    sync_new_cluster: bool = True


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Ready to be started: every spec's data is prepared. Keep `lock` as long as the daemon lives.

    The lock stays in the process that made the plan; specs and endpoints travel to others.
    restate_identity is the public key (`publickeyv1_...`) that calls of an embedded Restate are
    signed with, None if Restate is external or absent.
    """

    data: DataDir
    lock: DataDirLock
    state: StateFile
    endpoints: Endpoints
    ports: Mapping[str, int]
    specs: tuple[ServiceSpec, ...]
    located: tuple[Located, ...]
    orphans: tuple[StoppedOrphan, ...]
    restate_identity: str | None


def plan_services(
    options: ServiceOptions, progress: Callable[[str], None] = lambda _: None
) -> ServicePlan:
    """Prepare the services; safe to repeat after the plan's lock is released.

    Raises ServiceMissing, DataDirLocked, DataDirUnusable, DiskFull, InitialiseFailed.
    """
    located = locate_services(options, progress)
    root = options.data_dir or default_data_dir(os.environ, os.geteuid())
    data = create_data_dir(root)
    lock = DataDirLock(data)
    try:
        check_free_space(data, options.min_free_bytes)
        state = StateFile(data.state_file)
        orphans = stop_orphans(state, progress)
        end_leftovers(postgres_title(data))
        rotate_logs(data)
        kept = state.read(progress).ports
        names = [*options.extra_ports]
        names += NATS_PORTS if "nats" in located else ()
        names += RESTATE_PORTS if "restate" in located else ()
        ports = choose_ports(names, kept)
        state.keep_ports(ports)
        token = kept_secret(data.run / "nats.token")
        endpoints = decide_endpoints(data, options.external, ports, token)
        identity: str | None = None
        if "restate" in located:
            identity = ensure_identity(_identity_file(data))
        specs = tuple(
            _prepared(name, found, data, ports, options, progress)
            for name, found in located.items()
        )
    except BaseException:
        lock.release()
        raise
    return ServicePlan(
        data, lock, state, endpoints, ports, specs, tuple(located.values()), orphans, identity
    )


def locate_services(
    options: ServiceOptions, notice: Callable[[str], None] = lambda _: None
) -> dict[str, Located]:
    """Find the binary of each service that is wanted and not external. Raises ServiceMissing."""
    external = options.external
    located: dict[str, Located] = {}
    if "nats" in options.names and external.nats_url is None:
        located["nats"] = locate_nats(options.nats_bin)
    if "valkey" in options.names and external.redis_url is None:
        located["valkey"] = locate_valkey(options.redis_bin)
    if "postgres" in options.names and external.postgres_dsn is None:
        located["postgres"] = locate_postgres(options.postgres_bin_dir)
    if "restate" in options.names and external.restate_ingress_url is None:
        restate = locate_restate(options.restate_bin, options.restate_dir, notice)
        if restate is not None:
            located["restate"] = restate
    return located


def _identity_file(data: DataDir) -> Path:
    return data.run / "restate-identity.pem"


def _prepared(
    name: str,
    found: Located,
    data: DataDir,
    ports: Mapping[str, int],
    options: ServiceOptions,
    progress: Callable[[str], None],
) -> ServiceSpec:
    match name:
        case "nats":
            token = kept_secret(data.run / "nats.token")
            config = write_nats_config(data, ports, token, options.nats)
            return nats_spec(data, found, config, ports)
        case "valkey":
            return valkey_spec(data, found, options.redis_max_memory)
        case "postgres":
            ready = initialise_postgres(data, found, progress, sync=options.sync_new_cluster)
            return postgres_spec(data, ready, found.version, dict(options.postgres_options))
        case "restate":
            return restate_spec(data, found, ports, options.restate, _identity_file(data))
        case _:
            raise ValueError(f"no service {name}")
