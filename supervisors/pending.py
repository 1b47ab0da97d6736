"""What a supervisor is busy with: one job, its steps, and the start or stops it waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from supervisors.exit_reason import ExitReason
from supervisors.facts import (
    ChildDown,
    ChildIgnored,
    ChildSpawned,
    ChildStarted,
    StartAnswer,
    StartFailed,
)


@dataclass(frozen=True, slots=True)
class StartStep:
    """Start one child and wait for its answer; a restart is counted in the child's past."""

    id: str
    is_restart: bool = False


@dataclass(frozen=True, slots=True)
class StopStep:
    """Stop these children together and wait until all are down."""

    ids: tuple[str, ...]


Step = StartStep | StopStep


@dataclass(frozen=True, slots=True)
class Boot:
    """Start all children; a failed start ends the supervisor."""


@dataclass(frozen=True, slots=True)
class Revive:
    """Start children again after one went down; a failed start is retried."""


@dataclass(frozen=True, slots=True)
class ServeStart:
    """Start a child for a caller, to whom a failed start is told; it goes with a new spec."""

    call: object
    id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class ServeStop:
    """Stop a child for a caller."""

    call: object


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop all children in reverse and exit."""

    reason: ExitReason


Job = Boot | Revive | ServeStart | ServeStop | Leave


@dataclass(frozen=True, slots=True)
class Up:
    """The start ended well."""

    pid: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """The child has nothing to do; it stays down without having failed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The start did not end well."""

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class PendingStart:
    """One start under way; `answer` is set when it has ended and its process has not."""

    id: str
    incarnation: int
    timer: int
    is_restart: bool
    pid: int | None = None
    answer: Ignored | Failed | None = None

    def is_about(self, fact: StartAnswer | ChildDown) -> bool:
        """Tell whether a fact concerns this start."""
        if isinstance(fact, ChildSpawned | ChildStarted | ChildDown) and (
            self.pid not in (None, fact.pid)
        ):
            return False
        return fact.incarnation == self.incarnation

    def on_fact(self, fact: StartAnswer | ChildDown) -> PendingStart | Up | Ignored | Failed:
        """Take in a fact about this start: either it goes on, or this is how it ended.

        A child that failed or ignored while its process exists is waited for: a second process
        of one id must not overlap with the first.
        """
        match fact:
            case ChildSpawned(pid=pid):
                return replace(self, pid=pid)
            case ChildStarted(pid=pid):
                return Up(pid) if self.answer is None else replace(self, pid=pid)
            case ChildIgnored():
                return self._answered(Ignored())
            case StartFailed(reason=reason):
                return self._answered(Failed(reason))
            case ChildDown(reason=reason):
                return self.answer or Failed(reason)
            case _ as never:
                assert_never(never)

    def _answered(self, answer: Ignored | Failed) -> PendingStart | Ignored | Failed:
        first = self.answer or answer
        return first if self.pid is None else replace(self, answer=first)


@dataclass(frozen=True, slots=True)
class PendingStop:
    """Stops under way, all against one `limit` (monotonic seconds).

    INFINITY means that nothing is killed, -INFINITY that all have been.
    """

    ids: frozenset[str]
    timer: int
    limit: float

    def without(self, id_: str) -> PendingStop | None:
        """Go on without a child that is down; None when it was the last."""
        rest = self.ids - {id_}
        return replace(self, ids=rest) if rest else None
