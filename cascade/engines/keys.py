"""The two keys under which an engine may know a message: started at once, started later."""

from __future__ import annotations

from typing import Final

# a start that was asked for later has a key of its own, so that one at once need not wait for it
LATER: Final = ".later"


def keys_of(mid: str) -> tuple[str, str]:
    """Give the keys a message may have: started at once, started later."""
    return mid, mid + LATER


def mid_of(key: str) -> str:
    """Give the message of a key."""
    return key.removesuffix(LATER)
