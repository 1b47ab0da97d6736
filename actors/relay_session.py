"""The lives of one relay account: run, end, wait by class of failure, run again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

import structlog

from hermes.mail.verdict import RelayRetry, classify_session
from hermes.ports.link import CreditChanged
from hermes.ports.relay import Relay, RelayClosed, RelayEvent, RelayOpened, RelayRefused
from hermes.smpp.backoff import BackoffTimes, next_wait
from hermes.smpp.status import BindRetry

LEAVE_WITHIN: Final = 1.0
STABLE_AFTER: Final = 10.0
"""A life that was open this long ends the back-off of the failures before it."""

SAME_WAIT: Final = {
    RelayRetry.NORMAL: BindRetry.NORMAL,
    RelayRetry.BUSY: BindRetry.OLD_SESSION,
    RelayRetry.CREDENTIALS: BindRetry.CREDENTIALS,
}


@dataclass(frozen=True, slots=True)
class RelayEars:
    """Whom the session tells."""

    on_open: Callable[[Relay], None]
    on_closed: Callable[[], None]
    on_credit: Callable[[], None]


class RelaySession:
    """Holds one relay account for as long as its actor lives; `make` makes the relay."""

    def __init__(
        self,
        make: Callable[[Callable[[RelayEvent], None]], Relay],
        times: BackoffTimes,
        ears: RelayEars,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self.relay = make(self.on_event)
        self.times, self.ears, self.log = times, ears, log
        self.state = "closed"
        self.reason = ""
        self.failures = 0
        self.stopping = False
        self.opened_at: float | None = None
        self.told_to_retry: RelayRetry | None = None
        self.leaving: asyncio.Task[None] | None = None

    async def hold_forever(self) -> None:
        """Live, wait, live again."""
        while not self.is_stopping():
            self.opened_at, self.told_to_retry = None, None
            retry = await self.live()
            self.failures = 1 if self.was_stable() else self.failures + 1
            if self.is_stopping():
                return
            jitter = random.random()  # noqa: S311 - spreads reconnects, no secret
            wait = next_wait(SAME_WAIT[retry], self.failures, jitter, self.times)
            self.state = "waiting"
            level = self.log.error if retry is RelayRetry.CREDENTIALS else self.log.warning
            level("relay.lost", reason=self.reason, failures=self.failures, wait_s=round(wait, 2))
            await asyncio.sleep(wait)

    def was_stable(self) -> bool:
        """Say whether the last life was open for long."""
        if self.opened_at is None:
            return False
        return asyncio.get_running_loop().time() - self.opened_at > STABLE_AFTER

    def is_stopping(self) -> bool:
        """Say whether `drain` was called."""
        return self.stopping

    async def live(self) -> RelayRetry:
        """Live through one life; give how the next one is tried."""
        self.state = "opening"
        try:
            self.reason = await self.relay.run()
        except RelayRefused as error:
            self.reason = str(error)
            return classify_session(error.reply)
        except (OSError, TimeoutError) as error:
            self.reason = str(error) or type(error).__name__
        finally:
            self.state = "closed"
            self.ears.on_closed()
        return self.retry_after()

    def retry_after(self) -> RelayRetry:
        """Give how a life that ended by itself is followed by the next."""
        return self.told_to_retry or RelayRetry.NORMAL

    def leave(self, reason: str) -> None:
        """End this life and wait long: what the relay answers shows that the account is wrong."""
        if self.state != "open" or self.told_to_retry is not None:
            return
        self.log.error("relay.left", reason=reason)
        self.told_to_retry = RelayRetry.CREDENTIALS
        self.leaving = asyncio.create_task(self.relay.drain(LEAVE_WITHIN))

    async def drain(self, timeout_s: float) -> None:
        """End this life once what is under way is answered; there is no next one."""
        self.stopping = True
        await self.relay.drain(timeout_s)

    def on_event(self, event: RelayEvent) -> None:
        """The relay tells."""
        match event:
            case RelayOpened():
                self.state, self.reason = "open", ""
                self.opened_at = asyncio.get_running_loop().time()
                self.log.info("relay.opened")
                self.ears.on_open(self.relay)
            case CreditChanged():
                self.ears.on_credit()
            case RelayClosed():
                self.state = "closed"
            case _ as never:
                assert_never(never)
