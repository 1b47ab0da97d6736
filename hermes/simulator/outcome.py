"""What becomes of an accepted message: by its last destination digit, or by a mix in percent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random


class Stat(StrEnum):
    """The `stat:` words of receipts (SMPP 3.4, appendix B)."""

    DELIVRD = "DELIVRD"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIV = "UNDELIV"
    ACCEPTD = "ACCEPTD"
    REJECTD = "REJECTD"
    UNKNOWN = "UNKNOWN"
    ENROUTE = "ENROUTE"


MESSAGE_STATE: Final[Mapping[Stat, int]] = MappingProxyType(
    {
        Stat.ENROUTE: 1,
        Stat.DELIVRD: 2,
        Stat.EXPIRED: 3,
        Stat.DELETED: 4,
        Stat.UNDELIV: 5,
        Stat.ACCEPTD: 6,
        Stat.UNKNOWN: 7,
        Stat.REJECTD: 8,
    }
)
"""message_state of SMPP 3.4, 5.2.28."""

BY_LAST_DIGIT: Final[Mapping[str, Stat]] = MappingProxyType(
    {
        "1": Stat.EXPIRED,
        "2": Stat.DELETED,
        "3": Stat.UNDELIV,
        "4": Stat.ACCEPTD,
        "5": Stat.REJECTD,
    }
)
"""Any other last character is DELIVRD. ACCEPTD is never followed by a final state."""

ERR: Final[Mapping[Stat, int]] = MappingProxyType(
    {
        Stat.EXPIRED: 1,
        Stat.DELETED: 2,
        Stat.UNDELIV: 3,
        Stat.REJECTD: 5,
        Stat.UNKNOWN: 7,
    }
)
"""The `err:` of a receipt; 0 for the states that are no failure."""

MIXABLE: Final = tuple(stat for stat in Stat if stat is not Stat.ENROUTE)


def by_last_digit(destination: str) -> Stat:
    """The outcome the last digit of the destination asks for."""
    return BY_LAST_DIGIT.get(destination[-1:], Stat.DELIVRD)


def is_failure(stat: Stat) -> bool:
    """Whether a receipt "on failure only" is due for this outcome."""
    return stat in ERR


@dataclass(frozen=True, slots=True)
class Mix:
    """Outcomes drawn at random; `shares` are percentages that add up to 100."""

    shares: tuple[tuple[Stat, float], ...]

    def draw(self, chance: Random) -> Stat:
        """One outcome; the same seed gives the same row of outcomes."""
        point = chance.random() * 100.0
        for stat, share in self.shares:
            if point < share:
                return stat
            point -= share
        return self.shares[-1][0]


def parse_mix(text: str) -> Mix | None:
    """Read `DELIVRD=90,UNDELIV=10`; empty means no mix. ValueError names the part at fault."""
    if not text:
        return None
    shares: dict[Stat, float] = {}
    for part in text.split(","):
        name, _, percent = part.partition("=")
        word = name.strip().upper()
        if word not in MIXABLE:
            raise ValueError(f"{word!r} is none of {', '.join(MIXABLE)}")
        try:
            share = float(percent)
        except ValueError:
            raise ValueError(f"{percent!r} after {word} is no percentage") from None
        if not 0 <= share <= 100:
            raise ValueError(f"{share:g} percent of {word} is outside 0..100")
        shares[Stat(word)] = shares.get(Stat(word), 0.0) + share
    total = sum(shares.values())
    if abs(total - 100.0) > 1e-6:
        raise ValueError(f"the shares add up to {total:g}, not 100")
    return Mix(tuple(shares.items()))
