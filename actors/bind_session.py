"""The lives of one bind's link: run, end, wait by class of failure, run again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from hermes.adapters.link_settings import settings_of
from hermes.adapters.links import link_of
from hermes.core.carrier import Bind
from hermes.ports.link import (
    BindRefused,
    Bound,
    Congestion,
    Inbound,
    LateResponse,
    Link,
    LinkEvent,
    Nacked,
    Problem,
    RttMeasured,
    SubmitResult,
    Unbound,
)
from hermes.settings.tree import Smpp
from hermes.smpp.backoff import BackoffTimes, next_wait
from hermes.smpp.status import BindRetry, classify_bind, status_name

LEAVE_WITHIN = 1.0
STABLE_AFTER = 10.0
"""A session that was bound this long ends the back-off of the failures before it."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom the session tells."""

    on_deliver: Callable[[Inbound, Link], None]
    on_bound: Callable[[Link], None]
    on_unbound: Callable[[], None]
    on_credit: Callable[[], None]
    on_late: Callable[[str, SubmitResult], None]
    on_congestion: Callable[[int], None]
    on_nack: Callable[[], None]
    on_problem: Callable[[str], None]


class BindSession:
    """Holds one bind for as long as its actor lives."""

    def __init__(
        self, bind: Bind, smpp: Smpp, ears: Ears, log: structlog.typing.FilteringBoundLogger
    ) -> None:
        self.bind, self.smpp, self.ears, self.log = bind, smpp, ears, log
        self.link: Link | None = None
        self.state = "unbound"
        self.reason = ""
        self.rtt: float | None = None
        self.failures = 0
        self.stopping = False
        self.bound_at: float | None = None
        self.told_to_retry: BindRetry | None = None
        self.leaving: asyncio.Task[None] | None = None

    async def hold_forever(self) -> None:
        """Live, wait, live again."""
        times = BackoffTimes(
            self.smpp.backoff_first,
            self.smpp.backoff_max,
            self.smpp.backoff_bound,
            self.smpp.backoff_refused,
        )
        while True:
            self.bound_at = None
            retry = await self.live()
            self.failures = 1 if self.was_stable() else self.failures + 1
            if self.is_stopping():
                return
            jitter = random.random()  # noqa: S311 - spreads reconnects, no secret
            wait = next_wait(retry, self.failures, jitter, times)
            self.state = "waiting"
            level = self.log.error if retry is BindRetry.CREDENTIALS else self.log.warning
            level("bind.lost", reason=self.reason, failures=self.failures, wait_s=round(wait, 2))
            await asyncio.sleep(wait)

    def was_stable(self) -> bool:
        """Say whether the last session was bound for long; binding itself may take its timer."""
        if self.bound_at is None:
            return False
        return asyncio.get_running_loop().time() - self.bound_at > STABLE_AFTER

    def is_stopping(self) -> bool:
        """Say whether `drain` was called."""
        return self.stopping

    async def live(self) -> BindRetry:
        """Live through one session; give how the next one is tried."""
        self.state = "binding"
        self.told_to_retry = None
        try:
            engine, settings = self.bind.engine, settings_of(self.bind, self.smpp)
            link = link_of(engine, settings, self.on_deliver, self.on_event)
            self.link = link
            self.reason = await link.run()
        except BindRefused as error:
            self.reason = f"bind refused: {status_name(error.status)}"
            return classify_bind(error.status)
        except (OSError, TimeoutError, ValueError) as error:
            self.reason = str(error) or type(error).__name__
        finally:
            self.state = "unbound"
            self.ears.on_unbound()
        return self.retry_after()

    def retry_after(self) -> BindRetry:
        """Give how a session that ended by itself is followed by the next."""
        return self.told_to_retry or BindRetry.NORMAL

    def rebind(self, retry: BindRetry, reason: str) -> None:
        """Unbind and bind again: what the carrier answers shows that this session is wrong."""
        if self.link is None or self.state != "bound" or self.told_to_retry is not None:
            return
        self.log.error("bind.left", reason=reason)
        self.told_to_retry = retry
        self.leaving = asyncio.create_task(self.link.drain(LEAVE_WITHIN))

    async def drain(self, timeout_s: float) -> None:
        """Unbind once what is in flight is answered."""
        self.stopping = True
        if self.link is not None:
            await self.link.drain(timeout_s)

    def on_deliver(self, inbound: Inbound) -> None:
        """A PDU came from the carrier."""
        if self.link is not None:
            self.ears.on_deliver(inbound, self.link)

    def on_event(self, event: LinkEvent) -> None:
        """The link tells."""
        match event:
            case Bound():
                self.state = "bound"
                self.bound_at = asyncio.get_running_loop().time()
                self.reason = ""
                self.log.info("bind.bound", system_id=event.system_id)
                if self.link is not None:
                    self.ears.on_bound(self.link)
            case Unbound():
                self.state = "unbound"
            case RttMeasured(seconds=seconds):
                self.rtt = seconds
            case LateResponse(reference=attempt, result=result):
                self.ears.on_late(attempt, result)
            case Congestion(level=level):
                self.ears.on_congestion(level)
            case Nacked():
                self.ears.on_nack()
            case Problem(reason=reason):
                self.ears.on_problem(reason)
            case _:
                self.ears.on_credit()
