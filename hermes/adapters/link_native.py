"""A Link of our own: the accounts and the sans-I/O session on an asyncio.Protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from hermes.adapters.link_accounts import Accounts, Pause
from hermes.adapters.link_native_life import Ears, Life
from hermes.adapters.link_stream import open_protocol
from hermes.ports.link import (
    Bound,
    CreditChanged,
    Inbound,
    LinkEvent,
    LinkSettings,
    SubmitResult,
    WirePdu,
)
from hermes.smpp.session import encode_deliver_resp


class NativeLink:
    """One SMPP session; see `hermes.ports.link.Link` for the contract of the public methods."""

    def __init__(
        self,
        settings: LinkSettings,
        on_deliver: Callable[[Inbound], None],
        on_event: Callable[[LinkEvent], None],
    ) -> None:
        self.settings = settings
        self.on_deliver = on_deliver
        self.on_event = on_event
        self._accounts = Accounts(settings.window, settings.response_timeout, self._tell)
        self._life: Life | None = None
        self._lives = 0
        self._pause = Pause(self._on_resume)
        self._draining = False

    @property
    def credit(self) -> int:
        """See `Link.credit`."""
        return self._accounts.credit

    async def run(self) -> str:
        """See `Link.run`."""
        if self._life is not None:
            raise RuntimeError("the link runs already")
        self._lives += 1
        number, ears = self._lives, Ears(self._on_bound, self._deliver, self._tell)
        self._life = life = Life(self.settings, number, self._accounts, ears)
        self._draining = False
        try:
            async with asyncio.timeout(self.settings.bind_timeout):
                await open_protocol(self.settings, life)
                await life.bound.wait()
            await life.ended.wait()
            if life.fault is not None:
                raise life.fault
            return life.reason
        finally:
            life.abort()
            self._life = None
            life.gone.set()
            life.end("cancelled")

    def submit(self, pdu: WirePdu) -> asyncio.Future[SubmitResult]:
        """See `Link.submit`."""
        future = self._accounts.submit(pdu)
        if self._life is not None:
            self._life.flush_soon()
        return future

    def answer(self, inbound: Inbound, status: int) -> None:
        """See `Link.answer`."""
        life = self._life
        if life is not None and life.number == inbound.life and life.session.is_bound:
            life.send(encode_deliver_resp(inbound.command_id, status, inbound.sequence))

    def pause(self, seconds: float) -> None:
        """See `Link.pause`."""
        if self._pause.begin(seconds):
            self._accounts.close()

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Link.drain`."""
        life = self._life
        if life is None or not life.session.is_bound:
            return
        self._draining = True
        self._accounts.hand_back("the link is draining")
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._accounts.idle.wait()
        life.unbind()
        await life.gone.wait()

    def _let_submit(self) -> bool:
        """Open the accounts, unless a state, a pause or a drain holds submits back."""
        life = self._life
        if life is None or self._pause.is_on or self._draining:
            return False
        if not life.session.may_submit:
            return False
        self._accounts.open()
        life.flush_soon()
        return True

    def _on_resume(self) -> None:
        if self._let_submit():
            self.on_event(CreditChanged(self.credit))

    def _on_bound(self, system_id: str) -> None:
        self._let_submit()
        self.on_event(Bound(system_id))

    def _deliver(self, inbound: Inbound) -> None:
        self.on_deliver(inbound)

    def _tell(self, event: LinkEvent) -> None:
        self.on_event(event)
