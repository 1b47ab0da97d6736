"""The MIME message of a job and its envelope (RFC 5322, RFC 2045, RFC 8058, RFC 3461)."""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Literal, TypeAlias

from hermes.core.errors import TenantError
from hermes.core.units import Success
from hermes.mail.address import Address, Mailbox
from hermes.mail.header import mailbox_field, text_field
from hermes.mail.verp import Verp

Notify: TypeAlias = Literal["SUCCESS", "FAILURE", "DELAY"]
ON_TROUBLE: Final[tuple[Notify, ...]] = ("FAILURE", "DELAY")
ALWAYS: Final[tuple[Notify, ...]] = ("SUCCESS", "FAILURE", "DELAY")

MAX_LINE: Final = 998
MAX_URL: Final = 900
HERMES_ID: Final = "X-Hermes-Id"

_BREAK: Final = re.compile(r"\r\n?|\n")
_UNPRINTABLE: Final = re.compile(r"[^\t\r\n -~]")
_URL: Final = re.compile(r"https://[!-;=?-~]+")
_ENVELOPE: Final = re.compile(r"[!-~]*")
_READABLE_SHARE: Final = 6
"""Quoted-printable while at most one octet of so many is not ASCII; base64 is shorter beyond."""


class BadContent(TenantError):
    """A text, a link or an envelope that cannot become a mail."""

    def __init__(self, what: str, why: str) -> None:
        self.what, self.why = what, why
        super().__init__(f"the {what} {why}")


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be read: `html`, a whole document, stands beside `text`, never instead of it."""

    subject: str
    text: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Where a recipient leaves: a link that takes one POST without a question (RFC 8058)."""

    url: str
    mailto: Address | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose mail it is: shown sender, the domain of message ids, and the signed return path."""

    sender: Mailbox
    message_domain: str
    verp: Verp
    reply_to: Mailbox | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one recipient: `content` is the whole message, its lines ended by CRLF.

    `sender` is the envelope's ("" is the null path), `envelope_id` the ENVID, `reference` the
    caller's name for it. Raises BadContent where the envelope could not stand in a command.
    """

    sender: str
    recipient: str
    content: bytes
    reference: str = ""
    envelope_id: str = ""
    notify: tuple[Notify, ...] = ON_TROUBLE

    def __post_init__(self) -> None:
        for what, text in (("return path", self.sender), ("recipient", self.recipient)):
            if _ENVELOPE.fullmatch(text.replace(" ", "") if '"' in text else text) is None:
                raise BadContent(what, "holds what must not stand in a command")
            if "<" in text or ">" in text:
                raise BadContent(what, "holds an angle bracket")


def notify_of(success: Success) -> tuple[Notify, ...]:
    """Give which reports to ask for: of success only where a step's success waits for one."""
    return ALWAYS if success in ("delivered", "read") else ON_TROUBLE


def message_id_of(attempt: str, domain: str) -> str:
    """Give the Message-ID of an attempt, angle brackets included."""
    return f"<{attempt}@{domain}>"


def compose(
    attempt: str,
    to: Address,
    content: Content,
    origin: Origin,
    at: datetime,
    unsubscribe: Unsubscribe | None = None,
) -> Mail:
    """Make the mail of an attempt; the same arguments make the same octets.

    Raises UnsafeHeader for a header that would begin another, BadContent for a text or link.
    """
    fields = [
        f"Date: {format_datetime(at.astimezone(UTC))}\r\n",
        mailbox_field("From", origin.sender),
        mailbox_field("To", Mailbox(to)),
        mailbox_field("Reply-To", origin.reply_to) if origin.reply_to else "",
        text_field("Subject", content.subject),
        text_field("Message-ID", message_id_of(attempt, origin.message_domain)),
        text_field(HERMES_ID, attempt),
        _unsubscribe_fields(unsubscribe) if unsubscribe else "",
        "MIME-Version: 1.0\r\n",
    ]
    body = _body(content, f"=_hermes_{attempt}")
    return Mail(
        sender=origin.verp.return_path(attempt),
        recipient=str(to),
        content="".join(fields).encode("ascii") + body,
        reference=attempt,
        envelope_id=attempt,
    )


def _unsubscribe_fields(unsubscribe: Unsubscribe) -> str:
    url = unsubscribe.url
    if _URL.fullmatch(url) is None or "," in url:
        raise BadContent("unsubscribe link", "is no https link of ASCII without blanks or commas")
    if len(url) > MAX_URL:
        raise BadContent("unsubscribe link", f"has {len(url)} octets, the limit is {MAX_URL}")
    mailto = f",\r\n <mailto:{unsubscribe.mailto}>" if unsubscribe.mailto else ""
    return (
        f"List-Unsubscribe: <{url}>{mailto}\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


def _body(content: Content, boundary: str) -> bytes:
    """Give the rest of the message, from its Content-Type on."""
    if content.html is None:
        return _part("plain", content.text)
    # encoded, so that no line of a part can be the boundary: "=_" is in neither encoding
    parts = (_part("plain", content.text, encoded=True), _part("html", content.html, encoded=True))
    dash = b"--" + boundary.encode("ascii")
    return b"".join(
        (
            b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n' % dash[2:],
            *(dash + b"\r\n" + part + b"\r\n" for part in parts),
            dash + b"--\r\n",
        )
    )


def _part(subtype: str, text: str, *, encoded: bool = False) -> bytes:
    """Give one text with its headers, in the encoding that keeps it readable on the wire."""
    octets = _octets(subtype, text)
    charset, encoding = "utf-8", "quoted-printable"
    if not encoded and not _UNPRINTABLE.search(text) and _longest_line(octets) <= MAX_LINE:
        charset, encoding = "us-ascii", "7bit"
    elif _foreign(octets) * _READABLE_SHARE > len(octets):
        encoding, octets = "base64", encodebytes(octets).replace(b"\n", b"\r\n")
    else:
        octets = b2a_qp(octets, quotetabs=False, istext=True)
    head = (
        f"Content-Type: text/{subtype}; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode("ascii") + octets


def _octets(subtype: str, text: str) -> bytes:
    """Give a text with CRLF after every line, the last one as well."""
    lines = _BREAK.sub("\r\n", text)
    try:
        octets = lines.encode()
    except UnicodeEncodeError as error:
        raise BadContent(f"{subtype} text", f"holds half a character at {error.start}") from error
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def _longest_line(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))


def _foreign(octets: bytes) -> int:
    return len(octets) - len(octets.decode().encode("ascii", "ignore"))
