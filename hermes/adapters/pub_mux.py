"""Many requests in flight on one wildcard inbox of NATS: one future each, one clock for all.

nats-py 2.16 has `publish_async`, but it never resolves a refused publication and so leaks its
window (nats.py #985); with `discard: new` refusals are normal operation.
"""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from hermes.core.errors import HermesBug, StoreUnavailable

UNLIMITED = -1  # the client's own limits drop messages silently (nats.py #298)


class NoAnswer(StoreUnavailable):
    """Nobody knows whether the request was carried out."""

    def __init__(self, why: str) -> None:
        super().__init__("nats", why)


class PubMux:
    """Sends requests and pairs the answers; at most `window` are open at once.

    `timeout_s` is long because a starved machine answers late.
    """

    def __init__(self, nc: Client, window: int = 2_000, timeout_s: float = 10.0) -> None:
        self._nc = nc
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(window)
        self._waiting: dict[str, tuple[asyncio.Future[Msg], float]] = {}
        self._numbers = 0
        self._inbox = ""
        self._timer: asyncio.TimerHandle | None = None
        self.timeouts = 0

    async def start(self) -> None:
        """Subscribe the inbox; once per connection, reconnects keep it."""
        self._inbox = self._nc.new_inbox() + "."
        await self._nc.subscribe(
            f"{self._inbox}*",
            cb=self._answered,
            pending_msgs_limit=UNLIMITED,
            pending_bytes_limit=UNLIMITED,
        )

    async def post(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> asyncio.Future[Msg]:
        """Send a request; the future ends with the answer, or NoAnswer.

        Raises StoreUnavailable where nothing was sent, HermesBug for more than the server takes.
        """
        await self._slots.acquire()
        number = self._numbers = self._numbers + 1
        key = str(number)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Msg] = loop.create_future()
        self._waiting[key] = (future, loop.time() + self._timeout_s)
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._expire)
        try:
            if not self._nc.is_connected:
                raise StoreUnavailable("nats", "not connected")
            await self.send(subject, data, headers, self._inbox + key)
        except BaseException:
            self._take(key)
            raise
        return future

    async def send(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send without waiting for anything; buffered for a while when there is no connection.

        Raises StoreUnavailable, HermesBug for more than the server takes.
        """
        try:
            await self._nc.publish(subject, data, reply=reply, headers=headers)
        except MaxPayloadError as error:
            raise HermesBug(f"{len(data)} octets for {subject} are too many") from error
        except (NatsError, OSError) as error:
            raise StoreUnavailable("nats", reason_of(error)) from error

    async def request(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send a request and wait for its answer. Raises StoreUnavailable, HermesBug."""
        return await (await self.post(subject, data, headers))

    def lose_all(self, why: str) -> None:
        """End every open request with NoAnswer: the connection they went out on is gone."""
        for key in tuple(self._waiting):
            future = self._take(key)
            if future is not None:
                future.set_exception(NoAnswer(why))

    def stop(self) -> None:
        """End every open request and the clock."""
        self.lose_all("closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, key: str) -> asyncio.Future[Msg] | None:
        # a caller may have cancelled its future: the slot is held until the answer or the deadline
        entry = self._waiting.pop(key, None)
        if entry is None:
            return None
        self._slots.release()
        return None if entry[0].done() else entry[0]

    async def _answered(self, answer: Msg) -> None:
        future = self._take(answer.subject[len(self._inbox) :])
        if future is not None:
            future.set_result(answer)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        # one timeout for all, so the oldest stands first
        for key, (_, deadline) in list(self._waiting.items()):
            if deadline > now:
                self._timer = loop.call_later(deadline - now, self._expire)
                return
            future = self._take(key)
            if future is not None:
                self.timeouts += 1
                future.set_exception(NoAnswer(f"no answer within {self._timeout_s:g} s"))


def reason_of(error: BaseException) -> str:
    """Give a driver's error as one sentence."""
    return str(error) or type(error).__name__
