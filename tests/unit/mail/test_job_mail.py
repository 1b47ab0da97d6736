"""A job becomes a mail: its sender, its subject, the reports asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.job import Job
from hermes.core.plan import Content, Unsubscribe
from hermes.mail.address import BadAddress, parse_mailbox
from hermes.mail.header import text_field
from hermes.mail.job_mail import SUBJECT_LETTERS, Composer, first_words
from hermes.mail.message import ALWAYS, ON_TROUBLE, BadContent
from hermes.mail.verp import Verp

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JOB = Job(
    attempt=attempt_id(encode_message_id(UUID(int=7)), 1, 0),
    tenant="t",
    carrier="mail",
    channel="email",
    to="Ann@Example.com",
    text="Hello Ann",
    expires_at=AT + timedelta(hours=1),
    queued_at=AT,
)
COMPOSER = Composer(
    parse_mailbox("Acme <hello@acme.example>"), "acme.example", Verp("b.example", (b"s",))
)


def test_the_same_job_makes_the_same_octets() -> None:
    assert COMPOSER.mail_of(JOB, AT) == COMPOSER.mail_of(JOB, AT)


def test_the_mail_carries_the_attempt_where_each_report_can_tell_it() -> None:
    mail = COMPOSER.mail_of(JOB, AT)
    message = message_from_bytes(mail.content)
    assert message["Message-ID"] == COMPOSER.message_id(JOB.attempt)
    assert message["X-Hermes-Id"] == mail.envelope_id == JOB.attempt
    assert COMPOSER.verp.attempt_of(mail.sender) == JOB.attempt
    assert mail.recipient == "Ann@example.com"


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        (None, "Acme <hello@acme.example>"),
        ("ACME", "Acme <hello@acme.example>"),
        ("+4512345678", "Acme <hello@acme.example>"),
        ("shop@acme.example", "shop@acme.example"),
        ("The Shop <shop@acme.example>", "The Shop <shop@acme.example>"),
    ],
)
def test_a_sender_that_is_no_mailbox_is_another_channels(sender: str | None, shown: str) -> None:
    mail = COMPOSER.mail_of(replace(JOB, sender=sender), AT)
    assert message_from_bytes(mail.content)["From"] == shown


def test_success_is_reported_only_where_it_is_waited_for() -> None:
    assert COMPOSER.mail_of(replace(JOB, success="delivered"), AT).notify == ALWAYS
    assert COMPOSER.mail_of(replace(JOB, success="sent"), AT).notify == ON_TROUBLE


def test_a_job_without_a_text_or_with_a_wrong_address_is_refused() -> None:
    with pytest.raises(BadContent, match="carries no text"):
        COMPOSER.mail_of(replace(JOB, text=None), AT)
    with pytest.raises(BadAddress):
        COMPOSER.mail_of(replace(JOB, to="+4512345678"), AT)
    content = Content(unsubscribe=Unsubscribe("https://acme.example/u", "nobody"))
    with pytest.raises(BadAddress):
        COMPOSER.mail_of(replace(JOB, content=content), AT)


def test_a_text_gives_its_first_words_as_the_subject() -> None:
    assert first_words("  Your\tparcel\r\nis here ") == "Your parcel is here"
    assert first_words(" \n ") == "Message"
    assert first_words("word " * 30) == " ".join(["word"] * 12) + "…"
    assert first_words("x" * 100) == "x" * (SUBJECT_LETTERS - 1) + "…"


@given(st.text())
def test_every_subject_taken_from_a_text_fits_its_line(text: str) -> None:
    subject = first_words(text)
    assert 0 < len(subject) <= SUBJECT_LETTERS
    assert text_field("Subject", subject).count("\r\n ") <= 10
