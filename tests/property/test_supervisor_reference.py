"""In a world that obeys at once, the core agrees with a blocking supervisor written after OTP."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisors.calls import (
    ChildAdded,
    DeleteChild,
    Done,
    Refusal,
    Refused,
    RestartChild,
    Result,
    StartChild,
    TerminateChild,
)
from supervisors.child_spec import AutoShutdown, ChildSpec, Restart
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitReason
from supervisors.facts import StartRequested
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import BAD_START, CRASH, KILLED, Starts, World

IDS = "abcd"
STRATEGIES = [Strategy.ONE_FOR_ONE, Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE]
UP, UNDEFINED, RESTARTING = "up", "down", "restarting"

Answers = dict[str, list[Starts]]


@dataclass
class Blocking:
    """OTP's supervisor.erl: a start or a stop is a call that returns when it is done."""

    flags: SupervisorFlags
    starts: defaultdict[str, deque[Starts]]
    children: dict[str, tuple[ChildSpec, str]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    events: list[list[str]] = field(default_factory=list)
    now: float = 0.0
    is_alive: bool = True

    def init(self, specs: list[ChildSpec]) -> None:
        self.children = {spec.id: (spec, UNDEFINED) for spec in specs}
        if self.start_children(list(self.children)) is not None:
            self.stop()

    def start_child(self, id_: str) -> Starts:
        planned = self.starts[id_]
        how = planned.popleft() if planned else Starts.UP
        if how is not Starts.NO_PROCESS:
            self.events.append(["start", id_])
        return how

    def start_children(self, ids: list[str]) -> str | None:
        """Start in order; the id of the first that failed, whose successors stay down."""
        for id_ in ids:
            spec, _ = self.children[id_]
            how = self.start_child(id_)
            if how is Starts.UP:
                self.children[id_] = (spec, UP)
            elif how is not Starts.IGNORES:
                return id_
            elif spec.restart is Restart.TEMPORARY:
                del self.children[id_]
            else:
                self.children[id_] = (spec, UNDEFINED)
        return None

    def terminate(self, id_: str) -> None:
        if self.children[id_][1] == UP:
            self.events.append(["stopped", id_])
        self.undefine(id_)

    def undefine(self, id_: str) -> None:
        spec, _ = self.children[id_]
        if spec.restart is Restart.TEMPORARY:
            del self.children[id_]
        else:
            self.children[id_] = (spec, UNDEFINED)

    def stop(self) -> None:
        for id_ in reversed(list(self.children)):
            self.terminate(id_)
        self.events.append(["sup_exit", "shutdown"])
        self.is_alive = False

    def exited(self, id_: str, reason: ExitReason) -> None:
        spec, state = self.children.get(id_, (None, UNDEFINED))
        if spec is None or state != UP or not self.is_alive:
            self.events.append(["skip", id_])
            return
        if reason is not KILLED:
            self.events.append(["die", id_])
        is_clean = reason in (NORMAL, SHUTDOWN)
        if spec.restart is Restart.PERMANENT or (
            spec.restart is Restart.TRANSIENT and not is_clean
        ):
            self.restart(id_)
            return
        self.undefine(id_)
        if spec.significant and self.shuts_down():
            self.stop()

    def shuts_down(self) -> bool:
        if self.flags.auto_shutdown is AutoShutdown.ALL_SIGNIFICANT:
            return not any(s.significant and up != UNDEFINED for s, up in self.children.values())
        return self.flags.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT

    def restart(self, id_: str) -> None:
        """Each turn is one entry; a failed start is tried again by a message to itself."""
        again: str | None = id_
        while again is not None:
            period = self.flags.intensity.period
            self.restarts = [self.now, *(at for at in self.restarts if at >= self.now - period)]
            if len(self.restarts) > self.flags.intensity.max_restarts:
                self.undefine(again)
                self.stop()
                return
            group = self.group(again)
            self.children[again] = (self.children[again][0], UNDEFINED)
            for other in reversed(group):
                self.terminate(other)
            again = self.start_children([other for other in group if other in self.children])
            if again is not None:
                self.children[again] = (self.children[again][0], RESTARTING)

    def group(self, id_: str) -> list[str]:
        ids = list(self.children)
        match self.flags.strategy:
            case Strategy.ONE_FOR_ALL:
                return ids
            case Strategy.REST_FOR_ONE:
                return ids[ids.index(id_) :]
            case _:
                return [id_]

    def call(self, request: StartChild | TerminateChild | RestartChild | DeleteChild) -> str:
        match request:
            case StartChild(spec=spec):
                return self.call_start(spec)
            case TerminateChild(child=str(id_)):
                if id_ not in self.children:
                    return "not_found"
                self.terminate(id_)
                return "ok"
            case RestartChild(id=id_) | DeleteChild(id=id_):
                if id_ not in self.children:
                    return "not_found"
                if self.children[id_][1] == UP:
                    return "running"
            case _:
                raise AssertionError(request)
        if isinstance(request, DeleteChild):
            del self.children[id_]
            return "ok"
        return "ok" if self.start_children([id_]) is None else "start_failed"

    def call_start(self, spec: ChildSpec) -> str:
        if spec.id in self.children:
            return "already_started" if self.children[spec.id][1] == UP else "already_present"
        if spec.significant and self.flags.auto_shutdown is AutoShutdown.NEVER:
            return "faulty_spec"
        self.children[spec.id] = (spec, UNDEFINED)
        if self.start_children([spec.id]) is None:
            return "ok"
        del self.children[spec.id]
        return "start_failed"

    def states(self) -> list[tuple[str, str]]:
        return [(id_, state) for id_, (_, state) in self.children.items()]


def told(result: Result | None) -> str:
    match result:
        case ChildAdded() | Done():
            return "ok"
        case Refused(why=why, reason=reason):
            assert (reason == BAD_START) is (why is Refusal.START_FAILED)
            return why.value
        case _:
            raise AssertionError(result)


@st.composite
def specs_of(draw: st.DrawFn, id_: str, auto_shutdown: AutoShutdown) -> ChildSpec:
    restart = draw(st.sampled_from(Restart))
    may_matter = auto_shutdown is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
    return ChildSpec(id_, "worker", restart, significant=may_matter and draw(st.booleans()))


ids = st.sampled_from(IDS)
operations = st.one_of(
    st.tuples(ids, st.sampled_from([NORMAL, SHUTDOWN, CRASH, CRASH, KILLED])),
    st.tuples(ids, st.sampled_from([StartChild, TerminateChild, RestartChild, DeleteChild])),
    st.sampled_from([0.5, 4.0]),
)
answers = st.lists(st.sampled_from([how for how in Starts if how is not Starts.HANGS]), max_size=5)


@settings(max_examples=500, deadline=None)
@given(
    data=st.data(),
    strategy=st.sampled_from(STRATEGIES),
    auto_shutdown=st.sampled_from(AutoShutdown),
    intensity=st.integers(0, 5),
    plans=st.fixed_dictionaries(dict.fromkeys(IDS, answers)),
    runs=st.lists(operations, max_size=15),
)
def test_core_and_blocking_supervisor_agree(
    data: st.DataObject,
    strategy: Strategy,
    auto_shutdown: AutoShutdown,
    intensity: int,
    plans: Answers,
    runs: list[float | tuple[str, object]],
) -> None:
    flags = SupervisorFlags(strategy, Intensity(intensity, 5.0), auto_shutdown)
    specs = {id_: data.draw(specs_of(id_, auto_shutdown), id_) for id_ in IDS}
    booted = [specs[id_] for id_ in IDS[: data.draw(st.integers(0, 4), "children")]]
    world = World(flags, booted)
    model = Blocking(flags, defaultdict(deque))
    # The boot itself mostly succeeds, or there would be nothing to see.
    if data.draw(st.integers(0, 9), "boot") == 9:
        plan(world.starts, plans)
        plan(model.starts, plans)
    world.tell(StartRequested())
    model.init(booted)
    plan(world.starts, plans)
    plan(model.starts, plans)
    for run in runs:
        if isinstance(run, float):
            world.advance(run)
            model.now += run
        elif isinstance(run[1], ExitReason):
            world.die(run[0], run[1])
            model.exited(run[0], run[1])
        elif model.is_alive:
            request = request_of(run[1], specs[run[0]])
            assert told(world.ask(request)) == model.call(request)
        assert world.seen == model.events
        assert world.is_alive() is model.is_alive
        if model.is_alive:
            children = world.core.status(world.now).children
            assert [(child.id, child.state.value) for child in children] == model.states()
    assert world.core.status(world.now).recent_restarts == len(
        [at for at in model.restarts if at >= model.now - 5.0]
    )


def plan(starts: defaultdict[str, deque[Starts]], plans: Answers) -> None:
    for id_, how in plans.items():
        starts[id_] = deque(how)


def request_of(
    kind: object, spec: ChildSpec
) -> StartChild | TerminateChild | RestartChild | DeleteChild:
    if kind is StartChild:
        return StartChild(spec)
    if kind is TerminateChild:
        return TerminateChild(spec.id)
    return RestartChild(spec.id) if kind is RestartChild else DeleteChild(spec.id)
