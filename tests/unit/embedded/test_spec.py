"""How each service is run: nothing exposed, own signals, all of it plain data."""

from __future__ import annotations

import pickle
import signal
from pathlib import Path

import pytest

from hermes.embedded.data_dir import DataDir
from hermes.embedded.initialise import NatsLimits, PostgresReady, rotate_logs, write_nats_config
from hermes.embedded.locate import Located
from hermes.embedded.probe import HttpProbe, PostgresSelect, RedisPing
from hermes.embedded.restate_identity import base58, ensure_identity
from hermes.embedded.spec import (
    RestateSizing,
    ServiceSpec,
    nats_spec,
    postgres_spec,
    restate_spec,
    valkey_spec,
)

DATA = DataDir(Path("/d"), Path("/d/run"), Path("/d/pg-run"))
PORTS = {
    "nats": 1,
    "nats_monitor": 2,
    "restate_ingress": 3,
    "restate_admin": 4,
    "restate_node": 5,
}


def _located(name: str) -> Located:
    return Located(name, Path("/b") / name, "key", "1.2.3")


NATS = nats_spec(DATA, _located("nats-server"), Path("/d/run/nats.conf"), PORTS)
VALKEY = valkey_spec(DATA, _located("valkey-server"), "1gb")
POSTGRES = postgres_spec(
    DATA, PostgresReady(Path("/c/postgres"), (9, 9)), "18.6", {"max_connections": "50"}
)
RESTATE = restate_spec(
    DATA, _located("restate-server"), PORTS, RestateSizing(partitions=8), Path("/d/run/k.pem")
)


@pytest.mark.parametrize("spec", [NATS, VALKEY, POSTGRES, RESTATE])
def test_specs_travel_between_processes(spec: ServiceSpec) -> None:
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec)


def test_valkey_listens_on_its_socket_alone_and_keeps_what_it_acknowledged() -> None:
    argv = " ".join(VALKEY.argv)
    for words in (
        "--port 0 ",
        "--unixsocket /d/run/v.sock --unixsocketperm 700 ",
        "--appendonly yes --appendfsync everysec ",
        "--maxmemory 1gb --maxmemory-policy noeviction",
    ):
        assert words in argv
    assert VALKEY.ready == RedisPing("/d/run/v.sock")


def test_postgres_runs_as_its_own_user_without_tcp_and_stops_fast() -> None:
    assert POSTGRES.argv == (
        *("/c/postgres", "-D", "/d/pg", "-h", "", "-k", "/d/pg-run"),
        *("-c", "unix_socket_permissions=0700", "-c", "cluster_name=hermes-71015293a705"),
        *("-c", "max_connections=50"),
    )
    assert POSTGRES.leftover_title == "postgres: hermes-71015293a705: "
    assert POSTGRES.run_as == (9, 9)
    assert (POSTGRES.stop_signal, POSTGRES.death_signal) == (signal.SIGINT, signal.SIGINT)
    assert POSTGRES.ready == PostgresSelect("/d/pg-run/.s.PGSQL.5432", "hermes", "hermes")


def test_restate_is_bound_to_loopback_and_signs_its_calls() -> None:
    env = dict(RESTATE.env)
    assert env["RESTATE_BIND_IP"] == "127.0.0.1"
    assert env["RESTATE_LISTEN_MODE"] == "tcp"
    assert env["RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT"] == "0s"
    assert env["RESTATE_DEFAULT_NUM_PARTITIONS"] == "8"
    assert env["RESTATE_DISABLE_TELEMETRY"] == "true"
    key = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"
    assert env[key] == "/d/run/k.pem"
    assert RESTATE.ready == HttpProbe(
        ("http://127.0.0.1:4/health", "http://127.0.0.1:3/restate/health")
    )


def test_nats_configuration_is_private_and_quotes_its_durations(tmp_path: Path) -> None:
    data = DataDir(tmp_path, tmp_path, tmp_path)
    data.run.mkdir()
    path = write_nats_config(data, PORTS, "tok", NatsLimits(sync_interval="always"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == (
        "host: 127.0.0.1\n"
        "port: 1\n"
        'http: "127.0.0.1:2"\n'
        "server_name: hermes-embedded\n"
        'authorization { token: "tok" }\n'
        "max_payload: 1MB\n"
        "jetstream {\n"
        f'  store_dir: "{tmp_path}/nats"\n'
        "  max_file_store: 10GB\n"
        "  max_memory_store: 256MB\n"
        '  sync_interval: "always"\n'
        "}\n"
    )


def test_large_logs_are_moved_aside_at_the_start(tmp_path: Path) -> None:
    data = DataDir(tmp_path, tmp_path, tmp_path)
    data.log.mkdir()
    (data.log / "nats.log").write_text("x" * 11)
    (data.log / "valkey.log").write_text("x" * 10)
    rotate_logs(data, max_bytes=10)
    assert sorted(path.name for path in data.log.iterdir()) == ["nats.log.1", "valkey.log"]


def test_identity_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    identity = ensure_identity(path)
    assert identity.startswith("publickeyv1_")
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_identity(path) == identity


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"", ""), (b"\0\0a", "112g"), (b"Hello World!", "2NEpo7TZRRrLZSi2U"), (b"\xff", "5Q")],
)
def test_base58_keeps_leading_zeros(raw: bytes, text: str) -> None:
    assert base58(raw) == text
