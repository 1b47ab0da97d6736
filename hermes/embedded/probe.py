"""Readiness of a service as a value, and the look at it: raw sockets, no driver."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CANNOT_CONNECT_NOW = b"C57P03"  # PostgreSQL is starting, stopping or recovering
_MAX_BACKEND_MESSAGE = 65_536


class NotReady(Exception):
    """The service does not do its work (yet)."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Ready when each URL (`http://host:port/path`) answers 200."""

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RedisPing:
    """Ready when PING is answered: address is a socket path or `host:port`."""

    address: str


@dataclass(frozen=True, slots=True)
class PostgresSelect:
    """Ready when `select 1` is answered: address is a socket path or `host:port`.

    A server that asks for a password is taken as ready, as pg_isready does.
    """

    address: str
    user: str
    dbname: str


@dataclass(frozen=True, slots=True)
class NatsInfo:
    """Ready when the server greets with INFO: address is `host:port`."""

    address: str


@dataclass(frozen=True, slots=True)
class TcpOpen:
    """Ready when a connection is accepted, which is all a server behind TLS tells."""

    address: str


Probe = HttpProbe | RedisPing | PostgresSelect | NatsInfo | TcpOpen


async def probe(value: Probe, timeout_s: float = 2.0) -> None:
    """Look once whether the service is ready. Raises NotReady with the reason, within timeout_s."""
    try:
        async with asyncio.timeout(timeout_s):
            match value:
                case HttpProbe(urls):
                    for url in urls:
                        await _http_ok(url)
                case RedisPing(address):
                    await _talk(address, _redis_ping)
                case PostgresSelect(address, user, dbname):
                    await _talk(address, lambda streams: _postgres_select(streams, user, dbname))
                case NatsInfo(address):
                    await _talk(address, _nats_info)
                case TcpOpen(address):
                    await _talk(address, _nothing)
                case _:
                    assert_never(value)
    except TimeoutError as error:
        raise NotReady(f"no answer within {timeout_s} s") from error
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise NotReady(str(error) or type(error).__name__) from error


async def is_ready(value: Probe, timeout_s: float = 2.0) -> bool:
    """Tell whether the service is ready now."""
    try:
        await probe(value, timeout_s)
    except NotReady:
        return False
    return True


async def _talk(address: str, dialogue: Callable[[_Streams], Awaitable[None]]) -> None:
    if address.startswith("/"):
        streams = await asyncio.open_unix_connection(address)
    else:
        host, _, port = address.rpartition(":")
        streams = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        await dialogue(streams)
    finally:
        streams[1].close()


async def _nothing(_: _Streams) -> None:
    return


async def _http_ok(url: str) -> None:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    async def get(streams: _Streams) -> None:
        reader, writer = streams
        request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        status = (await reader.readline()).decode("latin-1").strip()
        if not status.startswith(("HTTP/1.1 200", "HTTP/1.0 200")):
            raise NotReady(f"{url} answered {status or 'nothing'}")

    await _talk(f"{parts.hostname}:{parts.port or 80}", get)


async def _redis_ping(streams: _Streams) -> None:
    reader, writer = streams
    writer.write(b"PING\r\n")
    reply = await reader.readline()
    # a password is the adapter's business: the server itself is up
    if not reply.startswith((b"+PONG", b"-NOAUTH")):
        raise NotReady(f"PING answered {reply.decode('latin-1').strip() or 'nothing'}")


async def _nats_info(streams: _Streams) -> None:
    greeting = await streams[0].readuntil(b" ")
    if greeting != b"INFO ":
        raise NotReady(f"greeted with {greeting.decode('latin-1')}")


async def _postgres_select(streams: _Streams, user: str, dbname: str) -> None:
    """PostgreSQL protocol 3.0: StartupMessage, then a simple Query, then Terminate."""
    reader, writer = streams
    parameters = b"".join(
        part.encode() + b"\0"
        for part in ("user", user, "database", dbname, "application_name", "hermes-probe")
    )
    body = struct.pack("!I", 196_608) + parameters + b"\0"
    writer.write(struct.pack("!I", len(body) + 4) + body)
    if await _until_ready_for_query(reader):
        query = b"select 1\0"
        writer.write(b"Q" + struct.pack("!I", len(query) + 4) + query)
        await _until_ready_for_query(reader)
        writer.write(b"X" + struct.pack("!I", 4))


async def _until_ready_for_query(reader: asyncio.StreamReader) -> bool:
    """Read to ReadyForQuery; False if the server wants a password or refuses this login."""
    while True:
        kind = await reader.readexactly(1)
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        if length > _MAX_BACKEND_MESSAGE:
            raise NotReady(f"a message of {length} bytes is not PostgreSQL's")
        body = await reader.readexactly(length - 4)
        match kind:
            case b"Z":
                return True
            case b"R" if body[:4] != b"\0\0\0\0":
                return False
            case b"E":
                fields = body.split(b"\0")
                if _CANNOT_CONNECT_NOW in fields:
                    raise NotReady("the database system is starting up or shutting down")
                if any(field.startswith(b"C28") for field in fields):
                    return False
                raise NotReady(b" ".join(f[1:] for f in fields if f[:1] == b"M").decode())
            case _:
                pass
