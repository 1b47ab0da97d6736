"""Where services are reached: ports that stay, secrets that do not show, external URLs as given."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pytest

from hermes.embedded.data_dir import DataDir
from hermes.embedded.endpoints import (
    Endpoints,
    ExternalUrls,
    choose_ports,
    decide_endpoints,
)
from hermes.embedded.private_file import kept_secret, write_private

DATA = DataDir(Path("/d"), Path("/d/run"), Path("/d/pg run"))
PORTS = {
    "nats": 1,
    "nats_monitor": 2,
    "restate_ingress": 3,
    "restate_admin": 4,
    "restate_node": 5,
}


def test_embedded_services_are_reached_on_loopback_and_sockets() -> None:
    assert decide_endpoints(DATA, ExternalUrls(), PORTS, "tok") == Endpoints(
        nats_url="nats://tok@127.0.0.1:1",
        nats_monitor_url="http://127.0.0.1:2",
        redis_url="unix:///d/run/v.sock",
        postgres_dsn="postgresql://hermes@/hermes?host=%2Fd%2Fpg%20run",
        restate_ingress_url="http://127.0.0.1:3",
        restate_admin_url="http://127.0.0.1:4",
    )


def test_external_urls_are_used_as_given() -> None:
    external = ExternalUrls(
        nats_url="tls://a,tls://b",
        redis_url="rediss://r:6380/2",
        postgres_dsn="host=db dbname=x",
        restate_ingress_url="https://i",
        restate_admin_url="https://a",
    )
    assert decide_endpoints(DATA, external, {}, "tok") == Endpoints(
        "tls://a,tls://b", None, "rediss://r:6380/2", "host=db dbname=x", "https://i", "https://a"
    )


def test_without_restate_its_urls_are_none() -> None:
    ports = {"nats": 1, "nats_monitor": 2}
    endpoints = decide_endpoints(DATA, ExternalUrls(), ports, "tok")
    assert (endpoints.restate_ingress_url, endpoints.restate_admin_url) == (None, None)


def test_endpoints_show_no_secret_and_travel_between_processes() -> None:
    endpoints = decide_endpoints(DATA, ExternalUrls(), PORTS, "s3cret")
    assert "s3cret" not in repr(endpoints)
    assert pickle.loads(pickle.dumps(endpoints)) == endpoints


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_ports_are_distinct_free_and_below_the_range_of_outgoing_connections() -> None:
    names = [f"p{i}" for i in range(20)]
    ports = choose_ports(names, {})
    assert list(ports) == names
    assert len(set(ports.values())) == 20
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(10_240 <= port < max(low, 11_241) for port in ports.values())


def test_preferred_ports_stay() -> None:
    first = choose_ports(("a", "b"), {})
    assert choose_ports(("a", "b"), first) == first
    assert choose_ports(("b",), first) == {"b": first["b"]}


def test_preferred_port_that_is_taken_gives_way() -> None:
    with _listener() as listener:
        taken = listener.getsockname()[1]
        assert choose_ports(("a",), {"a": taken})["a"] != taken


def test_port_with_connections_of_the_last_run_still_counts_as_free() -> None:
    with _listener() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            accepted.close()  # the server's side closes first: TIME_WAIT is its own
    assert choose_ports(("a",), {"a": port}) == {"a": port}


def test_one_port_preferred_twice_is_given_once() -> None:
    (port,) = choose_ports(("a",), {}).values()
    ports = choose_ports(("a", "b"), {"a": port, "b": port})
    assert ports["a"] == port
    assert ports["b"] != port


def test_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    secret = kept_secret(path)
    assert len(secret) == 48
    assert path.stat().st_mode & 0o777 == 0o600
    assert kept_secret(path) == secret


def test_secret_lost_to_an_empty_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("")
    assert len(kept_secret(tmp_path / "token")) == 48


def test_private_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("name", ["nats_url", "redis_url", "postgres_dsn"])
def test_external_urls_with_passwords_stay_out_of_the_repr(name: str) -> None:
    assert "pass" not in repr(ExternalUrls(**{name: "x://u:pass@h"}))
