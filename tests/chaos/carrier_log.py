"""What the carrier saw: its log from a place on, as accepted submits and ended links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec


class Line(msgspec.Struct, frozen=True):
    """A line of the simulator's log, as far as it is judged; `at` is seconds since 1970."""

    event: str
    at: float
    destination: str = ""
    message_id: str | None = None
    status: int | None = None


DECODER = msgspec.json.Decoder(Line)


@dataclass
class Seen:
    """A span of the log; submits by destination, in order."""

    submits: dict[str, list[float]] = field(default_factory=dict)
    links_lost: list[float] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)

    def times(self) -> list[float]:
        """Give when each submit was accepted, in order."""
        return sorted(at for times in self.submits.values() for at in times)


@dataclass
class CarrierLog:
    """The log of a carrier that writes on; `mark` forgets what came before."""

    path: Path
    start: int = 0

    def mark(self) -> None:
        """Read from here on."""
        self.start = self.path.stat().st_size if self.path.exists() else 0

    def read(self) -> Seen:
        """Read everything since the mark, whole lines only."""
        seen = Seen()
        if not self.path.exists():
            return seen
        with self.path.open("rb") as lines:
            lines.seek(self.start)
            for text in lines:
                if text.endswith(b"\n"):
                    note(seen, DECODER.decode(text))
        return seen


def note(seen: Seen, line: Line) -> None:
    """Note one line."""
    if line.event == "submit" and line.message_id is not None:
        seen.submits.setdefault(line.destination, []).append(line.at)
    elif line.event == "unbind":
        seen.links_lost.append(line.at)
    elif line.event == "bind" and line.status == 0:
        seen.bound.append(line.at)


def longest_gap(times: Sequence[float], after: float, until: float) -> float:
    """Give the longest time in seconds without an accepted submit that began in after..until.

    `times` in order. What began earlier counts from `after`; with none behind, up to `until`.
    """
    longest, before = 0.0, after
    for at in times:
        if at <= after:
            continue
        if before >= until:
            break
        longest, before = max(longest, at - before), at
    return max(longest, until - before)
