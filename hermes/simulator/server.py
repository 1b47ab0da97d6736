"""Runs one simulator: listens, keeps the log written, and ends on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hermes.simulator.centre import MessageCentre
from hermes.simulator.journal import FLUSH_S, Journal
from hermes.simulator.state import State
from hermes.simulator.tls import server_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hermes.simulator.profile import Profile

EXIT_OK: Final = 0
EXIT_USAGE: Final = 64
EXIT_NO_LOG: Final = 73
EXIT_NO_PORT: Final = 74
"""A port is in use or not ours to take."""

OVERDUE_S: Final = 1.0
IDS_PER_SECOND: Final = 10_000
"""Ids from the clock do not repeat after a restart while fewer messages than this come a second."""


class CannotStart(Exception):
    """Something the simulator needs is not to be had; `exit_code` says which."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(sentence)


class Simulator:
    """A simulated SMSC in the running event loop: `start`, use the ports, `stop`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.port = 0
        self.control_port: int | None = None
        self._exits = AsyncExitStack()

    async def start(self) -> None:
        """Listen; `port` and `control_port` are set afterwards. Raises CannotStart, Refusal."""
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise

    async def stop(self) -> None:
        """End the sessions, close the ports, write the log."""
        await self._exits.aclose()

    async def _start(self) -> None:
        profile, loop = self.profile, asyncio.get_running_loop()
        tls = server_context(profile)
        file = _open_log(profile.log)
        if file is not None:
            self._exits.callback(file.close)
        journal = Journal(file, profile.log_memory, lambda: loop.call_later(FLUSH_S, journal.flush))
        self._exits.callback(journal.flush)
        first_id = profile.first_id or int(time.time() * IDS_PER_SECOND)
        state = State(profile, journal, loop.time, time.time, first_id)
        centre = MessageCentre(state, loop)
        self._exits.push_async_callback(
            _cancel, loop.create_task(_every(OVERDUE_S, centre.retry_overdue))
        )
        try:
            server = await loop.create_server(
                centre.new_session, profile.host, profile.port, ssl=tls
            )
        except OSError as error:
            raise _no_port(profile.host, profile.port, error) from error
        self._exits.callback(server.close)
        self._exits.callback(centre.close)
        self.port = server.sockets[0].getsockname()[1]
        if profile.control_port >= 0:
            self.control_port = await self._start_control(centre)

    async def _start_control(self, centre: MessageCentre) -> int:
        # half of the start time and a third of the memory: not loaded when it is not used
        from aiohttp import web  # noqa: PLC0415

        from hermes.simulator.control import LOOPBACK, Control  # noqa: PLC0415

        runner = web.AppRunner(Control(centre).application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._exits.push_async_callback(runner.cleanup)
        port = self.profile.control_port
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            raise _no_port(LOOPBACK, port, error) from error
        return int(runner.addresses[0][1])


def run(profile: Profile) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Prints `simulator ready smpp=HOST:PORT control=URL` when it listens (`control=off` without the
    API), or one sentence on stderr when it cannot. Raises Refusal for TLS files of no use.
    """
    try:
        asyncio.run(_run(profile))
    except CannotStart as error:
        sys.stderr.write(f"simulator: {error}\n")
        return error.exit_code
    return EXIT_OK


async def _run(profile: Profile) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(profile)
    await simulator.start()
    try:
        control = simulator.control_port
        url = "off" if control is None else f"http://127.0.0.1:{control}"
        sys.stdout.write(f"simulator ready smpp={profile.host}:{simulator.port} control={url}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await simulator.stop()


async def _every(seconds: float, action: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        action()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _open_log(path: str) -> BinaryIO | None:
    if not path:
        return None
    try:
        return Path(path).open("ab")
    except OSError as error:
        sentence = f"cannot write the log {path}: {error.strerror}"
        raise CannotStart(sentence, EXIT_NO_LOG) from error


def _no_port(host: str, port: int, error: OSError) -> CannotStart:
    return CannotStart(f"cannot listen on {host}:{port}: {_reason(error)}", EXIT_NO_PORT)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()
