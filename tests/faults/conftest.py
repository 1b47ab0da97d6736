"""Every row runs on a virtual loop, and leaves no task, connection, descriptor or error behind.

HERMES_FAULTS=sockets runs the same rows on sockets, in the time they take: `make chaos` does so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.faults.virtual_loop import VirtualLoop

DESCRIPTORS = Path("/proc/self/fd")
SETTLE_TURNS = 20


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give the tests of this folder their loop."""
    if os.environ.get("HERMES_FAULTS") == "sockets":
        return {"sockets": asyncio.SelectorEventLoop}
    return {"virtual": VirtualLoop}


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """Compare tasks, connections and descriptors before and after; no error was swallowed."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):  # a test that is no coroutine makes its own loops
        yield
        return
    before = descriptors()
    yield
    for _ in range(SETTLE_TURNS):  # what was cancelled or closed ends within a few turns
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert tasks == set()
    assert loop.open_transports == []
    assert loop.servers == {}
    assert loop.problems == []
    assert descriptors() <= before  # the collector may close what an earlier test left
