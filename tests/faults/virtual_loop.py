"""An event loop on virtual time with connections in memory: a minute's wait takes microseconds.

Nothing is left to chance: no socket, no thread, no clock. The time moves only when nothing else
can run, and then straight to the next timer.
"""

from __future__ import annotations

import asyncio
import errno
import selectors
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.faults.memory_transport import (
    RECEIVE_LIMIT,
    Address,
    MemorySocket,
    MemoryTransport,
    join,
)

START: Final = 1_000.0
LONGEST: Final = 1_000_000.0
"""Seconds after which a test waits for something that never comes."""
FIRST_PORT: Final = 49_152


class Stuck(RuntimeError):
    """Nothing is ready and no timer runs, or time ran far beyond what any test needs."""


class VirtualSelector(selectors.BaseSelector):
    """Sees no file ever ready; where another selector would sleep, the time moves on."""

    def __init__(self) -> None:
        self.now = START
        self._end = START + LONGEST
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let `timeout` seconds pass at once."""
        if timeout is None:
            raise Stuck("nothing is ready and no timer runs: this would wait for ever")
        if timeout > 0:
            self.now += timeout
        if self.now > self._end:
            self._end += LONGEST  # the tasks have to be cancelled yet
            raise Stuck(f"{LONGEST:.0f} s went by")
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Remember a file; only the loop's own wake-up pipe comes here."""
        key = selectors.SelectorKey(fileobj, fileobj, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Forget a file."""
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """What was registered."""
        return self._keys


class MemoryServer(asyncio.AbstractServer):
    """A listener of the loop; connections it accepted outlive it."""

    def __init__(
        self, loop: VirtualLoop, factory: Callable[[], asyncio.BaseProtocol], address: Address
    ) -> None:
        self.loop, self.factory, self.address = loop, factory, address
        self.accepted = 0
        self.receive_limit = RECEIVE_LIMIT

    @property
    def sockets(self) -> tuple[MemorySocket, ...]:
        """The one listening socket, for its name."""
        return (MemorySocket(self.address, ("", 0)),)

    def close(self) -> None:
        """Refuse connections from now on."""
        self.loop.servers.pop(self.address, None)

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self.address in self.loop.servers

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to."""
        return self.loop

    async def start_serving(self) -> None:
        """It serves from the beginning."""

    async def serve_forever(self) -> None:
        """Wait to be cancelled."""
        await asyncio.Event().wait()

    async def wait_closed(self) -> None:
        """Nothing is waited for."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`create_connection` and `create_server` know only addresses of this loop, and no TLS."""

    def __init__(self) -> None:
        self.selector = VirtualSelector()
        super().__init__(self.selector)
        self.servers: dict[Address, MemoryServer] = {}
        self.transports: list[MemoryTransport] = []
        self.problems: list[dict[str, Any]] = []
        self._ports: Iterator[int] = iter(range(FIRST_PORT, 65_536))
        self.set_exception_handler(lambda _, context: self.problems.append(context))

    def time(self) -> float:
        """Seconds of virtual time."""
        return self.selector.now

    @property
    def open_transports(self) -> list[MemoryTransport]:
        """Both ends of every connection that is not closed."""
        self.transports = [one for one in self.transports if not one.is_closed]
        return self.transports

    def narrow(self, port: int, octets: int) -> None:
        """Give the carrier's end of connections to `port` a kernel that takes so many octets."""
        (server,) = (one for one in self.servers.values() if one.address[1] == port)
        server.receive_limit = octets

    async def create_server(  # type: ignore[override]  # one of its many forms
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: object = None,
    ) -> MemoryServer:
        """Listen; port 0 is a free one. Raises OSError where another listens."""
        assert ssl is None, "TLS needs a socket"
        address = host, port or next(self._ports)
        if address in self.servers:
            raise OSError(errno.EADDRINUSE, f"{address} is in use")
        server = self.servers[address] = MemoryServer(self, protocol_factory, address)
        return server

    async def create_connection(  # type: ignore[override]  # one of its many forms
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: object = None,
        **options: object,
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        """Connect; raises ConnectionRefusedError where nobody listens."""
        assert ssl is None, "TLS needs a socket"
        await asyncio.sleep(0)  # the handshake of TCP is never over in the same turn
        server = self.servers.get((host, port))
        if server is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {host}:{port}")
        server.accepted += 1
        ours = host, next(self._ports)
        near = MemoryTransport(self, protocol_factory(), MemorySocket(ours, server.address))
        far = MemoryTransport(self, server.factory(), MemorySocket(server.address, ours))
        far.receive_limit = server.receive_limit
        self.transports = [*self.open_transports, near, far]
        join(near, far)
        await asyncio.sleep(0)
        return near, near.get_protocol()
