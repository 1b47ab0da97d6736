"""Readiness by raw dialogue: what counts as ready, and what is said when it does not."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hermes.embedded.endpoints import ExternalUrls
from hermes.embedded.external import external_probes
from hermes.embedded.probe import (
    HttpProbe,
    NatsInfo,
    NotReady,
    PostgresSelect,
    Probe,
    RedisPing,
    TcpOpen,
    is_ready,
    probe,
)


@asynccontextmanager
async def _server(*answers: bytes, greets: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer each thing that is read with the next of the answers, then hang up."""
    heard: list[bytes] = []
    serving = set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            for answer in answers:
                if not greets:
                    heard.append(await reader.read(4096))
                writer.write(answer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
        await asyncio.gather(*filter(None, serving))


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


READY = _message(b"R", b"\0\0\0\0") + _message(b"S", b"a\0b\0") + _message(b"Z", b"I")
SELECTED = _message(b"T", b"\0\0") + _message(b"D", b"\0\0") + _message(b"Z", b"I")


def _error(code: str, text: str) -> bytes:
    return _message(b"E", f"SFATAL\0C{code}\0M{text}\0\0".encode())


async def test_http_is_ready_when_every_url_answers_200() -> None:
    async with (
        _server(b"HTTP/1.1 200 OK\r\n\r\n") as (good, heard),
        _server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as (bad, _),
    ):
        await probe(HttpProbe((f"http://{good}/health?x=1",)))
        assert heard[0].startswith(b"GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        both = HttpProbe((f"http://{good}/", f"http://{bad}/healthz"))
        with pytest.raises(NotReady, match=r"/healthz answered HTTP/1\.1 503 Service Unavailable"):
            await probe(both)


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"+PONG\r\n", True),
        (b"-NOAUTH Authentication required.\r\n", True),  # up; the password is the adapter's
        (b"-LOADING Redis is loading the dataset in memory\r\n", False),
        (b"", False),
    ],
)
async def test_redis_is_ready_when_ping_is_answered(answer: bytes, ready: bool) -> None:
    async with _server(answer) as (address, heard):
        assert await is_ready(RedisPing(address)) is ready
        assert heard == [b"PING\r\n"]


@pytest.mark.parametrize(
    ("answers", "ready"),
    [
        ((READY, SELECTED), True),
        ((_message(b"R", b"\0\0\0\x0a"),), True),  # asks for a password: as pg_isready
        ((_error("28000", "no pg_hba.conf entry"),), True),
        ((_error("57P03", "the database system is starting up"),), False),
        ((_error("53300", "too many clients"),), False),
        ((_error("3D000", "database does not exist"),), False),
        ((READY,), False),  # hangs up instead of answering the query
        ((READY, _error("57P01", "terminating connection")), False),
        ((b"HTTP/1.1 400 Bad Request\r\n",), False),
    ],
)
async def test_postgres_is_ready_when_select_is_answered(
    answers: tuple[bytes, ...], ready: bool
) -> None:
    async with _server(*answers) as (address, _):
        assert await is_ready(PostgresSelect(address, "hermes", "db")) is ready


async def test_postgres_is_asked_by_protocol_3() -> None:
    async with _server(READY, SELECTED) as (address, heard):
        await probe(PostgresSelect(address, "hermes", "db"))
    length, version = struct.unpack("!II", heard[0][:8])
    assert (length, version) == (len(heard[0]), 3 << 16)
    assert b"\0user\0hermes\0database\0db\0" in b"\0" + heard[0][8:]
    assert heard[1] == _message(b"Q", b"select 1\0")


async def test_nats_and_tcp_are_ready_on_their_greeting() -> None:
    async with _server(b'INFO {"server_id":"x"}\r\n', greets=True) as (address, _):
        await probe(NatsInfo(address))
        await probe(TcpOpen(address))
    async with _server(b"220 mail ready", greets=True) as (address, _):
        assert not await is_ready(NatsInfo(address))


async def test_nobody_there_is_not_ready(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{bound.getsockname()[1]}"
        probes: tuple[Probe, ...] = (
            RedisPing(str(tmp_path / "v.sock")),
            PostgresSelect(closed, "u", "d"),
            HttpProbe((f"http://{closed}/",)),
            TcpOpen(closed),
        )
        assert [await is_ready(value) for value in probes] == [False] * 4


async def test_silence_is_not_ready_within_the_timeout() -> None:
    async with _server(b"", b"") as (address, _):
        with pytest.raises(NotReady, match=r"no answer within 0\.05 s"):
            await probe(NatsInfo(address), timeout_s=0.05)


async def test_unix_sockets_are_probed_by_path(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"+PONG\r\n")
        writer.close()

    path = str(tmp_path / "v.sock")
    async with await asyncio.start_unix_server(serve, path):
        await probe(RedisPing(path))


def test_probes_travel_between_processes() -> None:
    value = PostgresSelect("/s", "u", "d")
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    ("external", "expected"),
    [
        (ExternalUrls(nats_url="nats://tok@n1:4300,nats://n2"), {"nats": NatsInfo("n1:4300")}),
        (ExternalUrls(nats_url="n1"), {"nats": NatsInfo("n1:4222")}),
        (ExternalUrls(redis_url="redis://:pw@r/0"), {"valkey": RedisPing("r:6379")}),
        (ExternalUrls(redis_url="rediss://r:6380"), {"valkey": TcpOpen("r:6380")}),
        (ExternalUrls(redis_url="unix:///a%20b.sock?db=1"), {"valkey": RedisPing("/a b.sock")}),
        (
            ExternalUrls(postgres_dsn="postgresql://u%40x:pw@h:6432/d?sslmode=require"),
            {"postgres": PostgresSelect("h:6432", "u@x", "d")},
        ),
        (
            ExternalUrls(postgres_dsn="postgres://u@h1:5433,h2:5434/d"),
            {"postgres": PostgresSelect("h1:5433", "u", "d")},
        ),
        (
            ExternalUrls(postgres_dsn="postgresql://u@/d?host=%2Frun%2Fpg&port=5499"),
            {"postgres": PostgresSelect("/run/pg/.s.PGSQL.5499", "u", "d")},
        ),
        (
            ExternalUrls(postgres_dsn="host=h user='a b' dbname=d password=x"),
            {"postgres": PostgresSelect("h:5432", "a b", "d")},
        ),
        (
            ExternalUrls(restate_ingress_url="http://r:8080/", restate_admin_url="http://r:9070"),
            {"restate": HttpProbe(("http://r:9070/health", "http://r:8080/restate/health"))},
        ),
        (
            ExternalUrls(restate_ingress_url="https://r", restate_admin_url="https://a"),
            {"restate": TcpOpen("r:443")},
        ),
        (ExternalUrls(), {}),
    ],
)
def test_external_servers_are_probed_by_their_urls(
    external: ExternalUrls, expected: dict[str, Probe]
) -> None:
    assert external_probes(external) == expected
