"""Mails made of any texts, read by the standard library; reports made of any octets."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes.adapters.bounce_rules_file import load_rules
from hermes.mail.address import BadAddress, parse_address, parse_mailbox
from hermes.mail.dsn import read_report
from hermes.mail.header import UnsafeHeader, refuse_unsafe
from hermes.mail.message import BadContent, Content, Mail, Origin, compose
from hermes.mail.reply import public_text
from hermes.mail.verdict import Classifier
from hermes.mail.verp import Verp

ATTEMPT = "msg_01jnq3h4f8abcdefghjkmnpqrs.0.1"
VERP = Verp("bounce.acme.example", (b"secret",))
PATH = VERP.return_path(ATTEMPT)
ORIGIN = Origin(parse_mailbox("Acme <hello@acme.example>"), "acme.example", VERP)
AT = datetime(2025, 3, 3, tzinfo=UTC)
TO = parse_address("user@example.net")
HEADERS = {
    "date",
    "from",
    "to",
    "subject",
    "message-id",
    "x-hermes-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
}
CLASSIFIER = Classifier(load_rules())

texts = st.text(max_size=300)
subjects = st.one_of(texts, st.text(st.sampled_from("ab =?_\r\n\t\u00e9\u65e5"), max_size=200))


@settings(max_examples=300)
@given(subject=subjects, text=texts, html=st.none() | texts)
def test_a_mail_is_read_as_it_was_written_or_refused(
    subject: str, text: str, html: str | None
) -> None:
    try:
        mail = compose(ATTEMPT, TO, Content(subject, text, html), ORIGIN, AT)
    except (UnsafeHeader, BadContent):
        return
    assert mail.content.isascii()
    assert max(map(len, mail.content.split(b"\r\n"))) <= 998
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    message = email.message_from_bytes(mail.content)
    assert {name.lower() for name in message} <= HEADERS
    assert len(message.keys()) == len(set(message.keys()))
    assert str(make_header(decode_header(message["subject"]))) == subject
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert len(parts) == (1 if html is None else 2)
    for part, wanted in zip(parts, (text, html), strict=False):
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        found = octets.decode().replace("\r\n", "\n").rstrip("\n")
        assert found == str(wanted).replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


@given(texts)
def test_a_value_that_goes_into_a_header_has_one_line(value: str) -> None:
    try:
        refuse_unsafe("Subject", value)
    except UnsafeHeader:
        return
    assert "\r" not in value
    assert "\n" not in value
    value.encode()


@given(
    st.one_of(st.text(max_size=80), st.text(st.sampled_from('ab@."<> \\\r\n[]é-1'), max_size=80))
)
def test_an_address_that_is_read_goes_into_a_command_as_it_is(text: str) -> None:
    for parse in (parse_address, lambda given: parse_mailbox(given).address):
        try:
            address = parse(text)
        except BadAddress:
            continue
        assert parse_address(str(address)) == address
        assert Mail("", str(address), b"").recipient == str(address)


@given(st.text(max_size=400))
def test_what_is_told_has_one_line_of_two_hundred_characters(text: str) -> None:
    told = public_text(f"{text} user@example.net")
    assert len(told) <= 200
    assert "user@example.net" not in told
    assert len(told.splitlines()) <= 1


# ---------------------------------------------------------------------- what comes back

PIECES = [
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
    b"Content-Type: multipart/report; boundary*" + b"9" * 5000 + b"=b\r\n",  # a number without end
    b"Content-Type: multipart/report; boundary*=utf\x00'x'b\r\n",
    b"Content-Type: message/delivery-status\r\n",
    b"Content-Type: message/feedback-report\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/rfc822-headers\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n",
    b"\n",
    b" folded\r\n",
    b"Action: failed\r\n",
    b"Action: relayed\r\n",
    b"Status: 5.1.1\r\n",
    b"Status: 2.0.0\r\n",
    b"Diagnostic-Code: smtp; 550-5.1.1 no 550 5.1.1 user\r\n",
    b"Final-Recipient: rfc822; user@example.net\r\n",
    b"Feedback-Type: abuse\r\n",
    b"Subject: =?utf-8?b?/////?=\r\n",
    b"Subject: =?unknown?q?=ff?=\r\n",
    b"Auto-Submitted: auto-replied\r\n",
    b"X-Failed-Recipients: user@example.net\r\n",
    b"could not be delivered 550 5.1.1: user unknown\r\n",
    b"begin 644 x\r\n",
    b"Original-Envelope-Id: " + ATTEMPT.encode() + b"\r\n",
    b"Message-ID: <msg_.0.1@acme.example>\r\n",
    b"\xff\xfe:\x00\r\n",
]
mails = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=40).map(
    b"".join
)


@settings(max_examples=1000, deadline=None)
@given(
    raw=mails,
    recipient=st.sampled_from([PATH, "x@y.example", ""]),
    sender=st.sampled_from(["", "MAILER-DAEMON@x.example", "u@x.example"]),
)
@example(raw=b"Content-Type: message/rfc822\r\n\r\n" * 3000, recipient=PATH, sender="")
@example(
    raw=b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 2000,
    recipient=PATH,
    sender="",
)
def test_any_octets_that_come_back_are_read(raw: bytes, recipient: str, sender: str) -> None:
    report = read_report(raw, recipient, sender, VERP, CLASSIFIER)
    if recipient == PATH:
        assert (report.attempt, report.found_by, report.is_signed) == (ATTEMPT, "verp", True)
    else:
        assert not report.is_signed
    if report.reason is not None:
        assert "user@example.net" not in report.reason.text
        assert len(report.reason.text) <= 250
    assert (report.event is None) == (report.state in (None, "complaint"))
