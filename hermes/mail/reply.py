"""SMTP replies: lines to values, at any split (RFC 5321, 4.2; enhanced codes RFC 2034, 3463)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_LINE: Final = 4096
"""Octets of a line: eight times what RFC 5321 allows, as servers paste in what they were told."""
MAX_LINES: Final = 256
MAX_PUBLIC: Final = 200
_MAX_SEARCHED: Final = 1000

_LINE: Final = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED: Final = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?=\s|$)")
_ADDRESS: Final = re.compile(
    r'<[^<>]*@[^<>]*>|<[^<>\s]*>|(?:"[^"\s]*"|[^\s<>()\[\],;:"@]+)@[^\s<>(),;:"]+'
)
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


class EnhancedCode(NamedTuple):
    """class.subject.detail of RFC 3463."""

    kind: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.kind}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: `lines` are the texts after the code, as they came."""

    code: int
    lines: tuple[str, ...] = ("",)

    @property
    def enhanced(self) -> EnhancedCode | None:
        """The enhanced code it begins with; one of another class than the code is kept too."""
        return parse_enhanced(self.lines[0])

    @property
    def text(self) -> str:
        """The texts in one line, without the enhanced codes they begin with."""
        texts = (_ENHANCED.sub("", line, count=1) if _begins(line) else line for line in self.lines)
        return " ".join(filter(None, (text.strip() for text in texts)))

    @property
    def line(self) -> str:
        """`CODE ENHANCED text`, what the rules of bounces are written for."""
        parts = (str(self.code), str(self.enhanced or ""), self.text)
        return " ".join(filter(None, parts))

    @property
    def is_positive(self) -> bool:
        """Whether it is of the class 2yz."""
        return 200 <= self.code < 300

    @property
    def is_refusal(self) -> bool:
        """Whether it is of the classes 4yz and 5yz."""
        return self.code >= 400

    def __str__(self) -> str:
        return self.line


class BadReply(Exception):
    """Octets that are no reply; `replies` are the whole ones before them."""

    def __init__(self, why: str, replies: list[Reply]) -> None:
        self.why, self.replies = why, replies
        super().__init__(f"not an SMTP reply: {why}")


class ReplyReader:
    """Gathers octets into replies. After BadReply it is of no use any more."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._lines: list[str] = []

    @property
    def buffered(self) -> int:
        """Octets and lines of a reply that has not come whole."""
        return len(self._octets) + len(self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """Take what came and give the replies that are whole now. Raises BadReply."""
        self._octets += data
        replies: list[Reply] = []
        while (end := self._octets.find(b"\n")) >= 0:
            line = bytes(self._octets[:end]).removesuffix(b"\r")
            del self._octets[: end + 1]
            reply = self._take(line, replies)
            if reply is not None:
                replies.append(reply)
        if len(self._octets) > MAX_LINE:
            raise BadReply(f"a line has more than {MAX_LINE} octets", replies)
        return replies

    def _take(self, line: bytes, replies: list[Reply]) -> Reply | None:
        if len(line) > MAX_LINE:
            raise BadReply(f"a line has more than {MAX_LINE} octets", replies)
        found = _LINE.fullmatch(line.decode("utf-8", "replace"))
        if found is None:
            raise BadReply("a line begins with no code of 200 to 599", replies)
        self._lines.append(found[3] or "")
        if found[2] == "-":
            if len(self._lines) >= MAX_LINES:
                raise BadReply(f"it has more than {MAX_LINES} lines", replies)
            return None
        lines, self._lines = tuple(self._lines), []
        return Reply(int(found[1]), lines)


def parse_enhanced(text: str) -> EnhancedCode | None:
    """Read the enhanced code a text begins with."""
    found = _ENHANCED.match(text.lstrip())
    return EnhancedCode(int(found[1]), int(found[2]), int(found[3])) if found else None


def parse_reply(text: str) -> Reply | None:
    """Read a reply in one line, as reports quote it: `550 5.1.1 text` or `550-5.1.1 text`."""
    found = _LINE.fullmatch(text.strip())
    return Reply(int(found[1]), (found[3] or "",)) if found else None


def encode_reply(reply: Reply) -> bytes:
    """Give the lines of a reply as a server writes them; whatever is not printable is a blank."""
    texts = [_UNSEEN.sub(" ", line) for line in reply.lines]
    lines = [f"{reply.code}-{text}" for text in texts[:-1]] + [f"{reply.code} {texts[-1]}"]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def public_text(text: str) -> str:
    """Give a reply's text for events and logs: no addresses, one line, at most 200 characters."""
    cut = _UNSEEN.sub(" ", text[:_MAX_SEARCHED]).strip()
    return _ADDRESS.sub("(address)", cut)[:MAX_PUBLIC]


def _begins(line: str) -> bool:
    return _ENHANCED.match(line) is not None
