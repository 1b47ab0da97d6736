"""`make run` and nothing else: mail first, then SMS, as `hermes send --cascade` shows it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hermes.testing.daemon_process import SCALED, Client, DaemonProcess, client_of, running_daemon
from tests.system.cascades import (
    DELIVERED,
    SILENT,
    WITHIN,
    Numbers,
    final,
    registered,
    send,
)

pytestmark = [pytest.mark.daemon, pytest.mark.services]


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """A daemon as it is delivered, with its simulated carrier and its mail sink."""
    with running_daemon({**SCALED, "HERMES_RESTATE__ENABLED": "true"}) as running:
        yield running


@pytest.fixture
async def client(daemon: DaemonProcess) -> AsyncIterator[Client]:
    await registered(daemon)
    async with client_of(daemon) as found:
        yield found


def hermes(daemon: DaemonProcess, mail: str, number: str, cascade: str) -> dict[str, Any]:
    """Send with the command line and wait for the end."""
    words = ("send", "--cascade", cascade, "--email", mail, "--to", number, "--text", "hello")
    ended = daemon.run(*words, "--wait", "--json")
    assert ended.stdout, ended.stderr
    view: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == (0 if view["state"] == "delivered" else 1)
    return view


def came(daemon: DaemonProcess, number: str) -> int:
    """Count the SMS that came to a number."""
    submits = Counter(
        line["destination"]
        for line in daemon.simulator_log()
        if line["event"] == "submit" and line.get("message_id")
    )
    return submits[number.removeprefix("+")]


def mails(daemon: DaemonProcess, to: str) -> list[dict[str, Any]]:
    """List the mails the sink has for an address."""
    ended = daemon.run("mail", "list", "--to", to, "--json")
    assert ended.returncode == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(ended.stdout)["mails"]
    return found


def states(view: dict[str, Any]) -> list[str]:
    return [step["state"] for step in view["cascade"]]


async def test_a_mail_that_bounces_is_followed_by_an_sms_at_once(
    daemon: DaemonProcess, client: Client
) -> None:
    number = Numbers.new(DELIVERED)
    mail = "bounce+0.1@one.example.net"
    view = await asyncio.to_thread(hermes, daemon, mail, number, "email:600s,sms:30s")
    assert (view["state"], states(view)) == ("delivered", ["failed", "won"])
    assert came(daemon, number) == 1
    assert [m["recipient"] for m in await asyncio.to_thread(mails, daemon, mail)] == [mail]
    bounce = next(e for e in view["events"] if e["kind"] == "undelivered")
    assert bounce["reason"]["code"]


async def test_a_silent_mail_is_followed_by_an_sms_after_its_wait(
    daemon: DaemonProcess, client: Client
) -> None:
    number = Numbers.new(DELIVERED)
    mail = "silent@two.example.net"
    view = await asyncio.to_thread(hermes, daemon, mail, number, "email:2s,sms:30s")
    assert view["state"] == "delivered"
    assert came(daemon, number) == 1
    assert [attempt["state"] for attempt in view["attempts"]] == ["sent", "delivered"]


async def test_a_mail_that_is_confirmed_is_followed_by_nothing(
    daemon: DaemonProcess, client: Client
) -> None:
    number = Numbers.new(DELIVERED)
    mail = "confirm+0.1@three.example.net"
    view = await asyncio.to_thread(hermes, daemon, mail, number, "email:3s,sms:30s")
    assert (view["state"], states(view)) == ("delivered", ["won", "skipped"])
    # longer than the wait of the first
    other = Numbers.new(DELIVERED)
    await asyncio.to_thread(hermes, daemon, "silent@x.example.net", other, "email:4s,sms:30s")
    assert came(daemon, number) == 0


async def test_a_late_confirmation_stops_an_sms_that_is_queued(
    daemon: DaemonProcess, client: Client
) -> None:
    number = Numbers.new(DELIVERED)
    assert (await asyncio.to_thread(daemon.run, "carrier", "pause", "sim")).returncode == 0
    try:
        mail = {"channel": "email", "to": "confirm+6@four.example.net", "wait": 1}
        name = await send(client, mail, {"channel": "sms", "to": number, "wait": 600})
        async with asyncio.timeout(WITHIN):
            while len((await client.view(name))["attempts"]) < 2:
                await asyncio.sleep(0.05)
        view = await final(client, name)
        assert (view["state"], states(view)[0]) == ("delivered", "won")
        async with asyncio.timeout(WITHIN):
            while states(await client.view(name)) != ["won", "cancelled"]:
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(daemon.run, "carrier", "resume", "sim")
    other = Numbers.new(DELIVERED)
    await final(client, await send(client, {"channel": "sms", "to": other}))
    assert (came(daemon, number), came(daemon, other)) == (0, 1)


async def test_a_late_confirmation_supersedes_an_sms_the_carrier_has(
    daemon: DaemonProcess, client: Client
) -> None:
    number = Numbers.new(SILENT)
    mail = {"channel": "email", "to": "confirm+8@five.example.net", "wait": 1}
    name = await send(client, mail, {"channel": "sms", "to": number, "wait": 600})
    view = await final(client, name)
    assert view["state"] == "delivered"
    assert came(daemon, number) == 1
    async with asyncio.timeout(WITHIN):
        while "superseded" not in [e["kind"] for e in (await client.view(name))["events"]]:
            await asyncio.sleep(0.05)
    assert states(await client.view(name)) == ["won", "superseded"]


async def test_who_complained_or_does_not_exist_gets_no_more_mail_in_a_cascade(
    daemon: DaemonProcess, client: Client
) -> None:
    mail, numbers = "bounce+0.1@six.example.net", [Numbers.new(DELIVERED) for _ in range(2)]
    for number in numbers:
        view = await asyncio.to_thread(hermes, daemon, mail, number, "email:600s,sms:30s")
        assert view["state"] == "delivered"
    assert len(await asyncio.to_thread(mails, daemon, mail)) == 1
    assert [came(daemon, number) for number in numbers] == [1, 1]


async def test_who_is_on_the_list_gets_no_mail_of_a_single_step_either(
    daemon: DaemonProcess, client: Client
) -> None:
    mail = {"channel": "email", "to": "bounce+0.1@seven.example.net"}
    first = await final(client, await send(client, mail))
    assert first["state"] == "undelivered"
    second = await final(client, await send(client, mail))
    assert (second["state"], second["reason"]["code"]) == ("failed", "suppressed")
    assert len(await asyncio.to_thread(mails, daemon, str(mail["to"]))) == 1
