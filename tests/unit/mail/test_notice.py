"""A mail that came back, taken apart; and bounces in plain words."""

from __future__ import annotations

import pytest

from hermes.mail.notice import MAX_PARTS, Notice, read_notice, shallow
from hermes.mail.reply import Reply
from hermes.mail.text_bounce import TextBounce, read_text_bounce

REPORT = b"""\
From: postmaster@x.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain; charset=utf-8

It failed: gr\xc3\xbc\xc3\x9fe
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; x.example

Final-Recipient: rfc822;
 u@x.example
Action: failed
Action: delivered

Final-Recipient: rfc822; v@x.example
--b
Content-Type: message/rfc822

Subject: mine
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: message/delivery-status

Action: delivered
--c--
--b--
"""


def test_a_report_has_its_parts() -> None:
    notice = read_notice(REPORT)
    assert notice == Notice(
        kind="dsn",
        headers={
            "from": "postmaster@x.example",
            "content-type": "multipart/report; report-type=delivery-status; boundary=b",
        },
        fields={"reporting-mta": "dns; x.example"},
        recipients=(
            {"final-recipient": "rfc822; u@x.example", "action": "failed"},
            {"final-recipient": "rfc822; v@x.example"},
        ),
        original={"subject": "mine", "content-type": "multipart/mixed; boundary=c"},
        text=notice.text,
    )
    assert notice.text.strip() == "It failed: grüße"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 100,
        b"Content-Type: multipart/report; boundary*" + b"9" * 5000 + b"=b\r\n\r\n--b\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary*=utf\x00'x'b\r\n\r\nx",
        b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" * 5000,
    ],
)
def test_what_cannot_be_read_says_nothing(raw: bytes) -> None:
    notice = read_notice(raw)
    assert (notice.kind, notice.recipients) == ("text", ())


def test_a_mail_of_many_parts_is_read_as_far_as_a_report_reaches() -> None:
    many = b"Content-Type: text/plain\r\n\r\n" * 200
    assert shallow(many).lower().count(b"content-type:") == MAX_PARTS - 1
    assert shallow(REPORT) == REPORT


def notice(text: str, **headers: str) -> Notice:
    return Notice(headers={k.replace("_", "-"): v for k, v in headers.items()}, text=text)


BOUNCES = [
    # Postfix and others, before reports
    (notice("I'm sorry: your message could not be delivered.\n\n<u@x.example>: 550 5.1.1: no\n"),
     TextBounce("failed", Reply(550, ("5.1.1 no",)))),
    # only a status, in qmail's way
    (notice("This is the qmail-send program.\nSorry, no mailbox here. (#5.1.1)\n"),
     TextBounce("failed", Reply(550, ("5.1.1",)))),
    # nothing but the header
    (notice("?", x_failed_recipients="u@x.example, v@x.example"),
     TextBounce("failed", Reply(550), "u@x.example")),
    # a delay that quotes a refusal is a delay
    (notice("You do not need to resend. It could not be delivered: 450 4.2.0 busy"),
     TextBounce("delayed", Reply(450, ("4.2.0 busy",)))),
    # what it returns says nothing of the delivery
    (notice("hello\n--- Below this line is a copy of the message.\ncould not be delivered"), None),
    (notice("could not be delivered", auto_submitted="auto-replied"), None),
    (notice("could not be delivered", subject="Out of Office"), None),
    (notice("hello", subject="hello"), None),
]  # fmt: skip


@pytest.mark.parametrize(("came", "bounce"), BOUNCES)
def test_plain_words_are_judged_by_what_they_say(came: Notice, bounce: TextBounce | None) -> None:
    assert read_text_bounce(came, "") == bounce
    assert read_text_bounce(came, "<>") == bounce
    assert read_text_bounce(came, "MAILER-DAEMON@x.example") == bounce
    assert read_text_bounce(came, "u@x.example") is None
