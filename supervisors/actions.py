"""What a supervisor core orders: imperatives for the shell to carry out in the given order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from supervisors.calls import Result
from supervisors.child_spec import ChildSpec
from supervisors.exit_reason import ExitReason


@dataclass(frozen=True, slots=True)
class Start:
    """Make the process of this incarnation; `args` only under simple_one_for_one."""

    spec: ChildSpec
    incarnation: int
    args: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class TellToStop:
    """Ask a child to stop; it is killed at `deadline` (monotonic seconds, None = never)."""

    id: str
    pid: int | None
    incarnation: int
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill a child's process; without a pid, the one made for this incarnation."""

    id: str
    pid: int | None
    incarnation: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Say TimedOut(timer) after so many seconds."""

    timer: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Send RetryRequested(id, attempt) to oneself, behind what waits in the mailbox."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a call."""

    call: object
    result: Result


@dataclass(frozen=True, slots=True)
class Started:
    """Tell the parent that the supervisor is up, all its children with it."""


@dataclass(frozen=True, slots=True)
class Exit:
    """End: no child runs any more. Nothing is said or done after it."""

    reason: ExitReason


class ReportKind(StrEnum):
    """What happened, as a log event."""

    CHILD_STARTED = "child.started"
    CHILD_IGNORED = "child.ignored"
    CHILD_WENT_DOWN = "child.went_down"
    CHILD_STOPPED = "child.stopped"
    START_FAILED = "child.start_failed"
    STOP_FAILED = "child.stop_failed"  # it ended otherwise than it was told to
    LIMIT_EXCEEDED = "restarts.exceeded"


@dataclass(frozen=True, slots=True)
class Report:
    """A line for the log. `recent_restarts` counts the supervisor's window, where it matters."""

    kind: ReportKind
    id: str
    pid: int | None
    incarnation: int
    reason: ExitReason | None
    restart_count: int
    recent_restarts: int | None = None


Action = Start | TellToStop | Kill | SetTimer | RetryLater | Answer | Started | Exit | Report
