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

    `inbound` is the id of the stored PDU, `err` the carrier's code, both without blanks.
    """

    inbound: str
    stat: str
    err: str

    def __str__(self) -> str:
        return " ".join(self)

    @classmethod
    def parse(cls, text: str) -> ReceiptNote:
        """Read what `str` wrote; parts that are missing are empty."""
        parts = [*text.split(" ", 2), "", ""]
        return cls(parts[0], parts[1], parts[2])
