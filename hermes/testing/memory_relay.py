"""A relay in this process, whose answers the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from hermes.mail.hello import Extensions
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mail.session_effect import Stage
from hermes.ports.link import CreditChanged, Lost, NotSent
from hermes.ports.relay import RelayClosed, RelayEvent, RelayOpened, RelayResult

Answer: TypeAlias = Reply | Lost | NotSent | None
"""What a mail gets at once; None leaves it under way until `answer` is called."""


class MemoryRelay:
    """Implements Relay; `judge` says what each mail gets, `mails` are those that went out."""

    def __init__(
        self,
        on_event: Callable[[RelayEvent], None],
        judge: Callable[[Mail], Answer],
        connections: int = 4,
        refusal: Exception | None = None,
    ) -> None:
        self.on_event = on_event
        self.judge = judge
        self.connections = connections
        self.refusal = refusal
        self.mails: list[Mail] = []
        self._open: dict[asyncio.Future[RelayResult], Mail] = {}
        self._over: asyncio.Future[str] | None = None
        self._gone = asyncio.Event()
        self._is_draining = False
        self._paused_until = 0.0

    @property
    def credit(self) -> int:
        """See `Relay.credit`."""
        is_paused = asyncio.get_running_loop().time() < self._paused_until
        if self._over is None or self._over.done() or self._is_draining or is_paused:
            return 0
        return self.connections - len(self._open)

    async def run(self) -> str:
        """See `Relay.run`; raises `refusal` if there is one."""
        if self._over is not None:
            raise RuntimeError("the relay runs already")
        if self.refusal is not None:
            raise self.refusal
        over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._over, self._is_draining = over, False
        self._gone.clear()
        self.on_event(RelayOpened(Extensions()))
        reason = "cancelled"
        try:
            reason = await over
            return reason
        finally:
            for future in list(self._open):
                self.answer(future, Lost(reason))
            self._over = None
            self._gone.set()
            self.on_event(RelayClosed(reason))

    def submit(self, mail: Mail) -> asyncio.Future[RelayResult]:
        """See `Relay.submit`."""
        future: asyncio.Future[RelayResult] = asyncio.get_running_loop().create_future()
        if self.credit <= 0:
            future.set_exception(NotSent("no credit"))
            return future
        self.mails.append(mail)
        self._open[future] = mail
        answer = self.judge(mail)
        if answer is not None:
            asyncio.get_running_loop().call_soon(self.answer, future, answer)
        return future

    def answer(self, future: asyncio.Future[RelayResult], answer: Reply | Lost | NotSent) -> None:
        """Give a mail that is under way its outcome."""
        if self._open.pop(future, None) is None or future.done():
            return
        if isinstance(answer, Reply):
            future.set_result(RelayResult(answer, Stage.CONTENT, 0.0))
        else:
            future.set_exception(answer)
        if self.credit:
            self.on_event(CreditChanged(self.credit))

    def under_way(self) -> list[asyncio.Future[RelayResult]]:
        """Give the mails without an outcome, the oldest first."""
        return list(self._open)

    def end(self, reason: str) -> None:
        """End the run, as a relay that is gone does."""
        if self._over is not None and not self._over.done():
            self._over.set_result(reason)

    def pause(self, seconds: float) -> None:
        """See `Relay.pause`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            loop.call_later(seconds, self._on_time)

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Relay.drain`."""
        if self._over is None:
            return
        self._is_draining = True
        if self._open:
            await asyncio.wait(list(self._open), timeout=timeout)
        self.end("drained")
        await self._gone.wait()

    def _on_time(self) -> None:
        if self.credit:
            self.on_event(CreditChanged(self.credit))
