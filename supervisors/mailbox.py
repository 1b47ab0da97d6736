"""What a supervisor has been told and has not yet dealt with, in order of arrival."""

from __future__ import annotations

from collections import deque

from supervisors.children import Child
from supervisors.facts import CallReceived, ChildDown, RetryRequested, StartRequested

Letter = StartRequested | ChildDown | RetryRequested | CallReceived


class Mailbox:
    """A queue of letters; a death can be taken out of turn, as OTP's selective receive does."""

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque()

    def post(self, letter: Letter) -> None:
        """Put a letter behind the others."""
        self._letters.append(letter)

    def take(self) -> Letter | None:
        """Take the oldest letter, None when there is none."""
        return self._letters.popleft() if self._letters else None

    def take_death(self, child: Child) -> ChildDown | None:
        """Take the report that this child's process has ended, None when there is none."""
        for letter in self._letters:
            if isinstance(letter, ChildDown) and child.is_process(letter.pid, letter.incarnation):
                self._letters.remove(letter)
                return letter
        return None

    def take_calls(self) -> tuple[CallReceived, ...]:
        """Take all calls."""
        calls = tuple(letter for letter in self._letters if isinstance(letter, CallReceived))
        self._letters = deque(
            letter for letter in self._letters if not isinstance(letter, CallReceived)
        )
        return calls

    @property
    def dead(self) -> frozenset[int]:
        """The incarnations whose death has been reported and not yet dealt with."""
        return frozenset(
            letter.incarnation for letter in self._letters if isinstance(letter, ChildDown)
        )
