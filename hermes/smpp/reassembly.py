"""Joins the parts of messages from handsets (3GPP TS 23.040, 9.2.3.24.1 and 8; SMPP 3.4, 5.3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from hermes.smpp.content import Content
from hermes.smpp.data_coding import Alphabet, decode_alphabet
from hermes.smpp.segment import Concatenation
from hermes.smpp.user_data_header import Concat, Element

Row = TypeVar("Row")

TIMEOUT: Final = 1800.0
"""Seconds after the first part in which the others must come."""


@dataclass(frozen=True, slots=True)
class Part(Generic[Row]):
    """One PDU from a handset; `row` is whatever its owner knows it by."""

    carrier: str
    source: str
    destination: str
    content: Content
    row: Row


@dataclass(frozen=True, slots=True)
class Joined(Generic[Row]):
    """One message: all its parts, or those that came in time.

    `rows` are the rows of all its PDUs in the order of the parts, then of the duplicates dropped:
    none of them is needed any more. `missing` are the numbers of parts that did not come. `text`
    is None when a part is binary; `elements` are those of the first part there is.
    """

    carrier: str
    source: str
    destination: str
    octets: bytes
    text: str | None
    data_coding: int
    rows: tuple[Row, ...]
    total: int = 1
    missing: tuple[int, ...] = ()
    elements: tuple[Element, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every part came."""
        return not self.missing


class _Key(NamedTuple):
    """Whose parts belong together: never the reference alone, for handsets count from anywhere."""

    carrier: str
    source: str
    destination: str
    kind: Concatenation
    reference: int
    total: int


@dataclass(slots=True)
class _Gathering(Generic[Row]):
    """The parts of one message so far, by number."""

    since: float
    parts: dict[int, Part[Row]] = field(default_factory=dict)
    duplicates: list[Row] = field(default_factory=list)


class Reassembly(Generic[Row]):
    """Gathers parts in any order until a message is whole or its time is over.

    It holds nothing a store does not: after a restart the same parts, fed again with the times
    they came at, give the same messages. `now` is in seconds of any one clock.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self.timeout: Final = timeout
        self._open: dict[_Key, _Gathering[Row]] = {}

    @property
    def waiting(self) -> int:
        """Parts held, duplicates included."""
        return sum(len(held.parts) + len(held.duplicates) for held in self._open.values())

    @property
    def next_expiry(self) -> float | None:
        """When the oldest message held runs out of time."""
        if not self._open:
            return None
        return min(held.since for held in self._open.values()) + self.timeout

    def add(self, part: Part[Row], now: float) -> tuple[Joined[Row], ...]:
        """Take a part; give what it completes, and what it shows to be over.

        A message of one part, or a part that cannot be one of its total, is given at once. The
        same part again is dropped. Other text under a number that is there means that the sender
        uses the reference again: what there was of the older message is given, incomplete.
        """
        concat = part.content.concat
        if concat is None or not concat.is_sound:
            return (_joined(_Gathering(now, {1: part}), 1),)
        key = _key(part, concat)
        over: list[Joined[Row]] = []
        held = self._open.get(key)
        if held is not None and now - held.since >= self.timeout:
            over.append(self._close(key))
            held = None
        known = None if held is None else held.parts.get(concat.number)
        if held is not None and known is not None:
            if _is_same(known.content, part.content):
                held.duplicates.append(part.row)
                return tuple(over)
            over.append(self._close(key, f"reference {key.reference} was used again"))
            held = None
        if held is None:
            held = self._open[key] = _Gathering(now)
        held.since = min(held.since, now)
        held.parts[concat.number] = part
        if len(held.parts) == concat.total:
            over.append(self._close(key))
        return tuple(over)

    def expired(self, now: float) -> tuple[Joined[Row], ...]:
        """Give what is there of messages whose time is over, oldest first."""
        due = [key for key, held in self._open.items() if now - held.since >= self.timeout]
        due.sort(key=lambda key: self._open[key].since)
        return tuple(self._close(key) for key in due)

    def _close(self, key: _Key, *problems: str) -> Joined[Row]:
        held = self._open.pop(key)
        return _joined(held, key.total, problems)


def _key(part: Part[Row], concat: Concat) -> _Key:
    return _Key(
        part.carrier,
        part.source,
        part.destination,
        concat.kind,
        concat.reference,
        concat.total,
    )


def _is_same(known: Content, again: Content) -> bool:
    return (known.octets, known.data_coding, known.shift) == (
        again.octets,
        again.data_coding,
        again.shift,
    )


def _joined(held: _Gathering[Row], total: int, problems: tuple[str, ...] = ()) -> Joined[Row]:
    """The message of the parts there are."""
    parts = held.parts
    numbers = sorted(parts)
    first = parts[numbers[0]]
    contents = [(number, parts[number].content) for number in numbers]
    noted = [problem for _, content in contents for problem in content.problems]
    return Joined(
        carrier=first.carrier,
        source=first.source,
        destination=first.destination,
        octets=b"".join(content.octets for _, content in contents),
        text=_text(contents),
        data_coding=first.content.data_coding,
        rows=(*(parts[number].row for number in numbers), *held.duplicates),
        total=total,
        missing=tuple(number for number in range(1, total + 1) if number not in parts),
        elements=first.content.elements,
        problems=tuple(dict.fromkeys((*noted, *problems))),
    )


def _text(contents: list[tuple[int, Content]]) -> str | None:
    """The text of parts in order, None when one is binary.

    Neighbours that read alike are decoded as one: a sender may cut inside a surrogate pair.
    """
    if any(content.alphabet is Alphabet.BINARY for _, content in contents):
        return None
    texts: list[str] = []
    run: list[Content] = []
    before = 0
    for number, content in contents:
        if run and (number != before + 1 or not _reads_like(run[-1], content)):
            texts.append(_decode(run))
            run = []
        run.append(content)
        before = number
    texts.append(_decode(run))
    return "".join(texts)


def _reads_like(one: Content, other: Content) -> bool:
    return (one.alphabet, one.shift) == (other.alphabet, other.shift)


def _decode(run: list[Content]) -> str:
    octets = b"".join(content.octets for content in run)
    return decode_alphabet(octets, run[0].alphabet, run[0].shift)
