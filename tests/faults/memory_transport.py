"""The two ends of a TCP connection in memory, with what a kernel does to the other end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import Any, Final, TypeAlias

Address: TypeAlias = tuple[str, int]

RECEIVE_LIMIT: Final = 65_536
"""Octets a receiver's kernel takes before its program reads them."""
HIGH_WATER: Final = 65_536
MOST_READ: Final = 65_536


class MemorySocket:
    """What programs ask of the socket of a transport: its names, and to close with RST."""

    def __init__(self, name: Address, peer: Address) -> None:
        self.name, self.peer = name, peer
        self.resets = False

    def getsockname(self) -> Address:
        """The address of this end."""
        return self.name

    def getpeername(self) -> Address:
        """The address of the other end."""
        return self.peer

    def setsockopt(self, _level: int, option: int, value: int | bytes) -> None:
        """Mind SO_LINGER with no time left, which makes the close a reset; ignore the rest."""
        if option == socket.SO_LINGER and isinstance(value, bytes):
            self.resets = struct.unpack("ii", value) == (1, 0)


class MemoryTransport(asyncio.Transport):
    """One end. What is written waits in `outgoing` until the other kernel has room for it.

    `receive_limit` is the room of this end's kernel, `segment` the most octets of what this end
    sends that the other reads at once; `peer` is the other end.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, sock: MemorySocket
    ) -> None:
        super().__init__({"socket": sock, "sockname": sock.name, "peername": sock.peer})
        self.receive_limit = RECEIVE_LIMIT
        self.segment = MOST_READ
        self.outgoing = bytearray()
        self.incoming = bytearray()
        self.is_closed = False
        self._loop, self._protocol, self._socket = loop, protocol, sock
        self.peer: MemoryTransport
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._closing = self._aborted = False
        self._writes_paused = self._reads_paused = False
        self._read_due = False
        self._eof_written = self._fin_sent = False
        self._fin_arrived = self._fin_read = self._rst_arrived = False

    # ------------------------------------------------------------------ asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See `asyncio.BaseTransport`."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See `asyncio.BaseTransport`."""
        return self._protocol

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._closing

    def is_reading(self) -> bool:
        """See `asyncio.ReadTransport`."""
        return not self._closing and not self._reads_paused

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._reads_paused = True

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""
        self._reads_paused = False
        self._expect_read()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See `asyncio.WriteTransport`."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        self._high, self._low = high, high // 4 if low is None else low
        self._mind_high()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """See `asyncio.WriteTransport`."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return len(self.outgoing)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        if self._eof_written:
            raise RuntimeError("cannot write after write_eof()")
        if not self._closing and data:
            self.outgoing += data
            self._push()
            self._mind_high()

    def can_write_eof(self) -> bool:
        """See `asyncio.WriteTransport`."""
        return True

    def write_eof(self) -> None:
        """See `asyncio.WriteTransport`."""
        self._eof_written = True
        self._push()

    def close(self) -> None:
        """See `asyncio.BaseTransport`: what was written goes out first."""
        if not self._closing:
            self._closing = True
            self._push()

    def abort(self) -> None:
        """See `asyncio.WriteTransport`: what has not left is dropped."""
        self._fail(None)

    # ------------------------------------------------------------------ the wire

    def _push(self) -> None:
        """Move what the other kernel has room for; then FIN or the end, if those were asked for."""
        peer = self.peer
        if self.outgoing and peer.is_closed:
            self.outgoing.clear()
            self._arrive_rst()
            return
        room = peer.receive_limit - len(peer.incoming)
        if self.outgoing and room > 0:
            peer.incoming += self.outgoing[:room]
            del self.outgoing[:room]
            peer._expect_read()
        if not self.outgoing:
            if self._closing and not self._aborted:
                self._fail(None)
            elif self._eof_written:
                self._send_fin()
        self._mind_low()

    def _send_fin(self) -> None:
        if not self._fin_sent:
            self._fin_sent = True
            self.peer._arrive_fin()

    def _arrive_fin(self) -> None:
        self._fin_arrived = True
        self._expect_read()

    def _arrive_rst(self) -> None:
        """Whatever has not left is lost; what arrived can still be read."""
        if not self.is_closed:
            self._rst_arrived = True
            self.outgoing.clear()
            self._reads_paused = False  # a write would tell the program, too
            self._expect_read()

    def _expect_read(self) -> None:
        if not self._read_due and self.is_reading():
            self._read_due = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._read_due = False
        if not self.is_reading():
            return
        if self.incoming:
            size = min(MOST_READ, self.peer.segment)
            data = bytes(self.incoming[:size])
            del self.incoming[:size]
            self._receive(data)
            self.peer._push()
            self._expect_read()
        elif self._rst_arrived:
            self._fail(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
        elif self._fin_arrived and not self._fin_read:
            self._fin_read = True
            assert isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol)
            if not self._protocol.eof_received():
                self.close()

    def _receive(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.Protocol):
            self._protocol.data_received(data)
            return
        assert isinstance(self._protocol, asyncio.BufferedProtocol)
        while data:
            buffer: Any = self._protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]

    # ------------------------------------------------------------------ the program

    def _mind_high(self) -> None:
        if len(self.outgoing) > self._high and not self._writes_paused:
            self._writes_paused = True
            self._protocol.pause_writing()

    def _mind_low(self) -> None:
        if len(self.outgoing) <= self._low and self._writes_paused and not self._closing:
            self._writes_paused = False
            self._protocol.resume_writing()

    def _fail(self, error: Exception | None) -> None:
        """Close without waiting for anything; the protocol hears it in the next turn."""
        if not self._aborted:
            self._closing = self._aborted = True
            self.outgoing.clear()
            self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        self.is_closed = True
        if self._socket.resets or self.incoming:  # a kernel resets what leaves octets unread
            self.peer._arrive_rst()
        else:
            self._send_fin()
        self.incoming.clear()
        self.peer._push()


def join(near: MemoryTransport, far: MemoryTransport) -> None:
    """Connect two ends; each protocol hears of it before anything else."""
    near.peer, far.peer = far, near
    for end in (near, far):
        protocol = end.get_protocol()
        asyncio.get_running_loop().call_soon(protocol.connection_made, end)
