"""Plans of several steps on the whole daemon: the next step on failure or silence, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from hermes.testing.daemon_process import (
    SCALED,
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    running_carrier,
    running_daemon,
)
from tests.system.cascades import (
    DELIVERED,
    SILENT,
    UNDELIVERED,
    WITHIN,
    at_carrier,
    final,
    registered,
    send,
    sms,
    submits,
)

pytestmark = [pytest.mark.daemon, pytest.mark.services]

ENV = {**SCALED, "HERMES_RESTATE__ENABLED": "true"}


@pytest.fixture(scope="module")
def carrier() -> Iterator[CarrierProcess]:
    with running_carrier(latency_ms=10, receipt_delay_ms=100) as running:
        yield running


@pytest.fixture(scope="module", params=["plain", "lazy"])
def daemon(carrier: CarrierProcess, request: pytest.FixtureRequest) -> Iterator[DaemonProcess]:
    """One daemon for each way to start: at once, or when the first step failed or was silent."""
    lazy = {"HERMES_RESTATE__LAZY_START": "true"} if request.param == "lazy" else {}
    price = '[{ prefix = "", amount = "0.05", currency = "EUR" }]'
    config = carrier.configure(window=10, price=price)
    with running_daemon({**ENV, **lazy}, config=config) as running:
        yield running


@pytest.fixture
async def client(daemon: DaemonProcess) -> AsyncIterator[Client]:
    await registered(daemon)
    async with client_of(daemon) as found:
        yield found


async def test_a_failed_step_is_followed_at_once(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(UNDELIVERED, 600), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 1]
    assert at_carrier(carrier, second) - at_carrier(carrier, first) < 5
    assert [step["state"] for step in view["cascade"]] == ["failed", "won"]


async def test_a_silent_step_is_followed_after_its_wait(
    carrier: CarrierProcess, client: Client
) -> None:
    first, second = sms(SILENT, 1), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 1]
    assert 0.8 < at_carrier(carrier, second) - at_carrier(carrier, first) < 7


async def test_a_step_that_won_is_the_last(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(DELIVERED, 1), sms(DELIVERED, 600)
    name = await send(client, first, second)
    assert (await final(client, name))["state"] == "delivered"
    # the wait of the first passes with nothing
    last = sms(SILENT, 1), sms(DELIVERED, 600)
    assert (await final(client, await send(client, *last)))["state"] == "delivered"
    assert submits(carrier, first, second) == [1, 0]
    view = await client.view(name)
    assert [step["state"] for step in view["cascade"]] == ["won", "skipped"]


async def test_all_fail_and_the_last_one_says_why(carrier: CarrierProcess, client: Client) -> None:
    steps = [sms(UNDELIVERED, 600), sms(UNDELIVERED, 600), sms(UNDELIVERED, 600)]
    view = await final(client, await send(client, *steps))
    assert (view["state"], view["reason"]["code"]) == ("failed", "undeliv")
    assert submits(carrier, *steps) == [1, 1, 1]


async def test_silence_to_the_end_is_expired(carrier: CarrierProcess, client: Client) -> None:
    steps = [sms(SILENT, 1), sms(SILENT, 1)]
    view = await final(client, await send(client, *steps))
    assert (view["state"], view["reason"]["code"]) == ("expired", "silent")
    assert submits(carrier, *steps) == [1, 1]


async def test_what_was_sent_is_enough_where_the_step_says_so(
    carrier: CarrierProcess, client: Client
) -> None:
    first, second = sms(SILENT, 600, success="sent"), sms(DELIVERED, 600)
    view = await final(client, await send(client, first, second))
    assert view["state"] == "sent"
    assert submits(carrier, first, second) == [1, 0]


async def test_a_cancelled_cascade_goes_no_further(carrier: CarrierProcess, client: Client) -> None:
    first, second = sms(SILENT, 1), sms(DELIVERED, 600)
    name = await send(client, first, second)
    async with asyncio.timeout(WITHIN):
        while submits(carrier, first) == [0]:
            await asyncio.sleep(0.02)
    async with client.session.delete(f"{client.url}/v1/messages/{name}") as answer:
        assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")
    other = sms(SILENT, 2), sms(DELIVERED, 600)
    await final(client, await send(client, *other))
    assert submits(carrier, first, second) == [1, 0]
    view = await client.view(name)
    assert view["state"] == "cancelled"
    assert "superseded" in [event["kind"] for event in view["events"]]


@pytest.mark.parametrize(
    ("amount", "state", "sent"),
    [("0.04", "failed", [0, 0]), ("0.05", "failed", [1, 0]), ("0.10", "delivered", [1, 1])],
)
async def test_a_bound_on_the_cost_refuses_the_step_that_would_pass_it(
    carrier: CarrierProcess, client: Client, amount: str, state: str, sent: list[int]
) -> None:
    steps = sms(UNDELIVERED, 600), sms(DELIVERED, 600)
    cost = {"amount": amount, "currency": "EUR"}
    view = await final(client, await send(client, *steps, max_cost=cost))
    assert (view["state"], submits(carrier, *steps)) == (state, sent)
    if state == "failed":
        assert view["reason"]["code"] == "max_cost"
