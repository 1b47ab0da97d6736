"""A world that carries out a supervisor's actions at once, on a clock that moves when told."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, assert_never

from supervisors.actions import (
    Action,
    Answer,
    Exit,
    Kill,
    Report,
    ReportKind,
    RetryLater,
    SetTimer,
    Start,
    Started,
    TellToStop,
)
from supervisors.calls import (
    ChildAdded,
    ChildCounts,
    ChildList,
    CountChildren,
    Request,
    Result,
    StartChild,
    StartInstance,
    WhichChildren,
)
from supervisors.core import SupervisorCore
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.facts import (
    CallReceived,
    ChildDown,
    ChildIgnored,
    ChildSpawned,
    ChildStarted,
    Fact,
    RetryRequested,
    StartFailed,
    StartRequested,
    StopRequested,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervisors.child_spec import ChildSpec
    from supervisors.strategy import SupervisorFlags

CRASH = ExitReason(ExitKind.ABNORMAL, "crash")
KILLED = ExitReason(ExitKind.KILLED)
BAD_START = ExitReason(ExitKind.ABNORMAL, "bad start")

Event = list[str]


class Starts(Enum):
    """How a child answers its start."""

    UP = "up"
    IGNORES = "ignores"
    FAILS = "fails"  # says so, then ends
    DIES = "dies"  # ends without a word
    HANGS = "hangs"
    NO_PROCESS = "no_process"  # could not even be forked


@dataclass(frozen=True)
class Subtree:
    """The `start` of a child that is a supervisor itself."""

    flags: SupervisorFlags
    specs: tuple[ChildSpec, ...] = ()


@dataclass
class Process:
    """One process that runs."""

    id: str
    pid: int
    incarnation: int


class World:
    """`seen` is what happened, in the words of the recorded traces; `actions` is all ordered.

    `starts` holds the answers to coming starts per child (UP when none is left), `deaf` the
    children that ignore a stop, `last_words` the reasons with which children obey one. A child
    whose `start` is a Subtree is a world of its own in `subtrees`; it adds to the same `seen`.
    """

    def __init__(
        self,
        flags: SupervisorFlags,
        specs: Sequence[ChildSpec] = (),
        *,
        above: tuple[World, Process] | None = None,
    ) -> None:
        self.core = SupervisorCore(flags, specs, 0.0)
        self.now = 0.0
        self.seen: list[Event] = [] if above is None else above[0].seen
        self.actions: list[Action] = []
        self.exit: ExitReason | None = None
        self.is_started = False
        self.running: dict[int, Process] = {}
        self.starts: defaultdict[str, deque[Starts]] = defaultdict(deque)
        self.deaf: set[str] = set()
        self.last_words: dict[str, ExitReason] = {}
        if above is not None:
            self.starts, self.deaf, self.last_words = above[0].habits()
        self.results: dict[object, Result] = {}
        self.retries: deque[RetryRequested] = deque()
        self.holds_retries = False
        self.subtrees: dict[str, World] = {}
        self._above = above
        self._pids = count(1001)
        self._calls = count(1)
        self._timers: list[tuple[float, int]] = []
        self._inbox: deque[Fact] = deque()
        self._is_busy = False

    def habits(
        self,
    ) -> tuple[defaultdict[str, deque[Starts]], set[str], dict[str, ExitReason]]:
        """How children behave; a subtree shares it."""
        return self.starts, self.deaf, self.last_words

    def is_alive(self) -> bool:
        """True until the supervisor has exited."""
        return self.exit is None

    def boot(self) -> World:
        """Start the supervisor and forget what was seen of it."""
        self.tell(StartRequested())
        self.seen.clear()
        return self

    def tell(self, *facts: Fact) -> None:
        """Let the core have facts and carry out all that follows."""
        self._inbox.extend(facts)
        if self._is_busy:
            return
        self._is_busy = True
        while self._inbox:
            for action in self.core.on(self._inbox.popleft(), self.now):
                self.actions.append(action)
                self.perform(action)
        self._is_busy = False

    def advance(self, seconds: float) -> None:
        """Move the clock; timers go off at their time."""
        end = self.now + seconds
        while due := sorted(entry for entry in self._timers if entry[0] <= end):
            self.now, timer = due[0]
            self._timers.remove(due[0])
            self.tell(TimedOut(timer))
        self.now = end

    def advance_to_next_timer(self) -> None:
        """Move the clock to the next timer."""
        self.advance(min(self._timers)[0] - self.now)

    def die(self, id_: str, reason: ExitReason) -> None:
        """Let a child end by itself; skipped when it does not run."""
        process = self.process(id_)
        if process is None or self.exit is not None:
            self.seen.append(["skip", id_])
            return
        if reason.kind is not ExitKind.KILLED:
            self.seen.append(["die", id_])
        self.end(process, reason)

    def let_start(self, id_: str) -> None:
        """Let a child that hangs in its start come up after all."""
        process = self.process(id_)
        assert process is not None
        self.tell(ChildStarted(id_, process.pid, process.incarnation))

    def end(self, process: Process, reason: ExitReason) -> None:
        """Let a process be gone and report it."""
        del self.running[process.incarnation]
        self.tell(ChildDown(process.pid, process.incarnation, reason))

    def stop(self, deadline: float | None = None) -> None:
        """Let the parent order the stop."""
        self.tell(StopRequested(deadline))

    def ask(self, request: Request) -> Result | None:
        """Make a call; None while it is not answered."""
        call = next(self._calls)
        self.tell(CallReceived(call, request))
        return self.results.get(call)

    def start_child(self, spec: ChildSpec) -> int | None:
        """Add a child, which must be granted; the pid."""
        added = self.ask(StartChild(spec))
        assert isinstance(added, ChildAdded)
        return added.pid

    def start_instance(self, *args: object) -> int:
        """Add an instance, which must come up; the pid."""
        added = self.ask(StartInstance(args))
        assert isinstance(added, ChildAdded)
        assert added.pid is not None
        return added.pid

    def counts(self) -> list[int]:
        """Specs, active, supervisors, workers."""
        counts = self.ask(CountChildren())
        assert isinstance(counts, ChildCounts)
        return [counts.specs, counts.active, counts.supervisors, counts.workers]

    def which(self) -> list[tuple[str, int | str | None]]:
        """Id and pid, "restarting" or None of every child."""
        listed = self.ask(WhichChildren())
        assert isinstance(listed, ChildList)
        return [
            (child.id, "restarting" if child.is_restarting else child.pid)
            for child in listed.children
        ]

    def pid(self, id_: str) -> int:
        """The pid of a child that runs."""
        process = self.process(id_)
        assert process is not None
        return process.pid

    def process(self, id_: str) -> Process | None:
        """The process of a child, if it runs."""
        return next((each for each in self.running.values() if each.id == id_), None)

    def children(self) -> list[Event] | str:
        """The children as the traces give them at the end."""
        if self.exit is not None:
            return "dead"
        return [
            [child.id, "up" if child.state == "up" else "down"]
            for child in self.core.status(self.now).children
        ]

    def args_of(self, id_: str) -> list[tuple[object, ...]]:
        """The arguments of every start of a child."""
        return [
            action.args
            for action in self.actions
            if isinstance(action, Start) and action.spec.id == id_
        ]

    def reports(self, kind: ReportKind) -> list[str]:
        """Ids of the children of which this was reported."""
        return [
            action.id
            for action in self.actions
            if isinstance(action, Report) and action.kind is kind
        ]

    def release_retry(self) -> None:
        """Deliver the oldest retry that was held back."""
        self.tell(self.retries.popleft())

    def perform(self, action: Action) -> None:
        """Carry out one action."""
        match action:
            case Start():
                self.start_process(action)
            case TellToStop(id=id_, incarnation=incarnation, deadline=deadline):
                self.tell_process(id_, incarnation, deadline)
            case Kill(incarnation=incarnation):
                self.kill_process(incarnation)
            case SetTimer(timer=timer, seconds=seconds):
                self._timers.append((self.now + seconds, timer))
            case RetryLater(id=id_, attempt=attempt):
                self.retries.append(RetryRequested(id_, attempt))
                if not self.holds_retries:
                    self.release_retry()
            case Answer(call=call, result=result):
                assert call not in self.results
                self.results[call] = result
            case Started():
                self.is_started = True
                if self._above is not None:
                    world, process = self._above
                    world.tell(ChildStarted(process.id, process.pid, process.incarnation))
            case Exit(reason=reason):
                self.leave(reason)
            case Report():
                pass
            case _ as never:
                assert_never(never)

    def leave(self, reason: ExitReason) -> None:
        """Let the supervisor's own process be gone."""
        assert not self.running, "the supervisor left processes behind"
        self.exit = reason
        if self._above is None:
            self.seen.append(["sup_exit", reason.kind.value])
        else:
            world, process = self._above
            world.end(process, reason)

    def start_process(self, action: Start) -> None:
        """Make a process and let it answer as planned."""
        id_, incarnation = action.spec.id, action.incarnation
        planned = self.starts[id_]
        how = planned.popleft() if planned else Starts.UP
        if how is Starts.NO_PROCESS:
            self.tell(StartFailed(id_, incarnation, BAD_START))
            return
        process = Process(id_, next(self._pids), incarnation)
        assert self.process(id_) is None, f"a second process of {id_}"
        self.running[incarnation] = process
        self.tell(ChildSpawned(id_, process.pid, incarnation))
        if isinstance(action.spec.start, Subtree):
            tree = action.spec.start
            self.subtrees[id_] = World(tree.flags, tree.specs, above=(self, process))
            self.subtrees[id_].tell(StartRequested())
            return
        self.seen.append(["start", id_])
        if how is Starts.UP:
            self.tell(ChildStarted(id_, process.pid, incarnation))
        elif how is Starts.IGNORES:
            self.tell(ChildIgnored(id_, incarnation))
            self.end(process, NORMAL)
        elif how is Starts.FAILS:
            self.tell(StartFailed(id_, incarnation, BAD_START))
            self.end(process, NORMAL)
        elif how is Starts.DIES:
            self.end(process, BAD_START)

    def tell_process(self, id_: str, incarnation: int, deadline: float | None) -> None:
        """Let a process hear that it should stop."""
        if id_ in self.deaf:
            self.seen.append(["ignored_stop", id_])
        elif id_ in self.subtrees:
            self.subtrees[id_].stop(deadline)
        else:
            self.seen.append(["stopped", id_])
            self.end(self.running[incarnation], self.last_words.get(id_, SHUTDOWN))

    def kill_process(self, incarnation: int) -> None:
        """Kill a process; it says nothing."""
        if incarnation in self.running:
            self.end(self.running[incarnation], KILLED)
