"""What a receipt's final word makes of an attempt."""

from __future__ import annotations

from typing import Final, NamedTuple

from hermes.core.event import EventKind

KIND_OF: Final[dict[str, EventKind]] = {
    "DELIVRD": "delivered",
    "DELIVERD": "delivered",
    "EXPIRED": "expired",
    "DELETED": "undelivered",
    "UNDELIV": "undelivered",
    "REJECTD": "rejected",
    "FAILED": "failed",
}


def kind_of_receipt(stat: str) -> EventKind:
    """Give the event of a receipt's `stat`; whatever is not final is `enroute`."""
    return KIND_OF.get(stat, "enroute")


class ReceiptNote(NamedTuple):
    """What an orphan keeps of its receipt, so that whoever matches it can tell the event.

    `inbound` is the id of the stored PDU, `err` the carrier's code, `done` when the carrier says it
    ended (RFC 3339, empty where it does not); all without blanks.
    """

    inbound: str
    stat: str
    err: str
    done: str = ""

    @property
    def words(self) -> str:
        """What the trail shows of it."""
        parts = (f"err {self.err}" if self.err else "", f"done {self.done}" if self.done else "")
        return ", ".join(filter(None, parts))

    def __str__(self) -> str:
        return " ".join(self)

    @classmethod
    def parse(cls, text: str) -> ReceiptNote:
        """Read what `str` wrote; parts that are missing are empty."""
        inbound, stat, err, done = [*text.split(" ", 3), "", "", ""][:4]
        return cls(inbound, stat, err, done)
