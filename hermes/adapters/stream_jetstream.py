"""The belt on NATS JetStream: one connection that publishes, pulls and acknowledges."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Self
from weakref import WeakSet

from nats.aio.client import Client
from nats.errors import AuthorizationError, ConnectionClosedError
from nats.errors import Error as NatsError

from hermes.adapters.pub_mux import NoAnswer, PubMux, reason_of
from hermes.adapters.publish_jetstream import JetStreamPublisher, is_no_responders
from hermes.adapters.puller_continuous import SteadyPuller
from hermes.adapters.puller_jetstream import NAK, JetStreamPuller
from hermes.core.errors import ConfigError, StoreUnavailable
from hermes.ports.stream import (
    BeltSettings,
    ContinuousPuller,
    DemandPuller,
    LinkChange,
    OnItem,
    OnLink,
    OnMissing,
    OnShort,
    PubAck,
    Publication,
    PublishResult,
)

PROGRESS: Final = b"+WPI"
TERM: Final = b"+TERM"
RECONNECT_EVERY_S: Final = 0.5
PING_EVERY_S: Final = 10
MOST_PINGS_OUT: Final = 2
DRAIN_S: Final = 5
# nats-py has no type for a refused login: it raises its base error with the server's words
REFUSED_LOGIN: Final = "authorization violation"


class BeltRefusedLogin(ConfigError):
    """NATS does not accept the token or the user."""

    def __init__(self) -> None:
        super().__init__("nats refuses the credentials of nats.url")


def ignore_link(_change: LinkChange, _detail: str) -> None:
    """Take no notice of what happens to the connection."""


class JetStream:
    """Implements Belt. No connection survives a fork: connect in the process that uses it."""

    def __init__(self, nc: Client, settings: BeltSettings, on_link: OnLink) -> None:
        self.nc = nc
        self.mux = PubMux(nc, settings.publish_window, settings.publish_timeout_s)
        self._publisher = JetStreamPublisher(self.mux, self.connected, settings.atomic_from)
        self._on_link = on_link
        self._pullers: WeakSet[JetStreamPuller] = WeakSet()
        self._up = asyncio.Event()
        self._login_refused = asyncio.Event()
        self._is_closing = False

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        token: str | None = None,
        settings: BeltSettings | None = None,
        on_link: OnLink = ignore_link,
        timeout_s: float | None = None,
    ) -> Self:
        """Connect to one or more servers (comma-separated), waiting for as long as it takes.

        Raises BeltRefusedLogin, and StoreUnavailable after `timeout_s` if that is given.
        """
        belt = cls(Client(), settings or BeltSettings(), on_link)
        connecting = asyncio.create_task(belt._connect(url, name, token))
        refused = asyncio.create_task(belt._login_refused.wait())
        try:
            await asyncio.wait(
                (connecting, refused), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if connecting.done():
                await connecting
                return belt
        finally:
            refused.cancel()
            if not connecting.done():
                belt._is_closing = True
                connecting.cancel()
                await asyncio.wait((connecting,))
                await belt.nc.close()
        if belt._login_refused.is_set():
            raise BeltRefusedLogin
        raise StoreUnavailable("nats", f"no connection within {timeout_s:g} s")

    async def _connect(self, url: str, name: str, token: str | None) -> None:
        try:
            await self.nc.connect(
                [one.strip() for one in url.split(",")],
                name=name,
                token=token,
                error_cb=self._error,
                disconnected_cb=self._disconnected,
                reconnected_cb=self._reconnected,
                closed_cb=self._closed,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_EVERY_S,  # type: ignore[arg-type]  # a float works
                ping_interval=PING_EVERY_S,
                max_outstanding_pings=MOST_PINGS_OUT,
                drain_timeout=DRAIN_S,
            )
            await self.mux.start()
        except (NatsError, OSError) as error:
            raise StoreUnavailable("nats", reason_of(error)) from error
        self._up.set()

    async def connected(self, within_s: float = 0.0) -> bool:
        """Say whether there is a connection, or will be within that time."""
        if not self._up.is_set() and within_s:
            try:
                async with asyncio.timeout(within_s):
                    await self._up.wait()
            except TimeoutError:
                return False
        return self._up.is_set()

    async def publish(self, subject: str, data: bytes, msg_id: str) -> PubAck:
        """See `Publisher.publish`."""
        return await self._publisher.publish(subject, data, msg_id)

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """See `Publisher.publish_batch`."""
        return await self._publisher.publish_batch(items)

    async def ack(self, reply: str) -> None:
        """See `Acknowledger.ack`."""
        await self._answer((reply,), b"")

    async def ack_many(self, replies: Iterable[str]) -> None:
        """See `Acknowledger.ack_many`."""
        await self._answer(replies, b"")

    async def ack_sync(self, reply: str) -> None:
        """See `Acknowledger.ack_sync`."""
        if is_no_responders(await self.mux.request(reply, b"")):
            raise NoAnswer("nobody takes the acknowledgement")

    async def nak(self, *replies: str) -> None:
        """See `Acknowledger.nak`."""
        await self._answer(replies, NAK)

    async def progress(self, *replies: str) -> None:
        """See `Acknowledger.progress`."""
        await self._answer(replies, PROGRESS)

    async def term(self, *replies: str) -> None:
        """See `Acknowledger.term`."""
        await self._answer(replies, TERM)

    async def _answer(self, replies: Iterable[str], word: bytes) -> None:
        publish = self.nc.publish
        try:
            for reply in replies:
                await publish(reply, word)
        except (NatsError, OSError) as error:
            raise StoreUnavailable("nats", reason_of(error)) from error

    async def pull_by_demand(self, stream: str, on_item: OnItem, on_short: OnShort) -> DemandPuller:
        """See `Belt.pull_by_demand`."""
        return await self._start_puller(stream, on_item, on_short)

    async def pull_continuously(
        self,
        stream: str,
        durable: str,
        on_item: OnItem,
        on_missing: OnMissing,
        batch: int = 500,
    ) -> ContinuousPuller:
        """See `Belt.pull_continuously`."""
        puller = SteadyPuller(durable, on_item, on_missing, batch)
        await puller.start(lambda came, short: self._start_puller(stream, came, short))
        return puller

    async def _start_puller(
        self, stream: str, on_item: OnItem, on_short: OnShort
    ) -> JetStreamPuller:
        puller = JetStreamPuller(self.nc, stream, on_item, on_short)
        await puller.start()
        self._pullers.add(puller)
        return puller

    async def close(self) -> None:
        """See `Belt.close`."""
        self._is_closing = True
        for puller in tuple(self._pullers):
            await puller.stop()
        self._pullers.clear()
        try:
            await self.nc.drain()
        except (NatsError, OSError):
            await self.nc.close()  # no connection to drain
        self.mux.stop()

    async def _error(self, error: Exception) -> None:
        if isinstance(error, AuthorizationError) or REFUSED_LOGIN in str(error).lower():
            self._login_refused.set()
        self._on_link(LinkChange.ERROR, reason_of(error))

    async def _disconnected(self) -> None:
        self._up.clear()
        self.mux.lose_all("connection lost")
        for puller in tuple(self._pullers):
            puller.lose_all()
        if not self._is_closing:
            self._on_link(LinkChange.DISCONNECTED, "")

    async def _reconnected(self) -> None:
        self._up.set()
        for puller in tuple(self._pullers):
            try:
                await puller.renew()
            except StoreUnavailable:
                continue  # its watchdog tries again
        self._on_link(LinkChange.RECONNECTED, "")

    async def _closed(self) -> None:
        if not self._is_closing:
            self._on_link(LinkChange.CLOSED, reason_of(ConnectionClosedError()))
