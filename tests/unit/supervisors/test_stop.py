"""Stopping: the exact reverse, one after the other, each within its time."""

from __future__ import annotations

from supervisors.actions import Exit, Kill, ReportKind, SetTimer, TellToStop
from supervisors.child_spec import BRUTAL_KILL, INFINITY, ChildSpec, ChildType, Restart
from supervisors.core import SupervisorCore
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.facts import (
    ChildDown,
    ChildStarted,
    StartRequested,
    StopRequested,
    TimedOut,
)
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import CRASH, KILLED, World

ABC = [ChildSpec(id_, "worker") for id_ in "abc"]


def core_up(*specs: ChildSpec) -> SupervisorCore:
    """A core with its children up as pids 11, 12, ... and incarnations 1, 2, ..."""
    core = SupervisorCore(SupervisorFlags(), specs, 0.0)
    core.on(StartRequested(), 0.0)
    for number, spec in enumerate(specs, start=1):
        core.on(ChildStarted(spec.id, 10 + number, number), 0.0)
    return core


def test_children_stop_in_reverse_and_each_waits_for_the_one_before() -> None:
    core = core_up(*ABC[:2])
    assert core.on(StopRequested(), 10.0) == (TellToStop("b", 12, 2, 15.0), SetTimer(3, 5.0))
    _, *orders = core.on(ChildDown(12, 2, NORMAL), 11.0)
    assert orders == [TellToStop("a", 11, 1, 16.0), SetTimer(4, 5.0)]
    _, last = core.on(ChildDown(11, 1, SHUTDOWN), 12.0)
    assert last == Exit(SHUTDOWN)


def test_an_infinite_shutdown_sets_no_timer_and_no_deadline() -> None:
    for type_ in ChildType:
        core = core_up(ChildSpec("a", "x", shutdown=INFINITY, type=type_))
        assert core.on(StopRequested(), 1.0) == (TellToStop("a", 11, 1, None),)


def test_a_child_that_ignores_the_stop_is_killed_at_its_limit() -> None:
    world = World(SupervisorFlags(), ABC).boot()
    world.deaf.add("b")
    world.stop()
    assert world.seen == [["stopped", "c"], ["ignored_stop", "b"]]
    world.advance(4.999)
    assert world.is_alive()
    world.advance(0.001)
    assert world.seen[2:] == [["stopped", "a"], ["sup_exit", "shutdown"]]
    assert world.reports(ReportKind.STOP_FAILED) == ["b"]
    assert world.reports(ReportKind.CHILD_STOPPED) == ["c", "a"]


def test_a_shutdown_of_zero_seconds_tells_and_then_kills() -> None:
    core = core_up(ChildSpec("a", "x", shutdown=0.0))
    assert core.on(StopRequested(), 1.0) == (TellToStop("a", 11, 1, 1.0), SetTimer(2, 0.0))
    assert core.on(TimedOut(2), 1.0) == (Kill("a", 11, 1),)


def test_brutal_kill_kills_without_asking() -> None:
    world = World(
        SupervisorFlags(), [ABC[0], ChildSpec("b", "worker", shutdown=BRUTAL_KILL)]
    ).boot()
    world.stop()
    assert world.seen == [["stopped", "a"], ["sup_exit", "shutdown"]]
    assert [each for each in world.actions if isinstance(each, Kill)] == [Kill("b", 1002, 2)]
    assert world.reports(ReportKind.STOP_FAILED) == []


def test_children_that_end_by_themselves_during_the_stop_are_neither_awaited_nor_restarted() -> (
    None
):
    reasons = [NORMAL, SHUTDOWN, ExitReason(ExitKind.SHUTDOWN, "test"), CRASH]
    specs = [
        ChildSpec(f"{restart}-{n}", "worker", restart)
        for restart in Restart
        for n in range(len(reasons))
    ]
    first, last = ChildSpec("first", "worker"), ChildSpec("last", "worker")
    world = World(SupervisorFlags(), [first, *specs, last]).boot()
    world.deaf.add("last")
    world.stop()
    for spec in specs:
        world.die(spec.id, reasons[int(spec.id[-1])])
    world.seen.clear()
    world.advance(5.0)
    assert world.seen == [["stopped", "first"], ["sup_exit", "shutdown"]]
    assert len(world.reports(ReportKind.STOP_FAILED)) == len(Restart) + 1


