"""What is done to the stores of a daemon: streams deleted, memory emptied, files removed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import nats
from redis.asyncio import Redis

from hermes.testing.daemon_process import DaemonProcess
from tests.chaos.victims import VICTIMS, pid_of


async def delete_streams(daemon: DaemonProcess, *streams: str) -> None:
    """Delete streams through JetStream's own API. Raises nats.errors.Error."""
    connection = await nats.connect(daemon.wiring["nats_url"])
    try:
        for stream in streams:
            await connection.request(f"$JS.API.STREAM.DELETE.{stream}", b"", timeout=5)
    finally:
        await connection.close()


async def empty_memory(daemon: DaemonProcess) -> None:
    """FLUSHALL. Raises RedisError."""
    async with Redis.from_url(daemon.wiring["redis_url"]) as memory:
        await memory.flushall()


def remove_memory(daemon: DaemonProcess) -> None:
    """Remove Valkey's append-only file and kill it: it starts again with nothing."""
    pid = pid_of(daemon, VICTIMS["valkey"])
    assert pid is not None
    wipe(daemon.data / "redis")
    os.kill(pid, signal.SIGKILL)


def wipe(folder: Path) -> None:
    """Remove what is in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
