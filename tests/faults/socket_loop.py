"""Event loops on the kernel's sockets that know what they connected, as the virtual loop does."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Final

import uvloop

ON_SOCKETS: Final = os.environ.get("HERMES_FAULTS") == "sockets"
"""Whether this run is on sockets, in real time."""
LATE: Final = 1.0 if ON_SOCKETS else 0.0
"""Seconds anything may come too late: other processes of the machine run, too."""
STALLS: Final = 5.0 if ON_SOCKETS else 0.0
"""Seconds a row may be late that needs the processor all the time, or again and again."""
ROW_LIMIT: Final = 90.0 if ON_SOCKETS else None
"""Seconds after which a row hangs."""


class SocketLoop(asyncio.AbstractEventLoop):
    """What the fault rows ask of a loop; the loop itself is the other base of a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[dict[str, Any]] = []
        self._connected: list[tuple[asyncio.BaseTransport, socket.socket]] = []
        self._listening: list[asyncio.Server] = []
        self._narrow: dict[int, int] = {}
        self.set_exception_handler(lambda _, context: self.problems.append(context))

    @property
    def open_transports(self) -> list[asyncio.BaseTransport]:
        """The near end of every connection made here whose socket is not closed."""
        self._connected = [(one, raw) for one, raw in self._connected if raw.fileno() != -1]
        return [one for one, _ in self._connected]

    @property
    def servers(self) -> dict[int, asyncio.Server]:
        """What listens, by its port."""
        self._listening = [server for server in self._listening if server.is_serving()]
        return {server.sockets[0].getsockname()[1]: server for server in self._listening}

    def narrow(self, port: int, octets: int) -> None:
        """Let the kernels of connections to `port` hold about `octets`, and on the way as many.

        A window once offered is not taken back, so only a listener can be told; and a sender's
        kernel on loopback takes megabytes by itself.
        """
        listener = self.servers[port].sockets[0]
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
        self._narrow[port] = octets

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """See `asyncio.AbstractEventLoop`."""
        server = await super().create_server(*arguments, **options)
        self._listening.append(server)
        return server

    async def create_connection(self, *arguments: Any, **options: Any) -> Any:
        """See `asyncio.AbstractEventLoop`."""
        made = await super().create_connection(*arguments, **options)
        raw: socket.socket | None = made[0].get_extra_info("socket")
        if raw is None:  # it is closed already
            return made
        self._connected.append((made[0], raw))
        if (octets := self._narrow.get(arguments[2])) is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, octets)
        return made


class AsyncioLoop(SocketLoop, asyncio.SelectorEventLoop):
    """The loop of the standard library."""


class UvLoop(SocketLoop, uvloop.Loop):  # type: ignore[misc]  # its stubs name fewer options
    """The loop of the daemon."""


SOCKET_LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "asyncio": AsyncioLoop,
    "uvloop": UvLoop,
}
