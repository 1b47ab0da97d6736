"""A puller that keeps a batch asked: more is asked as soon as half of it has come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hermes.core.errors import StoreUnavailable
from hermes.ports.stream import Delivery, DemandPuller, OnItem, OnMissing, OnShort, Short

EXPIRES_S: Final = 30.0
PAUSE_S: Final = 0.1
MISSING_PAUSE_S: Final = 1.0

Start = Callable[[OnItem, OnShort], Awaitable[DemandPuller]]


class SteadyPuller:
    """Implements ContinuousPuller over any DemandPuller of one durable."""

    def __init__(
        self, durable: str, on_item: OnItem, on_missing: OnMissing, batch: int = 500
    ) -> None:
        self._durable, self._batch = durable, batch
        self._on_item, self._on_missing = on_item, on_missing
        self._low = batch // 2
        self._due = asyncio.Event()
        self._puller: DemandPuller | None = None
        self._task: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    async def start(self, start: Start) -> None:
        """Begin to pull. Raises StoreUnavailable."""
        self._puller = await start(self._came, self._short)
        self._due.set()
        self._task = asyncio.create_task(self._keep_asking(self._puller), name=self._durable)

    def outstanding(self) -> int:
        """See `ContinuousPuller.outstanding`."""
        return 0 if self._puller is None else self._puller.outstanding(self._durable)

    async def stop(self) -> None:
        """See `ContinuousPuller.stop`."""
        if self._later is not None:
            self._later.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._puller is not None:
            await self._puller.stop()

    def _came(self, delivery: Delivery) -> None:
        self._on_item(delivery)
        if self.outstanding() <= self._low:
            self._due.set()

    def _short(self, _durable: str, _n: int, why: Short) -> None:
        match why:
            case Short.EMPTY:
                self._due.set()
            case Short.MISSING:
                self._on_missing()
                self._ask_in(MISSING_PAUSE_S)
            case Short.LOST | Short.REFUSED:
                self._ask_in(PAUSE_S)

    def _ask_in(self, seconds: float) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(seconds, self._due.set)

    async def _keep_asking(self, puller: DemandPuller) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            wanted = self._batch - puller.outstanding(self._durable)
            if wanted < 1:
                continue
            try:
                await puller.pull(self._durable, wanted, EXPIRES_S)
            except StoreUnavailable:
                self._ask_in(PAUSE_S)