def test_a_stop_with_a_deadline_cuts_every_wait_short() -> None:
    core = core_up(*ABC)
    assert core.on(StopRequested(12.0), 10.0) == (TellToStop("c", 13, 3, 12.0), SetTimer(4, 2.0))
    assert core.on(TimedOut(4), 12.0) == (Kill("c", 13, 3),)
    _, *orders = core.on(ChildDown(13, 3, KILLED), 12.1)
    assert orders == [Kill("b", 12, 2)]  # the time for asking is over
    _, *orders = core.on(ChildDown(12, 2, KILLED), 12.2)
    assert orders == [Kill("a", 11, 1)]
    _, last = core.on(ChildDown(11, 1, KILLED), 12.3)
    assert last == Exit(SHUTDOWN)


def test_a_second_stop_can_only_hasten() -> None:
    core = core_up(ChildSpec("a", "x", shutdown=INFINITY))
    core.on(StopRequested(), 1.0)
    assert core.on(StopRequested(), 2.0) == ()
    assert core.on(StopRequested(9.0), 3.0) == (SetTimer(3, 6.0),)
    assert core.on(StopRequested(20.0), 4.0) == ()
    assert core.on(TimedOut(3), 9.0) == (Kill("a", 11, 1),)
    assert core.on(StopRequested(9.5), 9.2) == ()


def test_a_supervisor_that_is_stopping_is_told_of_an_earlier_deadline() -> None:
    core = core_up(ChildSpec("a", "x", type=ChildType.SUPERVISOR))
    assert core.on(StopRequested(), 1.0) == (TellToStop("a", 11, 1, None),)
    assert core.on(StopRequested(9.0), 3.0) == (TellToStop("a", 11, 1, 9.0), SetTimer(3, 6.0))
    assert core.on(StopRequested(10.0), 4.0) == ()


def test_a_stop_lets_a_child_that_is_being_stopped_finish_and_restarts_nothing() -> None:
    world = World(SupervisorFlags(Strategy.ONE_FOR_ALL), ABC).boot()
    world.deaf.add("b")
    world.die("a", CRASH)
    assert world.seen == [["die", "a"], ["stopped", "c"], ["ignored_stop", "b"]]
    world.stop()
    world.advance(5.0)
    assert world.seen[3:] == [["sup_exit", "shutdown"]]


def test_instances_of_a_template_stop_together_against_one_limit() -> None:
    template = ChildSpec("bind", "worker", shutdown=2.0)
    world = World(SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE), [template]).boot()
    for _ in range(3):
        world.start_instance()
    world.seen.clear()
    world.deaf |= {"bind:1", "bind:3"}
    world.stop()
    assert world.seen == [
        ["ignored_stop", "bind:1"],
        ["stopped", "bind:2"],
        ["ignored_stop", "bind:3"],
    ]
    assert len([each for each in world.actions if each == SetTimer(4, 2.0)]) == 1
    world.advance(2.0)
    assert world.exit == SHUTDOWN
    assert len([each for each in world.actions if isinstance(each, Kill)]) == 2


def test_brutally_killed_instances_are_killed_together() -> None:
    template = ChildSpec("bind", "worker", Restart.TEMPORARY, shutdown=BRUTAL_KILL)
    world = World(SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE), [template]).boot()
    for _ in range(10):
        world.start_instance()
    world.stop()
    assert world.exit == SHUTDOWN
    assert len([each for each in world.actions if isinstance(each, Kill)]) == 10


def test_nothing_is_heard_after_the_exit() -> None:
    core = core_up(ABC[0])
    core.on(StopRequested(), 1.0)
    core.on(ChildDown(11, 1, NORMAL), 1.0)
    for fact in (StartRequested(), StopRequested(), ChildDown(11, 1, CRASH), TimedOut(2)):
        assert core.on(fact, 2.0) == ()
