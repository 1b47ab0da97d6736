"""The children of one supervisor in start order, each with its process and its past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from supervisors.child_spec import ChildSpec, Restart
from supervisors.exit_reason import ExitReason


class ChildState(StrEnum):
    """Only STARTING, UP and STOPPING children have a process."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    RESTARTING = "restarting"  # a start failed, the retry is on its way


@dataclass(frozen=True, slots=True)
class Child:
    """One child; `since` is when its state began (monotonic seconds).

    `pid` is the running process, `last_pid` the one that was up last. `attempt` marks the retry
    that is valid while RESTARTING. `restart_count` counts the supervisor's own starts of a child,
    those for a sibling's sake included.
    """

    spec: ChildSpec
    since: float
    args: tuple[object, ...] = ()
    state: ChildState = ChildState.DOWN
    pid: int | None = None
    last_pid: int | None = None
    incarnation: int = 0
    attempt: int = 0
    restart_count: int = 0
    last_exit: ExitReason | None = None

    @property
    def id(self) -> str:
        """The id of its spec."""
        return self.spec.id

    @property
    def is_temporary(self) -> bool:
        """True when its spec goes with its process."""
        return self.spec.restart is Restart.TEMPORARY

    def is_process(self, pid: int, incarnation: int) -> bool:
        """Tell whether a report is about this very process; an untold pid fits any."""
        return self.incarnation == incarnation and self.pid in (None, pid)

    def is_retried_by(self, attempt: int) -> bool:
        """Tell whether this retry is the one the child is waiting for."""
        return self.state is ChildState.RESTARTING and self.attempt == attempt


class Children:
    """Children by id, in the order in which they are started."""

    def __init__(self, specs: Iterable[ChildSpec], now: float) -> None:
        self._by_id = {spec.id: Child(spec, since=now) for spec in specs}

    def __iter__(self) -> Iterator[Child]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def __getitem__(self, id_: str) -> Child:
        return self._by_id[id_]

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids in start order."""
        return tuple(self._by_id)

    def find(self, id_: str) -> Child | None:
        """Return the child of that id, if there is one."""
        return self._by_id.get(id_)

    def find_up(self, pid: int, incarnation: int) -> Child | None:
        """Return the child whose running process this is, if there is one."""
        for child in self._by_id.values():
            if child.state is ChildState.UP and child.is_process(pid, incarnation):
                return child
        return None

    def find_last(self, pid: int) -> Child | None:
        """Return the child whose process that was up last had this pid."""
        return next((child for child in self._by_id.values() if child.last_pid == pid), None)

    def put(self, child: Child) -> None:
        """Replace the child of that id at its place, or add it at the end."""
        self._by_id[child.id] = child

    def drop(self, id_: str) -> None:
        """Forget a child with its spec."""
        del self._by_id[id_]
