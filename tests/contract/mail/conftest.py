"""The tests of a relay run on two event loops: asyncio's own, and uvloop as in the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give the loops of a test; what runs in a process of its own has its own loop."""
    if "process" in item.path.name or "postfix" in item.path.name:
        return {"asyncio": asyncio.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
