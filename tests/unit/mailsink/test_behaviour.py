"""What becomes of a mail by its recipient, and what is kept and reported of it."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime

import pytest

from hermes.mail.reply import Reply
from hermes.mailsink.behaviour import BEHAVIOURS, MAX_SECONDS, behaviour_of
from hermes.mailsink.mailbox import Mailbox
from hermes.mailsink.report import Returned, is_wanted, make_report

RECIPIENTS = [
    ("bounce@x.example", "bounce", 1.0),
    ("BOUNCE@x.example", "bounce", 1.0),
    ("bounce+2.5@x.example", "bounce", 2.5),
    ("bounce+2.5+more@x.example", "bounce", 2.5),
    ("bounce+0@x.example", "bounce", 0.0),
    ("bounce+99999@x.example", "bounce", MAX_SECONDS),
    ("bounce+soon@x.example", "bounce", 1.0),
    ("confirm@x.example", "confirm", 7.0),
    ("confirm+3@x.example", "confirm", 3.0),
    ("anna@x.example", "confirm", 7.0),
    ("anna+3@x.example", "confirm", 7.0),  # a name is a name
    ("bouncer@x.example", "confirm", 7.0),
    ('"bounce"@x.example', "confirm", 7.0),
    ("nobody", "confirm", 7.0),
    ("", "confirm", 7.0),
]


@pytest.mark.parametrize(("recipient", "name", "seconds"), RECIPIENTS)
def test_the_name_before_the_at_decides(recipient: str, name: str, seconds: float) -> None:
    found = behaviour_of(recipient, confirm_after=7.0)
    assert (found.name, found.report_after) == (name, seconds)


def test_the_seconds_of_a_slow_one_are_those_to_its_answer() -> None:
    assert behaviour_of("slow@x.example").answer_after == BEHAVIOURS["slow"].answer_after
    assert behaviour_of("slow+0.3@x.example").answer_after == 0.3


@pytest.mark.parametrize(
    ("kind", "notify", "wanted"),
    [
        ("failed", None, True),  # RFC 3461, 4.1: without NOTIFY a failure is told
        ("delayed", None, True),
        ("delivered", None, False),
        ("failed", "NEVER", False),
        ("delivered", "success,failure", True),
        ("failed", "SUCCESS", False),
        ("complaint", "NEVER", True),
    ],
)
def test_a_report_goes_to_who_asked_for_it(kind: str, notify: str | None, wanted: bool) -> None:
    assert is_wanted(kind, notify) is wanted  # type: ignore[arg-type]


def test_a_report_is_a_mail_from_nobody_without_a_report_of_its_own() -> None:
    returned = Returned("b+x@b.example", "u@x.example", "envid", b"Subject: x\r\n\r\nsecret\r\n")
    at = datetime(2025, 3, 3, tzinfo=UTC)
    report = make_report("failed", returned, Reply(550, ("5.1.1 no",)), "sink.example", 7, at)
    assert (report.sender, report.recipient, report.notify) == ("", "b+x@b.example", ())
    message = email.message_from_bytes(report.content, policy=email.policy.default)
    assert (message["to"], message.get_content_type()) == ("b+x@b.example", "multipart/report")
    assert b"secret" not in report.content


def envelope(recipient: str = "u@x.example") -> tuple[str, str, str]:
    return "a@b.example", recipient, "envid"


def test_the_oldest_mails_make_room() -> None:
    box = Mailbox(max_count=3)
    for number in range(5):
        box.add(0.0, envelope(), "silent", b"%d" % number)
    assert [each.number for each in box.since(0, 10)] == [3, 4, 5]
    assert (box.find(2), box.count) == (None, 5)
    found = box.find(4)
    assert found is not None
    assert found.content == b"3"


def test_large_mails_make_room_sooner_and_the_latest_is_kept_whatever_its_size() -> None:
    box = Mailbox(max_octets=10)
    for size in (4, 4, 4, 50):
        box.add(0.0, envelope(), "silent", b"x" * size)
    assert [len(each.content) for each in box.since(0, 10)] == [50]


def test_mails_are_listed_from_a_number_for_a_recipient_and_no_more_than_asked() -> None:
    box = Mailbox()
    for name in ("a", "b", "a", "b"):
        box.add(0.0, envelope(f"{name}@x.example"), "silent", b"")
    assert [each.number for each in box.since(1, 10)] == [2, 3, 4]
    assert [each.number for each in box.since(0, 10, "B@x.example")] == [2, 4]
    assert [each.number for each in box.since(0, 1)] == [1]
    box.forget()
    assert (len(box), box.count, box.find(1)) == (0, 4, None)
