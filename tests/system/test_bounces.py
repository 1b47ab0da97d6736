"""Mail that comes back: a daemon that sends into its sink hears of it by its own listener."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from hermes.testing.daemon_process import DaemonProcess, running_daemon
from tests.system.cascades import find
from tests.system.front_door import final, post, view, wait_for

pytestmark = pytest.mark.daemon

QUICK = {"HERMES_MAIL__CONFIRM_AFTER": "0.1", "HERMES_CLOCK__TICK": "0.2"}


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    with running_daemon(QUICK) as running:
        yield running


def mailed(daemon: DaemonProcess, to: str) -> str:
    """Post a mail; give its id."""
    return post(daemon, to, channel="email", subject="hi")


def kinds(daemon: DaemonProcess, name: str) -> list[str]:
    """Give the kinds of a message's events."""
    return [event["kind"] for event in view(daemon, name)["events"]]


def listed(daemon: DaemonProcess, to: str) -> list[dict[str, Any]]:
    """Give what the sink kept for an address."""
    said = daemon.run("mail", "list", "--to", to, "--json")
    mails: list[dict[str, Any]] = json.loads(said.stdout)["mails"]
    return mails


def suppression(daemon: DaemonProcess, address: str) -> tuple[Any, ...] | None:
    """Give the row of an address."""
    select = "select tenant, channel, reason from suppression where address = %s"
    with psycopg.connect(daemon.wiring["postgres_dsn"]) as connection:
        return connection.execute(select, (address,)).fetchone()


def listener(daemon: DaemonProcess) -> dict[str, Any]:
    """Give the listener as the tree shows it."""
    return find(daemon.tree(), "root/main/receipts/bounces")


def test_the_start_says_that_mail_goes_nowhere(daemon: DaemonProcess) -> None:
    assert 'carrier "mail" is a sink: its mails go nowhere, see hermes mail' in daemon.said()


def test_a_mail_is_delivered_when_its_report_says_so(daemon: DaemonProcess) -> None:
    message = final(daemon, mailed(daemon, "anna@x.example"))
    assert message["state"] == "delivered"
    assert message["attempts"][0]["carrier"] == "mail"
    (mail,) = listed(daemon, "anna@x.example")
    assert mail["fate"] == "confirm"
    shown = daemon.run("mail", "show", str(mail["number"])).stdout
    assert re.search(r"(?m)^Subject: hi$", shown)


def test_a_mail_that_comes_back_is_undelivered_and_its_recipient_suppressed(
    daemon: DaemonProcess,
) -> None:
    message = final(daemon, mailed(daemon, "bounce+0.1@x.example"))
    assert message["state"] == "undelivered"
    assert message["reason"]["code"] == "dsn_5.1.1"
    assert "@" not in message["reason"]["text"]
    row = wait_for(lambda: suppression(daemon, "bounce+0.1@x.example"))
    assert row == ("demo", "email", "dsn_5.1.1")


def test_a_complaint_is_an_event_and_changes_no_state(daemon: DaemonProcess) -> None:
    name = mailed(daemon, "complain+0.1@x.example")
    wait_for(lambda: "complaint" in kinds(daemon, name) or None)
    assert view(daemon, name)["state"] not in ("undelivered", "failed")
    row = wait_for(lambda: suppression(daemon, "complain+0.1@x.example"))
    assert row == ("demo", "email", "feedback_abuse")


def test_what_comes_while_the_listener_is_dead_comes_again(daemon: DaemonProcess) -> None:
    name = mailed(daemon, "confirm+0.5@z.example")
    dead = listener(daemon)["pid"]
    os.kill(dead, signal.SIGKILL)
    assert final(daemon, name)["state"] == "delivered"
    assert listener(daemon)["pid"] != dead


def test_the_tree_shows_what_the_listener_took(daemon: DaemonProcess) -> None:
    final(daemon, mailed(daemon, "bounce+0.1@y.example"))
    said = daemon.run("tree")
    (row,) = (line for line in said.stdout.splitlines() if "bounces" in line)
    assert re.search(r"undelivered [1-9]", row)
    assert re.search(r"taken [1-9]", row)
