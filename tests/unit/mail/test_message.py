"""The mail of a job: its headers, its texts, and nothing that is not meant to be there."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest

from hermes.mail.address import parse_address, parse_mailbox
from hermes.mail.header import UnsafeHeader
from hermes.mail.message import (
    ALWAYS,
    ON_TROUBLE,
    BadContent,
    Content,
    Mail,
    Origin,
    Unsubscribe,
    compose,
    notify_of,
)
from hermes.mail.verp import Verp

ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
AT = datetime(2025, 3, 3, 12, 0, tzinfo=timezone(timedelta(hours=2)))
VERP = Verp("bounce.acme.example", (b"secret",))
ORIGIN = Origin(parse_mailbox("Acme <hello@acme.example>"), "acme.example", VERP)
TO = parse_address("user@example.net")


def composed(content: Content, unsubscribe: Unsubscribe | None = None) -> Mail:
    return compose(ATTEMPT, TO, content, ORIGIN, AT, unsubscribe)


def parsed(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert message.defects == []
    return message


def text_of(mail: Mail, kind: str = "plain") -> str:
    part = parsed(mail).get_body((kind,))
    assert part is not None
    assert part.defects == []
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_plain_mail_is_these_octets() -> None:
    mail = composed(Content("Your code", "Your code is 1234.\nBye\n"))
    assert mail.content == (
        b"Date: Mon, 03 Mar 2025 10:00:00 +0000\r\n"
        b"From: Acme <hello@acme.example>\r\n"
        b"To: user@example.net\r\n"
        b"Subject: Your code\r\n"
        b"Message-ID: <msg_01jnq3h4f8abcdefghjkmnpqrs.0.1@acme.example>\r\n"
        b"X-Hermes-Id: msg_01jnq3h4f8abcdefghjkmnpqrs.0.1\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Your code is 1234.\r\n"
        b"Bye\r\n"
    )


def test_the_envelope_names_the_attempt() -> None:
    mail = composed(Content("s", "t"))
    assert mail.sender == VERP.return_path(ATTEMPT)
    assert (mail.recipient, mail.reference, mail.envelope_id) == (str(TO), ATTEMPT, ATTEMPT)


def test_the_same_arguments_make_the_same_octets() -> None:
    content = Content("Grüße", "Grüße", "<p>Grüße</p>")
    assert composed(content) == composed(content)


def test_a_mail_with_html_has_both_texts() -> None:
    mail = composed(Content("Hi", "Grüße\n", "<p>Привет</p>\n"))
    assert parsed(mail).get_content_type() == "multipart/alternative"
    assert (text_of(mail), text_of(mail, "html")) == ("Grüße\n", "<p>Привет</p>\n")


def test_a_text_cannot_end_its_part() -> None:
    boundary = f"--=_hermes_{ATTEMPT}--"
    mail = composed(Content("Hi", f"a\n{boundary}\nb\n", f"<p>\n{boundary}\n</p>\n"))
    assert len(list(parsed(mail).iter_parts())) == 2
    assert text_of(mail) == f"a\n{boundary}\nb\n"


TEXTS = [
    "",
    "one line",
    "Grüße aus Köln, heute für 5 €\n",
    "привет, как дела\n",
    "日本語のテキスト\n",
    "👩‍👩‍👧 family\n",
    "x" * 5000 + "\n",  # no line of a mail may be so long
    "a\r\nb\rc\nd\n",  # any line end is one
    ".\n..\n.x\n",
    "nul \x00 and bell \x07\n",
    "tab\tand trailing blank \n",
    "From the beginning\n",
    "=?utf-8?q?not_encoded?=\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    mail = composed(Content("s", text))
    assert mail.content.isascii()
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    assert text_of(mail).rstrip("\n") == wanted.rstrip("\n")


SUBJECTS = [
    "",
    "Hello",
    "Grüße",
    "日本語" * 40,
    "word " * 60 + "end",
    "x" * 2000,
    "two  blanks",
    " leading",
    "=?utf-8?q?looks_encoded?=",
    "a: b",
    "👩‍👩‍👧" * 30,
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_any_subject_is_read_as_it_was_written(subject: str) -> None:
    mail = composed(Content(subject, "t"))
    assert parsed(mail)["subject"] == subject
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998


NAMES = ["Acme", "Acme, Inc.", 'the "best"', "back\\slash", "Ацме", "日本" * 30, "a=?b", "O'Neil"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_read_as_it_was_written(name: str) -> None:
    address = parse_address("hello@acme.example")
    origin = Origin(type(ORIGIN.sender)(address, name), "acme.example", VERP)
    mail = compose(ATTEMPT, TO, Content("s", "t"), origin, AT)
    # not the parser's own addresses: it keeps the blanks between encoded words of a name
    shown = str(make_header(decode_header(email.message_from_bytes(mail.content)["from"])))
    assert parseaddr(shown) == (name, str(address))


@pytest.mark.parametrize(
    "subject", ["a\nBcc: x@y.z", "a\r\nBcc: x@y.z", "a\rb", "nul\x00", "\x0b", "half \ud83d"]
)
def test_a_subject_that_would_begin_another_header_is_refused(subject: str) -> None:
    with pytest.raises(UnsafeHeader, match=r"the Subject holds the character U\+[0-9A-F]{4}"):
        composed(Content(subject, "t"))


def test_a_subject_out_of_all_measure_is_refused() -> None:
    with pytest.raises(UnsafeHeader, match="has 4001 characters, the limit is 4000"):
        composed(Content("x" * 4001, "t"))


def test_half_a_character_in_a_text_is_refused() -> None:
    with pytest.raises(BadContent, match="the plain text holds half a character at 1"):
        composed(Content("s", "a\ud83d"))


def test_a_recipient_leaves_with_one_click() -> None:
    mailto = parse_address("leave@acme.example")
    mail = composed(Content("s", "t"), Unsubscribe("https://acme.example/u?t=1&x=%20", mailto))
    message = parsed(mail)
    assert message["list-unsubscribe"] == (
        "<https://acme.example/u?t=1&x=%20>, <mailto:leave@acme.example>"
    )
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.example/u",  # RFC 8058, 3.1: https
        "https://acme.example/u>, <mailto:x@y.z",
        "https://acme.example/a,b",
        "https://acme.example/ä",
        "https://acme.example/a b",
        "https://acme.example/\r\nBcc: x@y.z",
        "https://" + "x" * 900,
        "",
    ],
)
def test_a_link_that_is_of_no_use_is_refused(url: str) -> None:
    with pytest.raises(BadContent, match="the unsubscribe link"):
        composed(Content("s", "t"), Unsubscribe(url))


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("a@b.example\r\nDATA", "u@x.example"),
        ("a@b.example", "u@x.example>\r\nRCPT TO:<v@x.example"),
        ("a@b.example", "u@x.example> NOTIFY=NEVER"),
        ("a@b.example", "u @x.example"),
        ("a@b.example", "ü@x.example"),
    ],
)
def test_an_envelope_that_would_be_another_command_is_refused(sender: str, recipient: str) -> None:
    with pytest.raises(BadContent):
        Mail(sender, recipient, b"")


def test_success_is_asked_for_where_a_step_waits_for_it() -> None:
    assert [notify_of(each) for each in ("accepted", "sent", "delivered", "read")] == [
        ON_TROUBLE,
        ON_TROUBLE,
        ALWAYS,
        ALWAYS,
    ]


def test_a_date_is_told_in_utc() -> None:
    assert AT.astimezone(UTC).hour == 10
    assert parsed(composed(Content("s", "t")))["date"].datetime == AT
