"""Readiness of servers somebody else runs, from their URLs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from hermes.embedded.probe import HttpProbe, NatsInfo, PostgresSelect, RedisPing, TcpOpen

if TYPE_CHECKING:
    from hermes.embedded.endpoints import ExternalUrls
    from hermes.embedded.probe import Probe


def external_probes(external: ExternalUrls) -> dict[str, Probe]:
    """Return the probe of each external service by its name; of a cluster, its first server's."""
    probes: dict[str, Probe] = {}
    if external.nats_url is not None:
        probes["nats"] = NatsInfo(_address(external.nats_url, 4222))
    if external.redis_url is not None:
        probes["valkey"] = _redis_probe(external.redis_url)
    if external.postgres_dsn is not None:
        probes["postgres"] = _postgres_probe(external.postgres_dsn)
    if external.restate_ingress_url is not None and external.restate_admin_url is not None:
        ingress = external.restate_ingress_url.rstrip("/")
        admin = external.restate_admin_url.rstrip("/")
        if ingress.startswith("https:") or admin.startswith("https:"):
            probes["restate"] = TcpOpen(_address(ingress, 443))
        else:
            probes["restate"] = HttpProbe((f"{admin}/health", f"{ingress}/restate/health"))
    return probes


def _address(url: str, default_port: int) -> str:
    first = url.split(",", maxsplit=1)[0]
    parts = urlsplit(first if "://" in first else f"//{first}")
    return f"{parts.hostname or '127.0.0.1'}:{parts.port or default_port}"


def _redis_probe(url: str) -> Probe:
    scheme = urlsplit(url).scheme
    if scheme == "unix":
        return RedisPing(unquote(urlsplit(url).path))
    address = _address(url, 6379)
    return TcpOpen(address) if scheme == "rediss" else RedisPing(address)


def _postgres_probe(dsn: str) -> PostgresSelect:
    """Read a libpq connection string: a URI, or `key=value` words (libpq, 32.1.1)."""
    if "://" in dsn:
        scheme, _, rest = dsn.partition("://")
        # the authority may name several hosts, which urlsplit does not read as one port
        authority = rest.split("/", 1)[0].split("?", 1)[0]
        login, _, hosts = authority.rpartition("@")
        first = f"{scheme}://{login}@{hosts.split(',')[0]}{rest[len(authority) :]}"
        parts = urlsplit(first)
        said = {key: values[0] for key, values in parse_qs(parts.query).items()}
        said.setdefault("host", unquote(parts.hostname or ""))
        said.setdefault("port", str(parts.port or ""))
        said.setdefault("user", unquote(parts.username or ""))
        said.setdefault("dbname", unquote(parts.path.lstrip("/")))
    else:
        said = dict(word.split("=", 1) for word in shlex.split(dsn) if "=" in word)
    host = said.get("host", "").split(",")[0] or "127.0.0.1"
    port = said.get("port", "").split(",")[0] or "5432"
    user = said.get("user") or "postgres"
    address = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    return PostgresSelect(address, user, said.get("dbname") or user)
