"""Requests to a running supervisor and their answers (OTP: start_child to count_children)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from supervisors.child_spec import ChildSpec, ChildType
from supervisors.exit_reason import ExitReason


@dataclass(frozen=True, slots=True)
class StartChild:
    """Add a child at the end and start it."""

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Start one more child of a simple_one_for_one supervisor; `args` go to its start."""

    args: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class TerminateChild:
    """Stop a child and keep its spec; by id, under simple_one_for_one by pid."""

    child: str | int


@dataclass(frozen=True, slots=True)
class RestartChild:
    """Start a child that is down; its spec is known."""

    id: str


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Forget the spec of a child that is down."""

    id: str


@dataclass(frozen=True, slots=True)
class WhichChildren:
    """List the children."""


@dataclass(frozen=True, slots=True)
class CountChildren:
    """Count the children."""


Request = (
    StartChild
    | StartInstance
    | TerminateChild
    | RestartChild
    | DeleteChild
    | WhichChildren
    | CountChildren
)


class Refusal(StrEnum):
    """Why a request was not granted; the first six are OTP's words."""

    ALREADY_STARTED = "already_started"
    ALREADY_PRESENT = "already_present"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"
    FAULTY_SPEC = "faulty_spec"
    START_FAILED = "start_failed"
    NOT_RUNNING = "not_running"  # the supervisor has not started, or is stopping


@dataclass(frozen=True, slots=True)
class Refused:
    """The request changed nothing. `pid` goes with ALREADY_STARTED, `reason` with START_FAILED."""

    why: Refusal
    pid: int | None = None
    reason: ExitReason | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildAdded:
    """The child is up; `pid` is None when its start answered ignore."""

    id: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Done:
    """The child is down, or its spec forgotten."""


@dataclass(frozen=True, slots=True)
class ChildEntry:
    """One line of which_children; no pid and not restarting means down."""

    id: str
    pid: int | None
    is_restarting: bool
    type: ChildType


@dataclass(frozen=True, slots=True)
class ChildList:
    """All children in start order (OTP lists them in reverse)."""

    children: tuple[ChildEntry, ...]


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """Specs, running processes, and how many specs are supervisors and workers."""

    specs: int
    active: int
    supervisors: int
    workers: int


Result = ChildAdded | Done | Refused | ChildList | ChildCounts
