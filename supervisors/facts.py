"""What a supervisor core is told: past-tense facts, each about one process, timer or caller."""

from __future__ import annotations

from dataclasses import dataclass

from supervisors.calls import Request
from supervisors.exit_reason import ExitReason


@dataclass(frozen=True, slots=True)
class StartRequested:
    """The parent wants the supervisor up."""


@dataclass(frozen=True, slots=True)
class ChildSpawned:
    """The process of a child exists; it has not yet said that it is up."""

    id: str
    pid: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child said that it is up."""

    id: str
    pid: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class ChildIgnored:
    """A child said that there is nothing for it to do; its process is ending."""

    id: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A child said that it cannot start, or its process could not be made."""

    id: str
    incarnation: int
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class ChildDown:
    """The process of a child ended. Late and repeated reports are harmless."""

    pid: int
    incarnation: int
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time of a SetTimer is over. Timers are never cancelled, those passed are ignored."""

    timer: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The parent wants the supervisor gone, by `deadline` (monotonic seconds) if one is given."""

    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class RetryRequested:
    """The message to itself that RetryLater asked for has arrived."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CallReceived:
    """Somebody asks; `call` is opaque and comes back in the Answer."""

    call: object
    request: Request


StartAnswer = ChildSpawned | ChildStarted | ChildIgnored | StartFailed
Fact = (
    StartRequested
    | StartAnswer
    | ChildDown
    | TimedOut
    | StopRequested
    | RetryRequested
    | CallReceived
)
