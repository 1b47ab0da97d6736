"""Group commit: concurrent callers share one call on a batch, each gets its own result."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gather(Generic[T, R]):
    """Whoever comes while a call is under way joins the next one; nobody waits for a timer.

    `call(batch)` gives one result per item in order, or raises for all of them. At most
    `parallel` calls run at once, each of at most `size` items, so that a lone caller pays no
    delay and a crowd pays one transaction.
    """

    def __init__(
        self,
        call: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        size: int = 200,
        parallel: int = 2,
    ) -> None:
        self.call, self.size, self.parallel = call, size, parallel
        self.waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self.running: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """Give the item's own result. Raises what `call` raised for its batch."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.waiting.append((item, future))
        self.start()
        return await future

    def start(self) -> None:
        """Start a call if one may run and somebody waits."""
        if self.waiting and len(self.running) < self.parallel:
            task = asyncio.get_running_loop().create_task(self.run())
            self.running.add(task)
            task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A call is over; the next may begin."""
        self.running.discard(task)
        self.start()

    async def run(self) -> None:
        """Make one call for all who wait by the time it begins."""
        batch = [self.waiting.popleft() for _ in range(min(self.size, len(self.waiting)))]
        if not batch:
            return
        try:
            results = await self.call([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - each caller gets what its batch got
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
