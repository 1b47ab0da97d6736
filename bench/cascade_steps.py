"""Steps in memory for the bench of cascade engines: they answer at once and tell the client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec

from cascade.actions import Result
from cascade.events import DispatchResult, NotOurs, TakenOver

LIFE = timedelta(days=1)
FULL_PAUSE_S = 0.001


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the steps tell the client: a step is on the belt, or (no token) how it ended."""

    mid: str
    step: int | None
    token: str = ""
    status: str = ""


class TellingSteps:
    """CascadeSteps that keep nothing and tell a datagram socket."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.connect(path)
        self.socket.setblocking(False)

    async def take_over(self, mid: str, owner: str, late: str) -> TakenOver | NotOurs:
        """Everything is ours."""
        del mid, owner, late
        now = utc_now()
        return TakenOver(at=now, expires_at=now + LIFE)

    async def dispatch(self, mid: str, step: int, token: str) -> DispatchResult:
        """There is always room."""
        await self._tell(Told(mid, step, token))
        return DispatchResult(answer="accepted", at=utc_now())

    async def finished(self, mid: str, result: Result) -> None:
        """Tell the end."""
        await self._tell(Told(mid, result.step, status=result.status))

    async def _tell(self, told: Told) -> None:
        data = msgspec.json.encode(told)
        while True:
            try:
                self.socket.send(data)
                return
            except BlockingIOError:
                await asyncio.sleep(FULL_PAUSE_S)


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)  # noqa: TID251 - the bench's clock


@asynccontextmanager
async def open_steps(path: str) -> AsyncIterator[TellingSteps]:
    """Open the steps of an endpoint or a worker; `path` is the client's socket."""
    steps = TellingSteps(path)
    yield steps
    steps.socket.close()
