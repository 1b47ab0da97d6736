"""The contract of a relay: the pool of real connections against a sink, and the one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from hermes.adapters.relay_pool import RelayPool
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mailsink.sink import Sink, SinkSettings
from hermes.ports.link import CreditChanged, Lost, NotSent
from hermes.ports.relay import Relay, RelayClosed, RelayEvent, RelayOpened
from hermes.testing.memory_relay import Answer, MemoryRelay
from tests.contract.mail.relay_client import Client, outcome, relay_settings, until

WIDTH = 3


def judge(mail: Mail) -> Answer:
    """What the sink does, without its wire."""
    match mail.recipient.partition("@")[0].partition("+")[0]:
        case "reject":
            return Reply(550, ("5.1.1 no such mailbox",))
        case "defer":
            return Reply(451, ("4.7.1 greylisted",))
        case "drop":
            return Lost("connection closed")
        case "slow":
            return None
        case _:
            return Reply(250, ("2.0.0 ok",))


class Stand:
    """A relay of one kind, and how many mails reached its other end."""

    def __init__(
        self,
        make: Callable[[Callable[[RelayEvent], None]], Relay],
        taken: Callable[[], int],
    ) -> None:
        self.client, self.taken = Client(make), taken


@asynccontextmanager
async def pool() -> AsyncIterator[Stand]:
    sink = Sink(SinkSettings())
    await sink.start()
    settings = relay_settings(sink.port, connections=WIDTH)
    stand = Stand(lambda tell: RelayPool(settings, tell), lambda: sink.mailbox.count)
    try:
        yield stand
    finally:
        await stand.client.end()
        await sink.stop()


@asynccontextmanager
async def memory() -> AsyncIterator[Stand]:
    made: list[MemoryRelay] = []

    def make(tell: Callable[[RelayEvent], None]) -> Relay:
        made.append(MemoryRelay(tell, judge, WIDTH))
        return made[0]

    stand = Stand(make, lambda: len(made[0].mails))
    try:
        yield stand
    finally:
        await stand.client.end()


@pytest.fixture(params=[pool, memory], ids=["pool", "memory"])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    async with request.param() as made:
        await made.client.opened()
        yield made


async def test_the_credit_is_the_number_of_connections(stand: Stand) -> None:
    assert stand.client.relay.credit == WIDTH
    futures = [stand.client.submit("slow+60@x.example") for _ in range(WIDTH)]
    assert stand.client.relay.credit == 0
    assert not any(future.done() for future in futures)


async def test_a_mail_has_its_answer(stand: Stand) -> None:
    found = [
        outcome_of
        for name in ("anna", "reject", "defer", "drop")
        for outcome_of in [await one(stand.client, f"{name}@x.example")]
    ]
    assert [each.partition(" ")[0] for each in found] == ["accepted", "550", "451", "Lost"]
    await until(lambda: stand.client.relay.credit == WIDTH)


async def one(client: Client, recipient: str) -> str:
    future = client.submit(recipient)
    await asyncio.wait([future], timeout=10)
    return outcome(future)


async def test_a_mail_without_credit_was_never_written(stand: Stand) -> None:
    for _ in range(WIDTH):
        stand.client.begin("slow+60@x.example")
    with pytest.raises(NotSent, match="no credit"):
        await stand.client.submit("anna@x.example")


async def test_a_free_connection_is_told(stand: Stand) -> None:
    for _ in range(WIDTH):
        stand.client.begin("anna@x.example")
    await stand.client.outcomes()
    await until(lambda: stand.client.relay.credit == WIDTH)
    told = stand.client.of(CreditChanged)
    assert told
    assert all(0 < each.credit <= WIDTH for each in told)


async def test_many_mails_go_and_each_arrives_once(stand: Stand) -> None:
    assert await stand.client.send_many(100, "anna@x.example") == {"accepted": 100}
    assert stand.taken() == 100


async def test_nothing_begins_in_a_pause_and_its_end_is_told(stand: Stand) -> None:
    relay = stand.client.relay
    relay.pause(0.2)
    relay.pause(0.1)  # the longer one stays
    told = len(stand.client.of(CreditChanged))
    assert relay.credit == 0
    with pytest.raises(NotSent):
        await stand.client.submit("anna@x.example")
    begun = asyncio.get_running_loop().time()
    await until(lambda: len(stand.client.of(CreditChanged)) > told)
    assert asyncio.get_running_loop().time() - begun > 0.15
    assert relay.credit == WIDTH


async def test_a_drain_lets_end_what_has_begun(stand: Stand) -> None:
    future = stand.client.submit("anna@x.example")
    await stand.client.relay.drain()
    assert outcome(future) == "accepted"
    assert await stand.client.life == "drained"
    assert stand.client.relay.credit == 0


async def test_a_drain_gives_up_what_takes_too_long(stand: Stand) -> None:
    future = stand.client.submit("slow+60@x.example")
    await until(lambda: stand.taken() == 1)
    await stand.client.relay.drain(0.1)
    assert outcome(future) == "Lost"
    assert await stand.client.life == "drained"


async def test_a_cancelled_run_leaves_no_mail_without_an_outcome(stand: Stand) -> None:
    future = stand.client.submit("slow+60@x.example")
    await until(lambda: stand.taken() == 1)
    stand.client.life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stand.client.life
    assert outcome(future) == "Lost"
    assert stand.client.of(RelayClosed) == [RelayClosed("cancelled")]


async def test_a_relay_lives_again(stand: Stand) -> None:
    client = stand.client
    await client.relay.drain()
    await client.life
    client.life = asyncio.create_task(client.relay.run())
    await until(lambda: len(client.of(RelayOpened)) == 2)
    assert (await client.send("anna@x.example")).is_accepted


async def test_a_relay_runs_once_at_a_time(stand: Stand) -> None:
    with pytest.raises(RuntimeError, match="runs already"):
        await stand.client.relay.run()


async def test_a_drain_of_one_that_does_not_run_returns(stand: Stand) -> None:
    await stand.client.relay.drain()
    await stand.client.life
    await stand.client.relay.drain()


async def test_a_mail_given_up_by_its_caller_does_no_harm(stand: Stand) -> None:
    future = stand.client.submit("anna@x.example")
    stand.client.submits.remove(future)
    future.cancel()
    assert (await stand.client.send("anna@x.example")).is_accepted


def test_both_are_relays() -> None:
    settings = relay_settings(1)
    assert cast("list[Relay]", [RelayPool(settings, lambda _: None)])
    assert cast("list[Relay]", [MemoryRelay(lambda _: None, judge)])
