"""Durations as people write them: seconds as a number, or a number with s, m, h or d."""

from __future__ import annotations

import math
import re
from typing import Final

TEXT: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FORM: Final = 'seconds as a number, or text such as "10s", "5m", "2h", "1d"'


def parse_duration(text: str | float) -> float:
    """Give the seconds. Raises ValueError, which says what is expected."""
    if isinstance(text, str):
        found = TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"expected {FORM}")
        return float(found[1]) * SECONDS[found[2]]
    if not math.isfinite(text):
        raise ValueError(f"expected {FORM}")
    return float(text)


def duration_text(seconds: float) -> str:
    """Give the shortest text that is read as these seconds (to the millisecond)."""
    for unit, size in reversed(SECONDS.items()):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
