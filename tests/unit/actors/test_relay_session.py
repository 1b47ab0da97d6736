"""A relay account is held through its losses, each followed by the wait of its kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from actors.relay_session import RelayEars, RelaySession
from hermes.mail.reply import Reply
from hermes.mail.session_effect import Stage
from hermes.mail.verdict import RelayRetry
from hermes.ports.relay import RelayRefused
from hermes.smpp.backoff import BackoffTimes
from hermes.testing.memory_relay import MemoryRelay
from tests.unit.actors.relay_world import TAKEN, RelayWorld

SHORT = BackoffTimes(first=0.01, longest=0.01, old_session=0.01, credentials=0.01)
until = RelayWorld.until


class Stand:
    """A session over a relay in memory, and what it told."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.told: list[str] = []
        ears = RelayEars(
            lambda _: self.told.append("open"),
            lambda: self.told.append("closed"),
            lambda: self.told.append("credit"),
        )
        self.relay: MemoryRelay

        def make(on_event: object) -> MemoryRelay:
            assert callable(on_event)
            self.relay = MemoryRelay(on_event, lambda _: TAKEN, refusal=refusal)
            return self.relay

        self.session = RelaySession(make, SHORT, ears, structlog.get_logger())

    @asynccontextmanager
    async def held(self) -> AsyncIterator[asyncio.Task[None]]:
        """Hold it."""
        task = asyncio.create_task(self.session.hold_forever())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_a_relay_that_is_lost_is_opened_again() -> None:
    stand = Stand()
    async with stand.held():
        await until(lambda: stand.session.state == "open")
        stand.relay.end("connection reset")
        await until(lambda: stand.told.count("open") == 2)
    assert stand.told[:3] == ["open", "closed", "open"]


async def test_a_refusal_is_kept_as_the_reason_and_tried_again() -> None:
    refused = RelayRefused(Stage.AUTH, "the server refused", Reply(535, ("5.7.8 no",)))
    stand = Stand(refused)
    async with stand.held():
        await until(lambda: stand.session.failures == 2)
        assert "535" in stand.session.reason
        stand.relay.refusal = None
        await until(lambda: stand.session.state == "open")
        assert stand.session.reason == ""


async def test_each_kind_of_failure_has_its_wait() -> None:
    for error, retry in (
        (RelayRefused(Stage.AUTH, "no", Reply(535, ("no",))), RelayRetry.CREDENTIALS),
        (RelayRefused(Stage.STARTTLS, "no TLS is offered"), RelayRetry.CREDENTIALS),
        (RelayRefused(Stage.CONNECT, "no", Reply(421, ("busy",))), RelayRetry.BUSY),
        (ConnectionRefusedError("refused"), RelayRetry.NORMAL),
        (TimeoutError(), RelayRetry.NORMAL),
    ):
        assert await Stand(error).session.live() is retry


async def test_a_relay_that_is_left_is_followed_by_the_wait_of_a_wrong_account() -> None:
    stand = Stand()
    life = asyncio.create_task(stand.session.live())
    await until(lambda: stand.session.state == "open")
    stand.session.leave("the relay answers 535")
    assert await life is RelayRetry.CREDENTIALS


async def test_a_drained_session_ends_and_stays_so() -> None:
    stand = Stand()
    async with stand.held() as task:
        await until(lambda: stand.session.state == "open")
        await stand.session.drain(1.0)
        await asyncio.wait_for(task, 5)
    assert stand.told == ["open", "closed"]
