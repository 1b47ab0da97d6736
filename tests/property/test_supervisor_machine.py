"""Whatever order starts, deaths, stops, timers, retries and calls come in, the laws hold."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
    CountChildren,
    DeleteChild,
    Done,
    Refusal,
    Refused,
    Request,
    RestartChild,
    Result,
    StartChild,
    StartInstance,
    TerminateChild,
    WhichChildren,
)
from supervisors.child_spec import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    ChildType,
    Restart,
)
from supervisors.children import ChildState
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
from supervisors.intensity import Intensity
from supervisors.status import Phase
from supervisors.strategy import Strategy, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Callable

CRASH = ExitReason(ExitKind.ABNORMAL, "crash")
KILLED = ExitReason(ExitKind.KILLED)
PERIOD = 10.0
IDS = "abcd"

reasons = st.sampled_from([NORMAL, SHUTDOWN, ExitReason(ExitKind.SHUTDOWN, "x"), CRASH, KILLED])
picks = st.integers(min_value=0, max_value=1000)


@st.composite
def child_specs(draw: st.DrawFn, id_: str, auto_shutdown: AutoShutdown) -> ChildSpec:
    restart = draw(st.sampled_from(Restart))
    may_matter = auto_shutdown is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
    return ChildSpec(
        id_,
        "worker",
        restart,
        significant=draw(st.booleans()) if may_matter else False,
        type=draw(st.sampled_from(ChildType)),
        shutdown=draw(st.sampled_from([None, 2.0, INFINITY, BRUTAL_KILL])),
        start_timeout=draw(st.sampled_from([None, 3.0, INFINITY])),
    )


@dataclass
class Process:
    """A process that runs, and what it has been told."""

    id: str
    pid: int
    incarnation: int
    is_starting: bool = True
    is_told: bool = False
    is_doomed: bool = False

    @property
    def is_quiet(self) -> bool:
        return not (self.is_starting or self.is_told or self.is_doomed)


class Supervision(RuleBasedStateMachine):
    """The core in a world where everything takes as long as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.alive: dict[int, Process] = {}
        self.fresh: Process | None = None
        self.unreported: list[ChildDown] = []
        self.reported: list[ChildDown] = []
        self.retries: deque[RetryRequested] = deque()
        self.timers: list[tuple[float, int]] = []
        self.open_calls: dict[int, Request] = {}
        self.answered: set[int] = set()
        self.starts_allowed: Counter[str] = Counter()
        self.starts_made: Counter[str] = Counter()
        self.restarted: list[float] = []
        self.excused: set[str] = set()
        self.boot_order: list[str] = []
        self.leave_order: list[str] = []
        self.order_at_leave: list[str] = []
        self.is_up = False
        self.exit: ExitReason | None = None
        self.pids = count(1001)
        self.calls = count(1)

    @initialize(data=st.data())
    def boot(self, data: st.DataObject) -> None:
        self.strategy = data.draw(st.sampled_from(Strategy), "strategy")
        auto_shutdown = data.draw(st.sampled_from(AutoShutdown), "auto_shutdown")
        self.is_simple = self.strategy is Strategy.SIMPLE_ONE_FOR_ONE
        self.specs = {id_: data.draw(child_specs(id_, auto_shutdown), id_) for id_ in IDS}
        boots = [self.specs[id_] for id_ in IDS[: data.draw(st.integers(0, 4), "children")]]
        if self.is_simple:
            boots = [self.specs["a"]]
        self.intensity = Intensity(data.draw(st.integers(0, 4), "intensity"), PERIOD)
        flags = SupervisorFlags(self.strategy, self.intensity, auto_shutdown)
        self.core = SupervisorCore(flags, boots, self.now)
        self.booted = [] if self.is_simple else [spec.id for spec in boots]
        self.starts_allowed.update(self.booted)
        self.tell(StartRequested())

    def tell(self, fact: Fact) -> None:
        actions = self.core.on(fact, self.now)
        for action in actions:
            assert self.exit is None, "something is ordered after the exit"
            self.obey(action)
        if self.fresh is not None:
            process, self.fresh = self.fresh, None
            self.tell(ChildSpawned(process.id, process.pid, process.incarnation))

    def obey(self, action: Action) -> None:
        match action:
            case Start():
                self.on_start(action)
            case TellToStop(incarnation=incarnation):
                self.on_stop(incarnation)
                self.alive_or_lost(incarnation).is_told = True
            case Kill(incarnation=incarnation):
                self.on_stop(incarnation)
                self.alive_or_lost(incarnation).is_doomed = True
            case SetTimer(timer=timer, seconds=seconds):
                self.timers.append((self.now + seconds, timer))
            case RetryLater(id=id_, attempt=attempt):
                self.retries.append(RetryRequested(id_, attempt))
            case Answer(call=call, result=result):
                assert isinstance(call, int)
                self.on_answer(call, result)
            case Started():
                self.is_up = True
            case Exit(reason=reason):
                self.exit = reason
                assert not self.alive, "a process outlives its supervisor"
            case Report(kind=kind, id=id_):
                if kind is ReportKind.CHILD_IGNORED:
                    self.excused.add(id_)

    def on_start(self, action: Start) -> None:
        id_ = action.spec.id
        processes = self.alive.values()
        assert all(process.id != id_ for process in processes), "two processes of one id"
        assert not any(process.is_starting for process in processes), "two starts at a time"
        assert self.core.phase is not Phase.STOPPING, "a start while stopping"
        self.fresh = Process(id_, next(self.pids), action.incarnation)
        self.alive[action.incarnation] = self.fresh
        self.starts_made[id_] += 1
        self.excused.discard(id_)
        if not self.is_up:
            self.boot_order.append(id_)
        elif not self.is_called(id_):
            self.restarted.append(self.now)

    def is_called(self, id_: str) -> bool:
        return (self.is_simple and self.starts_made[id_] == 1) or any(
            getattr(request, "id", None) == id_
            or getattr(getattr(request, "spec", None), "id", None) == id_
            for request in self.open_calls.values()
        )

    def alive_or_lost(self, incarnation: int) -> Process:
        """The process, or a stand-in for one whose end is not yet reported."""
        return self.alive.get(incarnation, Process("", 0, incarnation))

    def on_stop(self, incarnation: int) -> None:
        process = self.alive.get(incarnation)
        if process is None or process.is_told or process.is_doomed:
            return
        under_way = [other for other in self.alive.values() if other.is_told or other.is_doomed]
        assert self.is_simple or not under_way, "two stops at a time"
        if self.core.phase is Phase.STOPPING and not process.is_starting:
            self.leave_order.append(process.id)

    def on_answer(self, call: int, result: Result) -> None:
        assert call not in self.answered, "a call is answered twice"
        self.answered.add(call)
        request = self.open_calls.pop(call)
        leaves_down = (isinstance(request, TerminateChild) and result == Done()) or (
            isinstance(result, Refused) and result.why is Refusal.START_FAILED
        )
        if leaves_down:
            children = self.core.status(self.now).children
            self.excused |= {child.id for child in children if child.state is ChildState.DOWN}

    def end(self, process: Process, reason: ExitReason) -> None:
        del self.alive[process.incarnation]
        self.unreported.append(ChildDown(process.pid, process.incarnation, reason))

    def report(self, down: ChildDown) -> None:
        self.unreported.remove(down)
        self.reported.append(down)
        self.tell(down)

    def pick(self, pick: int, which: Callable[[Process], bool]) -> Process:
        chosen = [process for process in self.alive.values() if which(process)]
        assume(chosen)
        return chosen[pick % len(chosen)]

    @rule(how=st.sampled_from(["up", "up", "up", "ignored", "failed", "died"]))
    @precondition(lambda self: any(each.is_starting for each in self.alive.values()))
    def a_start_is_answered(self, how: str) -> None:
        process = self.pick(0, lambda each: each.is_starting)
        process.is_starting = False
        if how == "up":
            self.tell(ChildStarted(process.id, process.pid, process.incarnation))
        elif how == "ignored":
            self.tell(ChildIgnored(process.id, process.incarnation))
            self.end(process, NORMAL)
        elif how == "failed":
            self.tell(StartFailed(process.id, process.incarnation, CRASH))
            self.end(process, NORMAL)
        else:
            self.end(process, CRASH)

    @rule(pick=picks, reason=reasons, is_reported=st.booleans())
    @precondition(lambda self: self.alive)
    def a_process_ends(self, pick: int, reason: ExitReason, is_reported: bool) -> None:
        self.end(self.pick(pick, lambda _: True), reason)
        if is_reported:
            self.report(self.unreported[-1])

    @rule(pick=picks)
    @precondition(lambda self: any(not each.is_quiet for each in self.alive.values()))
    def a_process_obeys(self, pick: int) -> None:
        process = self.pick(pick, lambda each: each.is_told or each.is_doomed)
        self.end(process, KILLED if process.is_doomed else NORMAL)
        self.report(self.unreported[-1])

    @rule(pick=picks)
    @precondition(lambda self: self.unreported)
    def a_death_is_reported_late(self, pick: int) -> None:
        self.report(self.unreported[pick % len(self.unreported)])

    @rule(pick=picks)
    @precondition(lambda self: self.reported)
    def a_repeated_report_changes_nothing(self, pick: int) -> None:
        before = self.core.status(self.now)
        assert self.core.on(self.reported[pick % len(self.reported)], self.now) == ()
        assert self.core.status(self.now) == before

    @rule(pick=picks, id_=st.sampled_from(IDS))
    def an_answer_of_nobody_changes_nothing(self, pick: int, id_: str) -> None:
        before = self.core.status(self.now)
        stray = -1 - pick
        for fact in (
            ChildSpawned(id_, pick, stray),
            ChildStarted(id_, pick, stray),
            ChildIgnored(id_, stray),
            StartFailed(id_, stray, CRASH),
            ChildDown(pick, stray, CRASH),
            TimedOut(stray),
            RetryRequested(id_, stray),
        ):
            assert self.core.on(fact, self.now) == ()
        assert self.core.status(self.now) == before

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, PERIOD, 61.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted(entry for entry in self.timers if entry[0] <= end):
            self.timers.remove(due[0])
            self.now = max(self.now, due[0][0])
            self.tell(TimedOut(due[0][1]))
        self.now = end

    @rule()
    @precondition(lambda self: self.retries)
    def a_retry_arrives(self) -> None:
        self.tell(self.retries.popleft())

    @rule(id_=st.sampled_from([*IDS, "x"]), kind=picks)
    @precondition(lambda self: self.is_up and self.exit is None)
    def somebody_calls(self, id_: str, kind: int) -> None:
        named: str | int = id_
        if self.is_simple and self.alive:
            named = self.pick(kind, lambda _: True).pid
        requests: list[Request] = [
            StartChild(self.specs.get(id_, self.specs["a"])),
            StartInstance((kind,)),
            TerminateChild(named),
            RestartChild(id_),
            DeleteChild(id_),
            WhichChildren(),
            CountChildren(),
        ]
        request = requests[kind % len(requests)]
        if isinstance(request, StartChild):
            self.starts_allowed[request.spec.id] += 1
        call = next(self.calls)
        self.open_calls[call] = request
        self.tell(CallReceived(call, request))

    @rule(patience=st.sampled_from([None, 0.0, 1.0]), chance=st.integers(0, 4))
    def the_parent_orders_the_stop(self, patience: float | None, chance: int) -> None:
        if chance == 4:  # rarely, so that most runs are about living supervisors
            self.tell(StopRequested(None if patience is None else self.now + patience))

    @invariant()
    def starts_follow_the_order_of_the_specs(self) -> None:
        assert self.boot_order == self.booted[: len(self.boot_order)]

    @invariant()
    def stops_follow_the_reverse_order(self) -> None:
        if self.core.phase is not Phase.STOPPING and self.exit is None:
            self.order_at_leave = [child.id for child in self.core.status(self.now).children]
        if not self.is_simple:
            places = [self.order_at_leave.index(id_) for id_ in self.leave_order]
            assert places == sorted(places, reverse=True)

    @invariant()
    def restarts_stay_within_the_intensity(self) -> None:
        if self.exit is None and self.core.phase is not Phase.STOPPING:
            status = self.core.status(self.now)
            assert status.recent_restarts <= self.intensity.max_restarts
        if self.is_simple or self.strategy is Strategy.ONE_FOR_ONE:
            for at in self.restarted:
                recent = [each for each in self.restarted if at - PERIOD <= each <= at]
                assert len(recent) <= self.intensity.max_restarts

    @invariant()
    def a_temporary_child_never_starts_twice(self) -> None:
        for id_, made in self.starts_made.items():
            spec = self.specs["a"] if self.is_simple else self.specs[id_]
            if spec.restart is Restart.TEMPORARY:
                assert made <= (1 if self.is_simple else self.starts_allowed[id_])

    @invariant()
    def permanent_children_are_up_whenever_the_supervisor_is_idle(self) -> None:
        if self.core.phase is not Phase.RUNNING or not self.is_idle():
            return
        for child in self.core.status(self.now).children:
            if child.restart is Restart.PERMANENT and child.id not in self.excused:
                assert child.state is ChildState.UP, child

    def is_idle(self) -> bool:
        is_quiet = all(process.is_quiet for process in self.alive.values())
        return is_quiet and not self.unreported and not self.retries

    @invariant()
    def the_status_shows_the_processes_that_run(self) -> None:
        if self.unreported:
            return
        shown = {child.pid for child in self.core.status(self.now).children} - {None}
        assert shown == {process.pid for process in self.alive.values()}

    def teardown(self) -> None:
        """Everything comes to rest, every call is answered, and a stop always ends."""
        if not hasattr(self, "core"):
            return
        self.let_everything_finish()
        if self.exit is None:
            assert self.core.phase is Phase.RUNNING
            self.permanent_children_are_up_whenever_the_supervisor_is_idle()
            self.tell(StopRequested())
            self.let_everything_finish()
        assert self.exit is not None
        assert not self.open_calls

    def let_everything_finish(self) -> None:
        for _ in range(200):
            if self.unreported:
                self.report(self.unreported[0])
            elif any(not process.is_quiet for process in self.alive.values()):
                process = self.pick(0, lambda each: not each.is_quiet)
                if process.is_starting and not process.is_told and not process.is_doomed:
                    self.a_start_is_answered("up")
                else:
                    self.end(process, KILLED if process.is_doomed else NORMAL)
            elif self.retries:
                self.tell(self.retries.popleft())
            else:
                return
        raise AssertionError("the supervisor does not come to rest")


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(
    max_examples=500, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
