"""Tells a relay that is busy from one that does not want this one mail now."""

from __future__ import annotations

from typing import Final

from hermes.mail.verdict import RETRY

MOST: Final = 3
"""So many times a mail is sent back and tried again from the head of the queue."""


class Patience:
    """Counts how often each mail was sent back as if the relay were busy.

    Without an end a mail whose recipient is always answered so would stand at the head, and have
    the relay rest, for as long as it is valid.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def is_over(self, attempt: str, accepted: int) -> bool:
        """Note one more time; true when it was the last, and the relay took others meanwhile.

        `accepted` counts the mails the relay took so far.
        """
        count, first = self._seen.get(attempt, (0, accepted))
        self._seen[attempt] = (count + 1, first)
        return count + 1 >= MOST and accepted > first

    def forget(self, attempt: str) -> None:
        """This mail has ended, or is in other hands."""
        self._seen.pop(attempt, None)


def delay_after(n: int, pause: float) -> float:
    """Give the seconds until a mail is tried again whose attempt `n` (from 0) was sent back."""
    return max(pause, RETRY.delay * (n + 1))
