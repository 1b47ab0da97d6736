"""Every row runs on a virtual loop, and leaves no task, connection, descriptor or error behind.

HERMES_FAULTS=sockets runs the same rows on sockets, in the time they take: `make chaos` does so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from tests.faults.socket_loop import ON_SOCKETS, SOCKET_LOOPS, SocketLoop
from tests.faults.virtual_loop import VirtualLoop

DESCRIPTORS = Path("/proc/self/fd")
SETTLE_TURNS = 20
TURN = 0.05 if ON_SOCKETS else 0.0
"""Seconds of a turn: a kernel and uvloop close later than memory does."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of this folder."""
    config.addinivalue_line("markers", "only_virtual(why): cannot be shown on sockets")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on sockets what says so."""
    for item in items:
        mark = item.get_closest_marker("only_virtual")
        if ON_SOCKETS and mark is not None:
            item.add_marker(pytest.mark.skip(reason=f"only virtual: {mark.args[0]}"))


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give the tests of this folder their loop, or both."""
    return SOCKET_LOOPS if ON_SOCKETS else {"virtual": VirtualLoop}


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0


def tasks() -> set[asyncio.Task[object]]:
    """The tasks beside this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """Compare tasks, connections and descriptors before and after; no error was swallowed."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop | SocketLoop):  # a test that is no coroutine
        yield
        return
    if ON_SOCKETS:  # from its first listener on libuv holds a descriptor in reserve
        (await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)).close()
        await asyncio.sleep(TURN)
    before = descriptors()
    yield
    for _ in range(SETTLE_TURNS):  # what was cancelled or closed ends within a few turns
        await asyncio.sleep(TURN)
        if ON_SOCKETS and not tasks() and not loop.open_transports and descriptors() <= before:
            break
    servers = list(loop.servers.values())
    for server in servers:  # a uvloop that has one does not end
        server.close()
    assert tasks() == set()
    assert loop.open_transports == []
    assert servers == []
    assert loop.problems == []
    assert descriptors() <= before  # the collector may close what an earlier test left
