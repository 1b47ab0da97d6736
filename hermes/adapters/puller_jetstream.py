"""Pulling from JetStream by demand, with exact counts, a watchdog and a fresh inbox after losses.

Pull subscriptions of nats-py may go silent after a server restart (nats.py #504, #354), and its
`fetch` waits out its timeout where `max_ack_pending` is below the batch.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from hermes.adapters.pub_mux import UNLIMITED, reason_of
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.ports.stream import Delivery, OnItem, OnShort, Short

NAK: Final = b"-NAK"
HEARTBEAT: Final = "100"
SILENCE: Final = 2.5  # heartbeats
GRACE_S: Final = 2.0  # a starved server answers late
REASON: Final = {"404": Short.EMPTY, "408": Short.EMPTY, "409": Short.REFUSED, "503": Short.MISSING}


@dataclass(slots=True)
class Lane:
    """The open pulls of one durable: the token of each and how many it asked."""

    outstanding: int = 0
    pulls: dict[str, int] = field(default_factory=dict)
    heard: float = 0.0
    patience: float = GRACE_S
    is_alone: bool = False


class JetStreamPuller:
    """Implements DemandPuller on one connection; the connection tells it of losses and returns."""

    def __init__(
        self,
        nc: Client,
        stream: str,
        on_item: OnItem,
        on_short: OnShort,
        heartbeat_s: float = 1.0,
    ) -> None:
        self._nc, self._stream = nc, stream
        self._on_item, self._on_short = on_item, on_short
        self._heartbeat_s = heartbeat_s
        self._lanes: dict[str, Lane] = {}
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._number = 0
        self._watch: asyncio.Task[None] | None = None
        self._is_stopped = False

    async def start(self) -> None:
        """Subscribe and begin to watch. Raises StoreUnavailable."""
        await self._subscribe()
        self._watch = asyncio.create_task(self._watchdog(), name=f"puller {self._stream}")

    async def pull(self, durable: str, n: int, expires_s: float | None = None) -> None:
        """See `DemandPuller.pull`."""
        lane = self._lanes.setdefault(durable, Lane())
        if n < 1 or lane.is_alone or (expires_s is None and lane.pulls):
            raise HermesBug(f"pull of {n} from {durable} beside {lane.outstanding} asked")
        if not self._nc.is_connected or self._subscription is None:
            raise StoreUnavailable("nats", "not connected")
        self._number += 1
        token = str(self._number)
        if not lane.pulls:
            lane.patience = GRACE_S
        lane.pulls[token] = n
        lane.outstanding += n
        lane.heard = asyncio.get_running_loop().time()
        lane.is_alone = expires_s is None
        body, patience = self._request(n, expires_s)
        lane.patience = max(lane.patience, patience)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{durable}"
        try:
            await self._nc.publish(subject, body, reply=f"{self._inbox}.{durable}.{token}")
        except (NatsError, OSError) as error:
            self._over(durable, lane, token, Short.LOST, n)
            raise StoreUnavailable("nats", reason_of(error)) from error

    def _request(self, n: int, expires_s: float | None) -> tuple[bytes, float]:
        if expires_s is None:
            return b'{"batch":%d,"no_wait":true}' % n, GRACE_S
        expires = int(expires_s * 1e9)
        # a heartbeat above half of expires is refused (status 400)
        if expires_s < 2 * self._heartbeat_s:
            return b'{"batch":%d,"expires":%d}' % (n, expires), expires_s + GRACE_S
        beat = int(self._heartbeat_s * 1e9)
        asked = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (n, expires, beat)
        return asked, SILENCE * self._heartbeat_s

    def outstanding(self, durable: str) -> int:
        """See `DemandPuller.outstanding`."""
        lane = self._lanes.get(durable)
        return 0 if lane is None else lane.outstanding

    async def stop(self) -> None:
        """See `DemandPuller.stop`."""
        self._is_stopped = True
        self._lanes.clear()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait((self._watch,))
            self._watch = None
        await self._unsubscribe()

    def lose_all(self) -> None:
        """Give up whatever is outstanding: the connection it was asked on is gone."""
        for durable, lane in self._lanes.items():
            short = lane.outstanding
            lane.outstanding, lane.is_alone = 0, False
            lane.pulls.clear()
            if short:
                self._on_short(durable, short, Short.LOST)

    async def renew(self) -> None:
        """Give up whatever is outstanding and go on with a fresh inbox."""
        if self._is_stopped:
            return
        await self._unsubscribe()
        self.lose_all()
        await self._subscribe()

    async def _subscribe(self) -> None:
        inbox = self._inbox = self._nc.new_inbox()

        async def arrived(message: Msg) -> None:
            if not message.reply:
                if inbox == self._inbox:
                    self._status(message)
            elif inbox == self._inbox:
                await self._deliver(message)
            else:
                await self._nc.publish(message.reply, NAK)  # too late: nobody counts on it now

        try:
            self._subscription = await self._nc.subscribe(
                f"{inbox}.*.*",
                cb=arrived,
                pending_msgs_limit=UNLIMITED,
                pending_bytes_limit=UNLIMITED,
            )
        except (NatsError, OSError) as error:
            raise StoreUnavailable("nats", reason_of(error)) from error

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._inbox = ""
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except (NatsError, OSError):
                return  # closed or draining: it goes with the connection

    async def _deliver(self, message: Msg) -> None:
        tokens = message.reply.split(".")
        # $JS.ACK.[<domain>.<account>.]<stream>.<durable>.<delivered>.<seq>.<seq>.<time>.<pending>
        at = 2 if len(tokens) == 9 else 4
        durable = tokens[at + 1]
        lane = self._lanes.get(durable)
        if lane is None or not lane.outstanding:
            await self._nc.publish(message.reply, NAK)  # never more than was asked
            return
        lane.heard = asyncio.get_running_loop().time()
        lane.outstanding -= 1
        if not lane.outstanding:
            lane.pulls.clear()
            lane.is_alone = False
        self._on_item(
            Delivery(
                message.subject,
                message.data,
                message.reply,
                int(tokens[at + 3]),
                int(tokens[at + 2]),
                tokens[at],
                durable,
            )
        )

    def _status(self, message: Msg) -> None:
        durable, token = message.subject.rsplit(".", 2)[1:]
        lane = self._lanes.get(durable)
        if lane is None or token not in lane.pulls:
            return
        lane.heard = asyncio.get_running_loop().time()
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == HEARTBEAT:
            return
        if status not in REASON:
            raise HermesBug(f"pull from {durable} answered {status} {headers.get('Description')}")
        left = headers.get("Nats-Pending-Messages")
        why = Short.MISSING if is_deleted(headers) else REASON[status]
        self._over(durable, lane, token, why, None if left is None else int(left))

    def _over(self, durable: str, lane: Lane, token: str, why: Short, left: int | None) -> None:
        asked = lane.pulls.pop(token, 0)
        if not lane.pulls:
            short = lane.outstanding  # it was the only one, so all that is missing was its
        else:
            short = min(lane.outstanding, asked if left is None else left)
        lane.outstanding -= short
        lane.is_alone = False
        if short:
            self._on_short(durable, short, why)

    async def _watchdog(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._heartbeat_s / 2)
            now = loop.time()
            silent = any(
                lane.pulls and now - lane.heard > lane.patience for lane in self._lanes.values()
            )
            if (silent or self._subscription is None) and self._nc.is_connected:
                try:
                    await self.renew()
                except StoreUnavailable:
                    continue


def is_deleted(headers: dict[str, str]) -> bool:
    """Say whether a status tells that the durable or its stream went away."""
    return "Deleted" in headers.get("Description", "")
