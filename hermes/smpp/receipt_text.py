"""Reads delivery receipts as carriers write them (SMPP 3.4, appendix B and 5.3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import TlvTag

FINAL: Final = frozenset(
    ("DELIVRD", "DELIVERD", "EXPIRED", "DELETED", "UNDELIV", "REJECTD", "FAILED")
)
KNOWN: Final = FINAL | {"ACCEPTD", "ENROUTE", "BUFFERED", "BUFFRED", "UNKNOWN"}
MESSAGE_STATES: Final[dict[int, str]] = {
    0: "SCHEDULED",  # 5.0
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",  # 5.0
}
"""message_state (SMPP 3.4, 5.2.28; SMPP 5.0, 4.7.15) as `stat` spells it."""

_KEY: Final = re.compile(
    r"(?:(?<=\s)|^)"
    r"(?:(id)|(sub)|(delivrd|dlvrd)|(submi?t[\s_]*date)|(done[\s_]*date)|(stat)|(err)|(text)):",
    re.IGNORECASE | re.ASCII,
)
_NAMES: Final = ("id", "sub", "dlvrd", "submit", "done", "stat", "err", "text")
_GAP_FILLERS: Final = ("stat", "err", "id", "submit", "done")
_WORD: Final = re.compile(r"[^\s\0]+", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{10}|[0-9]{12}|[0-9]{14}")


@dataclass(frozen=True, slots=True)
class NetworkError:
    """network_error_code (0x0423) in both readings: type and code, or ASCII digits if they are."""

    octets: bytes

    @property
    def network_type(self) -> int | None:
        """First octet: 1 ANSI-136, 2 IS-95, 3 GSM, 4 reserved; None unless there are three."""
        return self.octets[0] if len(self.octets) == 3 else None

    @property
    def code(self) -> int | None:
        """The last two octets as a number; None unless there are three."""
        return int.from_bytes(self.octets[1:], "big") if len(self.octets) == 3 else None

    @property
    def digits(self) -> str | None:
        """The octets as ASCII digits, as some carriers send them."""
        text = self.octets.rstrip(b"\0")
        return text.decode("ascii") if text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery receipt.

    `id` may be empty (an orphan). `stat` is a known state, UNKNOWN for any other word, which
    `stat_word` keeps. `err`, `submit`, `done`, `sub` and `dlvrd` are the words of the text, empty
    where there is none. `final` is whether the state can still change; `text` the echoed text.
    """

    id: str
    stat: str
    stat_word: str
    final: bool
    err: str
    submit: str
    done: str
    sub: str
    dlvrd: str
    text: str
    message_state: int | None
    network_error: NetworkError | None


def is_receipt(pdu: Pdu, *, by_text: bool = False) -> bool:
    """Whether a deliver_sm or data_sm is a receipt, final or intermediate.

    `by_text` (a setting of the carrier) also takes a text with an id and a known state for one.
    """
    if pdu.number("esm_class") & 0x3C in (0x04, 0x20):
        return True
    tags = {tlv.tag for tlv in pdu.tlvs}
    if TlvTag.receipted_message_id in tags and TlvTag.message_state in tags:
        return True
    if not by_text:
        return False
    words = parse_words(receipt_octets(pdu))
    return bool(words.get("id")) and words.get("stat", "").upper() in KNOWN


def receipt_octets(pdu: Pdu) -> bytes:
    """The octets of the receipt's text: short_message or message_payload, after its header."""
    octets = pdu.octets("short_message") or pdu.tlv(TlvTag.message_payload) or b""
    if pdu.number("esm_class") & 0x40 and octets and octets[0] < len(octets):
        return octets[octets[0] + 1 :]
    return octets


def parse_receipt(pdu: Pdu) -> Receipt:
    """Everything the receipt says; a TLV wins over the text. Never raises."""
    words = parse_words(receipt_octets(pdu))
    message_id = (pdu.tlv(TlvTag.receipted_message_id) or b"").split(b"\0", 1)[0].strip()
    state = pdu.tlv(TlvTag.message_state)
    number = int.from_bytes(state, "big") if state else None
    stat_word = words.get("stat", "")
    stat = _state(stat_word, number)
    network_error = pdu.tlv(TlvTag.network_error_code)
    return Receipt(
        id=message_id.decode("latin-1") or words.get("id", ""),
        stat=stat,
        stat_word=stat_word,
        final=stat in FINAL,
        err=words.get("err", ""),
        submit=words.get("submit", ""),
        done=words.get("done", ""),
        sub=words.get("sub", ""),
        dlvrd=words.get("dlvrd", ""),
        text=words.get("text", ""),
        message_state=number,
        network_error=None if network_error is None else NetworkError(network_error),
    )


def parse_words(octets: bytes) -> dict[str, str]:
    """The words of a receipt's text by key: id, sub, dlvrd, submit, done, stat, err, text.

    A word ends at white space or the next key; a key without one is empty or absent. What follows
    `text:` is text, and only fills gaps when there is no state before it.
    """
    source = octets.decode("latin-1").rstrip("\0")
    matches = list(_KEY.finditer(source))
    text = next((match for match in matches if match.group(8)), None)
    if text is None:
        return _words(source, matches, len(source))
    words = _words(source, [m for m in matches if m.start() < text.start()], text.start())
    if not words.get("stat"):
        inside = source[text.end() :]
        found = _words(inside, list(_KEY.finditer(inside)), len(inside))
        for name, word in found.items():
            if name in _GAP_FILLERS and word and not words.get(name):
                words[name] = word
    words["text"] = source[text.end() :]
    return words


def _words(source: str, matches: list[re.Match[str]], end: int) -> dict[str, str]:
    """First word after each key, up to the next key or `end`; of a repeated key the first."""
    words: dict[str, str] = {}
    stops = [match.start() for match in matches[1:]] + [end]
    for match, stop in zip(matches, stops, strict=False):
        assert match.lastindex is not None
        word = _WORD.search(source, match.end(), stop)
        words.setdefault(_NAMES[match.lastindex - 1], word.group() if word else "")
    return words


def _state(word: str, number: int | None) -> str:
    """The state by TLV first; the text's spelling where both mean the same."""
    spelled = word.upper() if word.upper() in KNOWN else "UNKNOWN"
    by_tlv = None if number is None else MESSAGE_STATES.get(number)
    if by_tlv is None or by_tlv[:4] == spelled[:4]:
        return spelled
    return by_tlv


def moment(word: str, zone: tzinfo) -> datetime | None:
    """The time a date word means in the carrier's zone, None for what is no date.

    10 digits are YYMMDDhhmm; 12 are YYMMDDhhmmss if digits 3 and 4 are a month, else
    YYYYMMDDhhmm; 14 are YYYYMMDDhhmmss.
    """
    if _DIGITS.fullmatch(word) is None:
        return None
    if len(word) == 10 or (len(word) == 12 and "01" <= word[2:4] <= "12"):
        word = "20" + word
    year, rest = int(word[:4]), word[4:].ljust(10, "0")
    month, day, hour, minute, second = (int(rest[at : at + 2]) for at in range(0, 10, 2))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
