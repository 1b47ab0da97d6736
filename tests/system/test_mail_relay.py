"""Mail through a whole daemon: what the relay answers is what the message becomes, once each.

Judged from what the mail sink kept against the client's list of 202s.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import SCALED, Client, DaemonProcess, client_of, running_daemon
from tests.system.cascades import final, find, send

pytestmark = [pytest.mark.daemon, pytest.mark.services]

RELAY = "root/main/mesh/mail/relay"
COUNT = 120


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """A daemon as it is delivered, without an engine of cascades."""
    with running_daemon(
        {**SCALED, "HERMES_RESTATE__ENABLED": "false", "HERMES_MAIL__CONFIRM_AFTER": "0.2"}
    ) as running:
        yield running


async def one(client: Client, to: str, **step: Any) -> str:
    """Send one mail; give its message."""
    return await send(client, {"channel": "email", "to": to, **step})


async def came(daemon: DaemonProcess) -> Counter[str]:
    """Count what the sink kept, by recipient."""
    url = f"http://127.0.0.1:{daemon.wiring['mailsink_control_port']}"
    kept = await asyncio.to_thread(ask_carrier, url, "GET", "/mails?limit=1000")
    return Counter(mail["recipient"] for mail in kept["mails"])


def kinds(view: dict[str, Any]) -> list[str]:
    """Give the kinds of a message's events."""
    return [event["kind"] for event in view["events"]]


async def facts(daemon: DaemonProcess) -> dict[str, Any]:
    """Give what the relay says of itself."""
    return dict(find(await asyncio.to_thread(daemon.tree), RELAY).get("facts", {}))


async def test_the_tree_tells_of_the_relay(daemon: DaemonProcess) -> None:
    said = await facts(daemon)
    assert said["state"] == "open"
    assert said.keys() >= {"carrier", "relay", "in_flight", "held", "connections", "accepted"}
    assert said["carrier"] == "mail"


@pytest.mark.parametrize(
    ("to", "state", "kind"),
    [
        ("ann@relay.example.net", "delivered", "delivered"),
        ("reject@relay.example.net", "failed", "failed"),
        ("spam@relay.example.net", "failed", "failed"),
        ("bounce+0.1@relay.example.net", "undelivered", "undelivered"),
    ],
)
async def test_a_mail_becomes_what_the_relay_answers(
    daemon: DaemonProcess, to: str, state: str, kind: str
) -> None:
    async with client_of(daemon) as client:
        view = await final(client, await one(client, to))
    assert view["state"] == state
    assert kind in kinds(view)


async def test_a_connection_that_ends_after_the_final_dot_leaves_the_mail_uncertain(
    daemon: DaemonProcess,
) -> None:
    to = "drop@relay.example.net"
    async with client_of(daemon) as client:
        name = await one(client, to)
        async with asyncio.timeout(20):
            while "uncertain" not in kinds(await client.view(name)):
                await asyncio.sleep(0.05)
    assert (await came(daemon))[to] >= 1


async def test_no_mail_is_lost_and_none_sent_twice_unsaid_when_the_relay_is_killed(
    daemon: DaemonProcess,
) -> None:
    addresses = [f"slow+0.2.x{n}@many.example.net" for n in range(COUNT)]
    before = (await facts(daemon))["accepted"]
    async with client_of(daemon) as client:
        names = [await one(client, to, success="sent") for to in addresses]
        async with asyncio.timeout(20):
            while (await facts(daemon)).get("accepted", 0) < before + 10:
                await asyncio.sleep(0.05)
        victim = find(await asyncio.to_thread(daemon.tree), RELAY)["pid"]
        os.kill(victim, signal.SIGKILL)
        views = [await final(client, name) for name in names]
    assert (await facts(daemon))["state"] == "open"
    kept = await came(daemon)
    assert any("uncertain" in kinds(view) for view in views)
    for to, view in zip(addresses, views, strict=True):
        told = (to, view["state"], kinds(view))
        assert kept[to] >= 1 or "uncertain" in kinds(view), told
        assert kept[to] <= 1 or view["possible_duplicate"], told


async def test_an_orderly_stop_lets_what_is_under_way_be_answered(daemon: DaemonProcess) -> None:
    addresses = [f"slow+0.5.x{n}@stop.example.net" for n in range(40)]
    async with client_of(daemon) as client:
        names = [await one(client, to, success="sent") for to in addresses]
        async with asyncio.timeout(20):
            while (await facts(daemon)).get("in_flight", 0) == 0:
                await asyncio.sleep(0.02)
    await asyncio.to_thread(daemon.stop)
    await asyncio.to_thread(daemon.start)
    async with client_of(daemon) as client:
        views = [await final(client, name) for name in names]
    assert {view["state"] for view in views} == {"sent"}
    assert not any("uncertain" in kinds(view) for view in views)
