"""How a supervisor and its children are doing, as values for a status display."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from supervisors.child_spec import ChildType, Restart
from supervisors.children import Child, Children, ChildState
from supervisors.exit_reason import ExitReason
from supervisors.intensity import RestartWindow
from supervisors.strategy import Strategy


class Phase(StrEnum):
    """The life of a supervisor."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One child; `since` is when its state began (monotonic seconds)."""

    id: str
    state: ChildState
    pid: int | None
    since: float
    restart_count: int
    last_exit: ExitReason | None
    restart: Restart
    type: ChildType


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """One supervisor with its children in start order and the restarts in its window."""

    phase: Phase
    strategy: Strategy
    recent_restarts: int
    max_restarts: int
    period: float
    children: tuple[ChildStatus, ...]


def supervisor_status(
    phase: Phase,
    strategy: Strategy,
    window: RestartWindow,
    children: Children,
    gone: Container[int],
    now: float,
) -> SupervisorStatus:
    """Draw the picture of this moment; `gone` are incarnations whose end still waits its turn."""
    return SupervisorStatus(
        phase=phase,
        strategy=strategy,
        recent_restarts=len(window.recent(now)),
        max_restarts=window.intensity.max_restarts,
        period=window.intensity.period,
        children=tuple(_child_status(child, child.incarnation in gone) for child in children),
    )


def _child_status(child: Child, is_gone: bool) -> ChildStatus:
    return ChildStatus(
        id=child.id,
        state=ChildState.DOWN if is_gone else child.state,
        pid=None if is_gone else child.pid,
        since=child.since,
        restart_count=child.restart_count,
        last_exit=child.last_exit,
        restart=child.spec.restart,
        type=child.spec.type,
    )
