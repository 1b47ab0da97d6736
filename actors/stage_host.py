"""What a stage's shell needs of the actor it lives in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from hermes.actor_messages import Here, TreePath


class StageHost(Protocol):
    """An actor with a loop; everything here is called in that loop."""

    pid: int
    log: structlog.typing.FilteringBoundLogger

    def send_later(self, address: Any, message: object) -> None:
        """Send a message."""
        ...

    def spawn(self, work: Coroutine[Any, Any, Any], name: str | None = None) -> asyncio.Task[Any]:
        """Start a watched task."""
        ...

    async def pid_gone(self, pid: int) -> None:
        """Return when the process has ended."""
        ...

    async def whereis(self, path: TreePath) -> Here:
        """Find who lives at `path`."""
        ...
