"""Runs one sink as a process: listens, and ends on SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from hermes.mailsink.control import LOOPBACK, Control
from hermes.mailsink.sink import Sink, SinkSettings

EXIT_OK: Final = 0
EXIT_USAGE: Final = 64
EXIT_NO_PORT: Final = 74
"""A port is in use or not ours to take."""


def run(settings: SinkSettings, control_port: int) -> int:
    """Run until a signal; returns the exit code. `control_port` -1 is no control API.

    Prints `mailsink ready smtp=HOST:PORT control=URL` when it listens, or one sentence on stderr.
    """
    try:
        asyncio.run(_run(settings, control_port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        sys.stderr.write(f"mailsink: cannot listen: {reason.lower()}\n")
        return EXIT_NO_PORT
    return EXIT_OK


async def _run(settings: SinkSettings, control_port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = Sink(settings)
    async with AsyncExitStack() as exits:
        await sink.start()
        exits.push_async_callback(sink.stop)
        url = "off"
        if control_port >= 0:
            runner = web.AppRunner(Control(sink).application(), access_log=None, shutdown_timeout=1)
            await runner.setup()
            exits.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, LOOPBACK, control_port).start()
            url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        sys.stdout.write(f"mailsink ready smtp={settings.host}:{sink.port} control={url}\n")
        sys.stdout.flush()
        await stop.wait()
