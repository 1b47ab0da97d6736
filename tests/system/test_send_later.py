"""A message with a time starts then, by the ledger's clock, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hermes.testing.daemon_process import SCALED, DaemonProcess, running_daemon
from tests.system.front_door import Answer, ask, final, view

pytestmark = pytest.mark.daemon

HOUR = timedelta(hours=1)
MARKETING = {"class": "marketing", "timezone": "UTC", "text": "hi"}


def now() -> datetime:
    """Give this moment."""
    return datetime.now(UTC)  # noqa: TID251 - the test's clock


def written(at: datetime) -> str:
    """Give a moment as the API writes it."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonProcess]:
    """It is quiet everywhere in UTC, from an hour ago for two hours."""
    quiet = {
        "HERMES_QUIET__ENABLED": "true",
        "HERMES_QUIET__BEGIN": f"{now() - HOUR:%H:%M}",
        "HERMES_QUIET__END": f"{now() + HOUR:%H:%M}",
    }
    with running_daemon({**SCALED, **quiet}) as running:
        yield running


def send(daemon: DaemonProcess, **fields: Any) -> Answer:
    """Send a message that is accepted."""
    answer = ask(daemon, "POST", "/v1/messages", {"text": "hi", **fields})
    assert answer.status == 202, answer
    return answer


def test_it_starts_at_its_time_and_not_before(daemon: DaemonProcess) -> None:
    send_at = written(now() + timedelta(seconds=2))
    answer = send(daemon, to="+4530000010", send_at=send_at)
    assert answer.body["send_at"] == send_at
    assert "reason" not in answer.body
    waiting = view(daemon, answer.body["id"])
    assert (waiting["state"], waiting["send_at"]) == ("accepted", send_at)
    assert waiting["waits_for"] == {"action": "start", "until": send_at}
    ended = final(daemon, answer.body["id"])
    assert ended["state"] == "delivered"
    (attempt,) = ended["attempts"]
    assert attempt["queued_at"] >= send_at


def test_those_of_a_batch_start_at_theirs(daemon: DaemonProcess) -> None:
    send_at = written(now() + timedelta(seconds=1))
    items = [{"to": "+4530000020", "text": "hi", "send_at": send_at}, {"to": "+4530000030"}]
    items[1]["text"] = "hi"
    answer = ask(daemon, "POST", "/v1/messages/batch", {"messages": items})
    later, soon = answer.body["messages"]
    assert (later["send_at"], "send_at" in soon) == (send_at, False)
    assert final(daemon, soon["id"])["state"] == "delivered"
    assert final(daemon, later["id"])["attempts"][0]["queued_at"] >= send_at


def test_one_that_was_cancelled_never_starts(daemon: DaemonProcess) -> None:
    send_at = now() + timedelta(seconds=1)
    name = send(daemon, to="+4530000040", send_at=written(send_at)).body["id"]
    answer = ask(daemon, "DELETE", f"/v1/messages/{name}")
    assert (answer.status, answer.body["state"]) == (200, "cancelled")
    other = send(daemon, to="+4530000050", send_at=written(send_at + timedelta(seconds=1)))
    assert final(daemon, other.body["id"])["state"] == "delivered"
    ended = view(daemon, name)
    assert (ended["state"], ended["attempts"], ended["waits_for"]) == ("cancelled", [], None)


def test_marketing_waits_for_the_end_of_quiet_hours_and_a_repeat_says_so_too(
    daemon: DaemonProcess,
) -> None:
    body = {"to": "+4530000060", **MARKETING}
    key = {"Idempotency-Key": "tonight"}
    answer = ask(daemon, "POST", "/v1/messages", body, key)
    assert answer.body["reason"]["code"] == "quiet_hours"
    assert written(now()) < answer.body["send_at"] <= written(now() + HOUR)
    again = ask(daemon, "POST", "/v1/messages", body, key)
    assert again.headers["Idempotent-Replay"] == "true"
    assert again.body == answer.body
    waiting = view(daemon, answer.body["id"])["waits_for"]
    assert waiting == {"action": "start", "until": answer.body["send_at"]}
    items = [{"to": "+4530000070", **MARKETING}]
    (line,) = ask(daemon, "POST", "/v1/messages/batch", {"messages": items}).body["messages"]
    assert (line["send_at"], line["reason"]["code"]) == (answer.body["send_at"], "quiet_hours")


def test_other_classes_and_other_zones_do_not_wait(daemon: DaemonProcess) -> None:
    awake = {"timezone": "Etc/GMT-6"}
    for fields in ({"class": "otp"}, {**MARKETING, **awake}):
        name = send(daemon, to="+4530000080", **fields).body["id"]
        assert final(daemon, name)["state"] == "delivered"


def test_marketing_that_would_end_before_it_begins_is_refused(daemon: DaemonProcess) -> None:
    soon = written(now() + timedelta(minutes=5))
    body = {"to": "+4530000090", **MARKETING, "expires_at": soon}
    answer = ask(daemon, "POST", "/v1/messages", body)
    assert (answer.status, answer.body["field"]) == (422, "expires_at")
    assert answer.body["rule"].startswith("lies within the recipient's quiet hours, which end at")
