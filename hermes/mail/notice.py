"""A mail that came back, taken apart: reports of RFC 3464 and RFC 5965, and the rest as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any, Final, Literal, TypeAlias

Fields: TypeAlias = Mapping[str, str]
"""Names in small letters; of a name that repeats the first counts."""

MAX_OCTETS: Final = 1 << 18
"""What is looked at: a report stands at the beginning, what it returns may be long."""
MAX_TEXT: Final = 20_000
MAX_BLOCKS: Final = 100
MAX_DEPTH: Final = 10
MAX_PARTS: Final = 50
MAX_BOUNDARIES: Final = 500

# a parser of texts by strangers, whose faults its documentation does not list: digits without
# end for a number, NULs in the name of a charset
_PARSER_FAULTS: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

_STATUS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FEEDBACK: Final = frozenset({"message/feedback-report"})
_WHOLE: Final = frozenset({"message/rfc822", "message/global"})
_HEADERS: Final = frozenset(
    {"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}
)
_LIMITS: Final = (
    (re.compile(rb"(?im)^content-type:"), MAX_PARTS),
    (re.compile(rb"(?m)^--"), MAX_BOUNDARIES),
)
_BLANK: Final = re.compile(r"\n[ \t]*\n")
_FOLD: Final = re.compile(r"\n[ \t]+")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a mail says without a judgement: `kind` is what its parts make it.

    `headers` are its own, `fields` those of the report, `recipients` one block each, `original`
    the headers of the mail it is about, `text` its first readable part.
    """

    kind: Literal["dsn", "arf", "text"] = "text"
    headers: Fields = field(default_factory=dict)
    fields: Fields = field(default_factory=dict)
    recipients: tuple[Fields, ...] = ()
    original: Fields = field(default_factory=dict)
    text: str = ""


def read_notice(raw: bytes) -> Notice:
    """Take a mail apart; any octets are fine, and what cannot be read is empty."""
    try:
        message = message_from_bytes(shallow(raw[:MAX_OCTETS]))
        found = _Found()
        found.look_into(message, 0)
        headers = _headers_of(message)
    except _PARSER_FAULTS:
        return Notice()
    blocks = found.blocks or []
    # some leave the block of the message out
    is_bare = bool(blocks) and ("action" in blocks[0] or "final-recipient" in blocks[0])
    return Notice(
        kind=found.kind,
        headers=headers,
        fields=blocks[0] if blocks and not is_bare else {},
        recipients=tuple(blocks if is_bare else blocks[1:]),
        original=found.original or {},
        text=(found.text or "")[:MAX_TEXT],
    )


def shallow(raw: bytes) -> bytes:
    """Give a mail up to its fiftieth part: the parser calls itself for each one inside another.

    Lines that may part two parts are counted too: each of them can make one without a header.
    """
    for pattern, limit in _LIMITS:
        for count, found in enumerate(pattern.finditer(raw), start=1):
            if count == limit:
                raw = raw[: found.start()]
                break
    return raw


class _Found:
    """The first part of each sort."""

    def __init__(self) -> None:
        self.kind: Literal["dsn", "arf", "text"] = "text"
        self.blocks: list[Fields] | None = None
        self.original: Fields | None = None
        self.text: str | None = None

    def look_into(self, part: Message, depth: int) -> None:
        """Look at a part, and into it unless it is the mail the report is about."""
        kind = part.get_content_type()
        if kind in _STATUS or kind in _FEEDBACK:
            if self.blocks is None:
                self.kind = "dsn" if kind in _STATUS else "arf"
                self.blocks = _blocks_of(_report_text(part))
        elif kind in _WHOLE:
            payload = part.get_payload()
            whole = payload[0] if isinstance(payload, list) and payload else None
            if self.original is None and isinstance(whole, Message):
                self.original = _headers_of(whole)
        elif kind in _HEADERS:
            if self.original is None:
                blocks = _blocks_of(_report_text(part))
                self.original = blocks[0] if blocks else {}
        elif part.is_multipart():
            payload = part.get_payload()
            if depth < MAX_DEPTH and isinstance(payload, list):
                for each in payload:
                    if isinstance(each, Message):
                        self.look_into(each, depth + 1)
        elif part.get_content_maintype() == "text" and self.text is None:
            self.text = _decoded(part)


def _report_text(part: Message) -> str:
    """Give the text of a part the parser took for messages, as it was."""
    payload: Any = part.get_payload()
    if isinstance(payload, list):
        text = "\n\n".join(_as_text(each) for each in payload if isinstance(each, Message))
        if ":" in text:
            return text
        # it was encoded, against RFC 3464, 2.1, and taken for a body without headers
        payload = text.strip()
    encoded = Message()
    encoded["Content-Transfer-Encoding"] = str(part.get("Content-Transfer-Encoding", ""))
    encoded.set_payload(payload)
    return _decoded(encoded)


def _as_text(message: Message) -> str:
    headers = "\n".join(f"{name}: {_utf8(value)}" for name, value in message.raw_items())
    body = _decoded(message)
    return f"{headers}\n\n{body}" if body else headers


def _decoded(part: Message) -> str:
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes):
        return ""
    return octets.decode("utf-8", "replace").replace("\r\n", "\n")


def _headers_of(message: Message) -> Fields:
    fields: dict[str, str] = {}
    for name, value in message.raw_items():
        fields.setdefault(name.lower(), _one_line(_utf8(value)))
    return fields


def _blocks_of(text: str) -> list[Fields]:
    """Read blocks of fields with blank lines between them (RFC 3464, 2.1.1)."""
    blocks: list[Fields] = []
    for block in _BLANK.split(text.replace("\r\n", "\n"))[: MAX_BLOCKS * 2]:
        fields: dict[str, str] = {}
        for line in _FOLD.sub(" ", block).split("\n"):
            name, colon, value = line.partition(":")
            if colon and name.strip() and " " not in name.strip():
                fields.setdefault(name.strip().lower(), _one_line(value))
        if fields:
            blocks.append(fields)
    return blocks[:MAX_BLOCKS]


def _utf8(value: str) -> str:
    """Give a header's value as it was meant: the parser keeps octets it cannot read as halves."""
    return value.encode("ascii", "surrogateescape").decode("utf-8", "replace")


def _one_line(text: str) -> str:
    return " ".join(text.split())
