"""The latest mails, in memory, and how they are shown."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from hermes.mail.notice import shallow

MAX_COUNT: Final = 1000
MAX_OCTETS: Final = 64_000_000

# as in hermes.mail.notice: what the parser raises over the texts of strangers
_PARSER_FAULTS: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Kept:
    """One mail: `at` is seconds since 1970 (UTC), `fate` the word of what becomes of it."""

    number: int
    at: float
    sender: str
    recipient: str
    envelope_id: str
    fate: str
    content: bytes


class Mailbox:
    """Keeps the latest mails, as many as fit in both bounds."""

    def __init__(self, max_count: int = MAX_COUNT, max_octets: int = MAX_OCTETS) -> None:
        self.count = 0
        self._max_count, self._max_octets = max_count, max_octets
        self._octets = 0
        self._kept: deque[Kept] = deque()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, at: float, envelope: tuple[str, str, str], fate: str, content: bytes) -> Kept:
        """Keep a mail of (sender, recipient, envelope id); the oldest make room."""
        self.count += 1
        kept = Kept(self.count, at, *envelope, fate, content)
        self._kept.append(kept)
        self._octets += len(content)
        while len(self._kept) > self._max_count or (
            self._octets > self._max_octets and len(self._kept) > 1
        ):
            self._octets -= len(self._kept.popleft().content)
        return kept

    def find(self, number: int) -> Kept | None:
        """Give a mail by its number, None if it is not kept any more."""
        first = self._kept[0].number if self._kept else 0
        place = number - first
        return self._kept[place] if 0 <= place < len(self._kept) else None

    def since(self, number: int, limit: int, recipient: str = "") -> list[Kept]:
        """Give the mails after a number, oldest first; with a recipient only those to it."""
        wanted = recipient.lower()
        found = (
            kept
            for kept in self._kept
            if kept.number > number and wanted in ("", kept.recipient.lower())
        )
        return [kept for kept, _ in zip(found, range(limit), strict=False)]

    def forget(self) -> None:
        """Drop what is kept; the numbers go on."""
        self._kept.clear()
        self._octets = 0


def summary(kept: Kept) -> dict[str, object]:
    """Show a mail in a list."""
    headers = _parsed(kept.content.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    return {
        "number": kept.number,
        "at": kept.at,
        "sender": kept.sender,
        "recipient": kept.recipient,
        "envelope_id": kept.envelope_id,
        "fate": kept.fate,
        "octets": len(kept.content),
        "subject": _header(headers, "subject"),
        "from": _header(headers, "from"),
        "message_id": _header(headers, "message-id"),
    }


def whole(kept: Kept) -> dict[str, object]:
    """Show a mail with its headers and texts."""
    message = _parsed(kept.content)
    names = list(dict.fromkeys(message.keys()))
    return {
        **summary(kept),
        "headers": {name: _header(message, name) for name in names},
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
    }


def _parsed(octets: bytes) -> EmailMessage:
    try:
        return message_from_bytes(shallow(octets), policy=policy.default)
    except _PARSER_FAULTS:
        return EmailMessage()


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except _PARSER_FAULTS:
        return "(cannot be read)"


def _body(message: EmailMessage, kind: str) -> str | None:
    try:
        part = message.get_body((kind,))
        return None if part is None else str(part.get_content())
    except _PARSER_FAULTS:
        return None
