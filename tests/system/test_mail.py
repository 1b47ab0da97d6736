"""What a mail becomes over time: silence, another try, doubt, a relay that rests, lost listeners.

Judged from what the mail sink kept, beside what the ledger tells.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from hermes.core.ids import decode_message_id
from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import SCALED, DaemonProcess, running_daemon
from tests.system.cascades import find
from tests.system.front_door import final, post, view, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.services]

RELAY = "root/main/mesh/mail/relay"
BOUNCES = "root/main/receipts/bounces"
COUNT = 40


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """A daemon as it is delivered, its durations scaled down."""
    with running_daemon({**SCALED, "HERMES_MAIL__CONFIRM_AFTER": "0.1"}) as running:
        yield running


def mailed(daemon: DaemonProcess, to: str, **more: str) -> str:
    """Post a mail; give its id."""
    return post(daemon, to, channel="email", subject="hi", **more)


def kept(daemon: DaemonProcess, to: str) -> list[dict[str, Any]]:
    """Give what the sink kept for an address."""
    url = f"http://127.0.0.1:{daemon.wiring['mailsink_control_port']}"
    query = urlencode({"limit": 1000, "to": to})
    mails: list[dict[str, Any]] = ask_carrier(url, "GET", f"/mails?{query}")["mails"]
    return mails


def kinds(message: dict[str, Any]) -> list[str]:
    """Give the kinds of a message's events."""
    return [event["kind"] for event in message["events"]]


def when(
    daemon: DaemonProcess, name: str, is_so: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Wait until something holds of a message; give it."""

    def look() -> dict[str, Any] | None:
        found = view(daemon, name)
        return found if is_so(found) else None

    return wait_for(look, 40.0)


def try_now(daemon: DaemonProcess, name: str) -> None:
    """Make the next try of a message due: what was put off waits for minutes."""
    due = "update attempt set next_at = now() where message = %s and next_action = 'retry'"
    with psycopg.connect(daemon.wiring["postgres_dsn"]) as connection:
        assert connection.execute(due, (decode_message_id(name),)).rowcount == 1


def test_a_mail_of_which_nothing_is_heard_stays_sent(daemon: DaemonProcess) -> None:
    name = mailed(daemon, "silent@still.example")
    when(daemon, name, lambda found: "sent" in kinds(found))
    # a later one has been reported meanwhile
    assert final(daemon, mailed(daemon, "anna@still.example"))["state"] == "delivered"
    message = view(daemon, name)
    (attempt,) = message["attempts"]
    assert attempt["state"] == "sent"
    assert attempt["carrier_message_ids"]
    assert attempt["waits_for"]["action"] == "receipt_timeout"
    assert not {"delivered", "undelivered", "unknown"} & set(kinds(message))
    assert len(kept(daemon, "silent@still.example")) == 1


def test_a_mail_that_is_put_off_is_tried_again_by_the_ledger_clock_and_sent_once(
    daemon: DaemonProcess,
) -> None:
    to = "defer+0.1@later.example"
    name = mailed(daemon, to)
    message = when(daemon, name, lambda found: "deferred" in kinds(found))
    (attempt,) = message["attempts"]
    assert attempt["waits_for"]["action"] == "retry"
    put_off = next(event for event in message["events"] if event["kind"] == "deferred")
    assert put_off["reason"]["code"] == "smtp_451_4.7.1"
    assert kept(daemon, to) == []
    try_now(daemon, name)
    message = final(daemon, name, 40.0)
    assert message["state"] == "delivered"
    assert [attempt["n"] for attempt in message["attempts"]] == [0, 1]
    assert not message["possible_duplicate"]
    assert len(kept(daemon, to)) == 1


def test_a_mail_that_may_have_gone_is_sent_again_and_marked_as_a_possible_duplicate(
    daemon: DaemonProcess,
) -> None:
    to = "drop@doubt.example"
    name = mailed(daemon, to)
    message = when(daemon, name, lambda found: "possible_duplicate" in kinds(found))
    assert message["possible_duplicate"]
    first, second = message["attempts"][:2]
    assert (first["possible_duplicate"], second["possible_duplicate"]) == (False, True)
    wait_for(lambda: len(kept(daemon, to)) > 1 or None)
    # each attempt has its own return path, so a report says which of them arrived
    mails = kept(daemon, to)
    assert len({mail["sender"] for mail in mails}) == len(mails)
    message = final(daemon, name, 60.0)
    assert message["state"] == "unknown"
    assert len(kept(daemon, to)) == len(message["attempts"])


def test_marketing_that_may_have_gone_is_never_sent_twice(daemon: DaemonProcess) -> None:
    to = "drop@advert.example"
    message = final(daemon, mailed(daemon, to, **{"class": "marketing"}), 60.0)
    assert (message["state"], message["possible_duplicate"]) == ("unknown", False)
    assert len(kept(daemon, to)) == 1


def test_a_relay_that_is_busy_is_left_alone_for_a_while_and_costs_no_attempt(
    daemon: DaemonProcess,
) -> None:
    busy = mailed(daemon, "busy@rush.example")

    def rests() -> dict[str, Any] | None:
        said = find(daemon.tree(), RELAY).get("facts", {})
        return said if "too busy" in said.get("reason", "") else None

    said = wait_for(rests)
    assert said["state"] == "open"
    other = mailed(daemon, "anna@rush.example")
    assert final(daemon, other, 40.0)["state"] == "delivered"
    message = view(daemon, busy)
    assert message["state"] == "processing"
    assert [attempt["n"] for attempt in message["attempts"]] == [0]
    assert not {"sent", "failed", "uncertain"} & set(kinds(message))
    assert kept(daemon, "busy@rush.example") == []


def test_no_report_is_lost_or_told_twice_when_the_listener_is_killed(
    daemon: DaemonProcess,
) -> None:
    names = [mailed(daemon, f"anna+{n}@reports.example") for n in range(COUNT)]
    wait_for(lambda: view(daemon, names[0])["state"] == "delivered" or None, 40.0)
    os.kill(find(daemon.tree(), BOUNCES)["pid"], signal.SIGKILL)
    messages = [final(daemon, name, 40.0) for name in names]
    assert {message["state"] for message in messages} == {"delivered"}
    assert {kinds(message).count("delivered") for message in messages} == {1}
