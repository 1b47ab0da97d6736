"""Where every service is reached, decided once per daemon start before anything runs."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from hermes.embedded.errors import InitialiseFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hermes.embedded.data_dir import DataDir

NATS_PORTS = ("nats", "nats_monitor")
RESTATE_PORTS = ("restate_ingress", "restate_admin", "restate_node")
POSTGRES_USER = "hermes"
POSTGRES_DATABASE = "hermes"

_LOOPBACK = "127.0.0.1"
_LOWEST_PORT = 10_240
_EPHEMERAL_FIRST = 32_768
_PORT_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class ExternalUrls:
    """Servers somebody else runs; None: Hermes runs its own.

    Restate needs both of its URLs; the NATS monitor is optional.
    """

    nats_url: str | None = field(default=None, repr=False)
    nats_monitor_url: str | None = None
    redis_url: str | None = field(default=None, repr=False)
    postgres_dsn: str | None = field(default=None, repr=False)
    restate_ingress_url: str | None = None
    restate_admin_url: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """How clients reach the services. URLs that may carry a secret stay out of the repr.

    nats_monitor_url is None for an external NATS without one, the Restate URLs without Restate.
    """

    nats_url: str = field(repr=False)
    nats_monitor_url: str | None
    redis_url: str = field(repr=False)
    postgres_dsn: str = field(repr=False)
    restate_ingress_url: str | None
    restate_admin_url: str | None


def decide_endpoints(
    data: DataDir,
    external: ExternalUrls,
    ports: Mapping[str, int],
    nats_token: str,
) -> Endpoints:
    """Return the endpoints: an external URL as given, else the embedded service's own.

    ports come from `choose_ports`: NATS_PORTS if NATS is embedded, RESTATE_PORTS if Restate is.
    A service without ports that is not external either is not run: its URL is "" or None.
    """
    nats_url = external.nats_url
    nats_monitor_url = external.nats_monitor_url
    if nats_url is None:
        nats_url = f"nats://{nats_token}@{_LOOPBACK}:{ports['nats']}" if "nats" in ports else ""
        nats_monitor_url = _loopback(ports, "nats_monitor")
    ingress_url, admin_url = external.restate_ingress_url, external.restate_admin_url
    if ingress_url is None:
        ingress_url = _loopback(ports, "restate_ingress")
        admin_url = _loopback(ports, "restate_admin")
    return Endpoints(
        nats_url=nats_url,
        nats_monitor_url=nats_monitor_url,
        redis_url=external.redis_url or f"unix://{quote(str(data.valkey_socket))}",
        postgres_dsn=external.postgres_dsn
        or f"postgresql://{POSTGRES_USER}@/{POSTGRES_DATABASE}"
        f"?host={quote(str(data.pg_sockets), safe='')}",
        restate_ingress_url=ingress_url,
        restate_admin_url=admin_url,
    )


def _loopback(ports: Mapping[str, int], name: str) -> str | None:
    return f"http://{_LOOPBACK}:{ports[name]}" if name in ports else None


def choose_ports(names: Iterable[str], preferred: Mapping[str, int]) -> dict[str, int]:
    """Return a free loopback port for each name: the preferred one if it is still free.

    New ones lie below the range outgoing connections take theirs from, so that none of these sits
    on a service's port while the service is down. Raises InitialiseFailed if no port is free.
    """
    chosen: dict[str, int] = {}
    for name in names:
        wanted = preferred.get(name)
        taken = set(chosen.values()) | set(preferred.values())
        if wanted is not None and wanted not in chosen.values() and _is_free(wanted):
            chosen[name] = wanted
        else:
            chosen[name] = _new_port(name, taken)
    return chosen


def _new_port(name: str, taken: set[int]) -> int:
    first = _LOWEST_PORT
    last = max(_ephemeral_first() - 1, first + 1_000)
    for _ in range(_PORT_ATTEMPTS):
        port = random.randint(first, last)  # noqa: S311 - no secret
        if port not in taken and _is_free(port):
            return port
    raise InitialiseFailed(name, f"{_PORT_ATTEMPTS} ports between {first} and {last} are all taken")


def _ephemeral_first() -> int:
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
        return int(text.split()[0])
    return _EPHEMERAL_FIRST


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        # as servers do it: connections of the last run in TIME_WAIT do not count
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True
