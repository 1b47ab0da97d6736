"""Restarting: who comes back, with whom, how often, and what a failed restart leads to."""

from __future__ import annotations

import pytest

from supervisors.actions import Report, ReportKind, RetryLater
from supervisors.calls import (
    DeleteChild,
    Done,
    Refusal,
    Refused,
    RestartChild,
    StartChild,
    TerminateChild,
)
from supervisors.child_spec import ChildSpec, Restart
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitKind, ExitReason
from supervisors.facts import ChildDown, RetryRequested
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import BAD_START, CRASH, KILLED, Starts, World

SHUTDOWN_X = ExitReason(ExitKind.SHUTDOWN, "some info")
CLEAN = [NORMAL, SHUTDOWN, SHUTDOWN_X]
GROUPS = [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE]


def world_of(
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    restarts: int = 2,
    children: str = "ab",
    restart: Restart = Restart.PERMANENT,
) -> World:
    flags = SupervisorFlags(strategy, Intensity(restarts, 3600.0))
    return World(flags, [ChildSpec(id_, "worker", restart) for id_ in children]).boot()


@pytest.mark.parametrize("reason", [*CLEAN, CRASH, KILLED])
def test_a_permanent_child_is_restarted_whatever_its_reason(reason: ExitReason) -> None:
    world = world_of(children="a")
    before = world.pid("a")
    world.die("a", reason)
    assert world.pid("a") != before
    assert world.counts() == [1, 1, 0, 1]


@pytest.mark.parametrize("reason", CLEAN)
def test_a_transient_child_that_ends_cleanly_stays_down_with_its_spec(reason: ExitReason) -> None:
    world = world_of(children="a", restart=Restart.TRANSIENT)
    world.die("a", reason)
    assert world.which() == [("a", None)]
    assert world.counts() == [1, 0, 0, 1]
    assert world.core.status(0.0).recent_restarts == 0


@pytest.mark.parametrize("reason", [CRASH, KILLED])
def test_a_transient_child_that_crashes_is_restarted(reason: ExitReason) -> None:
    world = world_of(children="a", restart=Restart.TRANSIENT)
    world.die("a", reason)
    assert world.counts() == [1, 1, 0, 1]
    assert world.core.status(0.0).recent_restarts == 1


@pytest.mark.parametrize("reason", [*CLEAN, CRASH, KILLED])
def test_a_temporary_child_is_dropped_whatever_its_reason(reason: ExitReason) -> None:
    world = world_of(children="a", restart=Restart.TEMPORARY)
    world.die("a", reason)
    assert world.which() == []
    assert world.counts() == [0, 0, 0, 0]
    assert world.core.status(0.0).recent_restarts == 0


@pytest.mark.parametrize("strategy", GROUPS)
def test_a_temporary_bystander_is_stopped_and_not_restarted(strategy: Strategy) -> None:
    specs = [ChildSpec("a", "worker"), ChildSpec("t", "worker", Restart.TEMPORARY)]
    world = World(SupervisorFlags(strategy, Intensity(2, 300.0)), specs).boot()
    world.die("a", NORMAL)
    assert world.seen == [["die", "a"], ["stopped", "t"], ["start", "a"]]
    assert [id_ for id_, _ in world.which()] == ["a"]


def test_restarts_outside_the_window_are_forgotten() -> None:
    specs = [ChildSpec("a", "worker")]
    world = World(SupervisorFlags(intensity=Intensity(1, 1.0)), specs).boot()
    for _ in range(4):
        world.die("a", CRASH)
        world.advance(2.1)
    assert world.children() == [["a", "up"]]


@pytest.mark.parametrize(
    ("strategy", "events"),
    [
        (Strategy.ONE_FOR_ONE, [["start", "b"]]),
        (
            Strategy.ONE_FOR_ALL,
            [["stopped", "c"], ["stopped", "a"], ["start", "a"], ["start", "b"], ["start", "c"]],
        ),
        (Strategy.REST_FOR_ONE, [["stopped", "c"], ["start", "b"], ["start", "c"]]),
    ],
)
def test_a_strategy_restarts_its_group_and_gives_up_above_the_intensity(
    strategy: Strategy, events: list[list[str]]
) -> None:
    world = world_of(strategy, children="abc")
    world.die("b", CRASH)
    assert world.seen == [["die", "b"], *events]
    world.die("c", CRASH)
    world.seen.clear()
    world.die("a", CRASH)
    assert world.seen == [
        ["die", "a"],
        ["stopped", "c"],
        ["stopped", "b"],
        ["sup_exit", "shutdown"],
    ]
    assert world.exit == SHUTDOWN
    assert world.reports(ReportKind.LIMIT_EXCEEDED) == ["a"]


@pytest.mark.parametrize("strategy", GROUPS)
def test_a_group_restart_brings_back_siblings_that_had_ended_cleanly(strategy: Strategy) -> None:
    world = world_of(strategy, children="abc", restart=Restart.TRANSIENT)
    world.die("b", NORMAL)
    world.die("a", CRASH)
    assert world.children() == [["a", "up"], ["b", "up"], ["c", "up"]]


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ONE, *GROUPS])
@pytest.mark.parametrize("how", [Starts.FAILS, Starts.DIES, Starts.NO_PROCESS])
def test_a_child_that_cannot_start_again_uses_up_the_intensity_at_once(
    strategy: Strategy, how: Starts
) -> None:
    world = world_of(strategy, restarts=4)
    world.starts["a"].extend([how] * 9)
    world.die("a", CRASH)
    assert world.exit == SHUTDOWN
    assert len(world.reports(ReportKind.START_FAILED)) == 4
    assert world.now == 0.0


@pytest.mark.parametrize("strategy", GROUPS)
def test_another_child_that_cannot_start_again_escalates_too(strategy: Strategy) -> None:
    world = world_of(strategy, restarts=4)
    world.starts["b"].extend([Starts.FAILS] * 9)
    world.die("a", CRASH)
    assert world.exit == SHUTDOWN
    assert not world.running


def test_one_for_all_stops_the_restarted_children_when_another_fails_to_restart() -> None:
    world = world_of(Strategy.ONE_FOR_ALL, restarts=3)
    world.starts["b"].append(Starts.FAILS)
    world.die("a", CRASH)
    assert world.seen == [
        ["die", "a"],
        ["stopped", "b"],
        ["start", "a"],
        ["start", "b"],  # fails, and is tried again
        ["stopped", "a"],
        ["start", "a"],
        ["start", "b"],
    ]
    assert world.core.status(0.0).recent_restarts == 2


def test_rest_for_one_keeps_the_restarted_children_when_another_fails_to_restart() -> None:
    world = world_of(Strategy.REST_FOR_ONE, restarts=3, children="abc")
    world.starts["b"].append(Starts.FAILS)
    world.die("a", CRASH)
    assert world.seen == [
        ["die", "a"],
        ["stopped", "c"],
        ["stopped", "b"],
        ["start", "a"],
        ["start", "b"],  # fails, and the retry goes on from there
        ["start", "b"],
        ["start", "c"],
    ]
    assert world.core.status(0.0).recent_restarts == 2


def test_a_child_that_ignores_its_restart_stays_down() -> None:
    world = world_of(children="a")
    world.starts["a"].append(Starts.IGNORES)
    world.die("a", CRASH)
    assert world.which() == [("a", None)]
    assert world.is_alive()


def test_a_child_and_its_supervisor_can_be_stopped_out_of_a_hanging_restart_loop() -> None:
    world = world_of(restarts=8, children="a")
    spec = ChildSpec("a", "worker")
    world.holds_retries = True
    world.starts["a"].extend([Starts.FAILS, Starts.UP, Starts.FAILS])
    world.die("a", CRASH)
    assert world.ask(StartChild(spec)) == Refused(Refusal.ALREADY_PRESENT)
    assert world.ask(RestartChild("a")) == Refused(Refusal.RESTARTING)
    assert world.ask(DeleteChild("a")) == Refused(Refusal.RESTARTING)
    assert world.which() == [("a", "restarting")]
    assert world.counts() == [1, 0, 0, 1]

    assert world.ask(TerminateChild("a")) == Done()
    assert world.which() == [("a", None)]
    world.release_retry()  # comes too late
    assert world.which() == [("a", None)]

    world.ask(RestartChild("a"))
    world.die("a", CRASH)
    assert world.which() == [("a", "restarting")]
    world.stop()
    assert world.exit == SHUTDOWN


def test_a_hanging_restart_under_rest_for_one_leaves_those_after_it_down() -> None:
    world = world_of(Strategy.REST_FOR_ONE, restarts=8, children="abc")
    world.holds_retries = True
    world.starts["b"].append(Starts.FAILS)
    world.die("b", CRASH)
    assert world.which() == [("a", world.pid("a")), ("b", "restarting"), ("c", None)]
    assert world.counts() == [3, 1, 0, 3]
    world.ask(TerminateChild("b"))
    world.release_retry()
    assert world.which() == [("a", world.pid("a")), ("b", None), ("c", None)]


def test_a_retry_is_valid_once() -> None:
    world = world_of(restarts=8, children="a")
    world.holds_retries = True
    world.starts["a"].extend([Starts.FAILS, Starts.FAILS])
    world.die("a", CRASH)
    (first,) = [each for each in world.actions if isinstance(each, RetryLater)]
    world.release_retry()
    assert world.core.status(0.0).recent_restarts == 2
    world.tell(RetryRequested("a", first.attempt), RetryRequested("x", 9))
    assert world.core.status(0.0).recent_restarts == 2
    second = world.retries[0]
    world.release_retry()
    before = world.core.status(0.0)
    assert before.children[0].state == "up"
    world.tell(second)
    assert world.core.status(0.0) == before


def test_another_exit_during_a_retry_may_heal_the_restarting_child() -> None:
    world = world_of(Strategy.ONE_FOR_ALL, restarts=8)
    world.holds_retries = True
    world.starts["b"].append(Starts.FAILS)
    world.die("b", CRASH)
    assert world.children() == [["a", "up"], ["b", "down"]]
    world.die("a", CRASH)
    assert world.children() == [["a", "up"], ["b", "up"]]
    before = world.which()
    world.release_retry()
    assert world.which() == before


def test_late_and_repeated_reports_change_nothing() -> None:
    world = world_of(children="a", restarts=1)
    process = world.process("a")
    assert process is not None
    report = ChildDown(process.pid, process.incarnation, CRASH)
    world.die("a", CRASH)
    before = world.core.status(0.0)
    world.tell(report, report, ChildDown(process.pid, 99, CRASH), ChildDown(4711, 2, CRASH))
    world.tell(ChildDown(world.pid("a"), process.incarnation, CRASH))  # the pid was used again
    assert world.core.status(0.0) == before
    assert world.is_alive()


def test_a_repeated_report_that_waits_its_turn_is_counted_once() -> None:
    world = world_of(Strategy.ONE_FOR_ONE, restarts=1)
    world.deaf.add("b")
    process = world.process("a")
    assert process is not None
    report = ChildDown(process.pid, process.incarnation, CRASH)
    world.ask(TerminateChild("b"))
    del world.running[process.incarnation]
    world.tell(report, report)
    world.advance(5.0)
    assert world.is_alive()
    assert world.core.status(5.0).recent_restarts == 1


def test_a_death_is_reported_with_its_reason_and_the_restarts_in_the_window() -> None:
    world = world_of(children="a")
    world.die("a", CRASH)
    world.die("a", KILLED)
    reports = [each for each in world.actions if isinstance(each, Report)]
    downs = [each for each in reports if each.kind is ReportKind.CHILD_WENT_DOWN]
    assert [(each.reason, each.recent_restarts, each.restart_count) for each in downs] == [
        (CRASH, 1, 0),
        (KILLED, 2, 1),
    ]


def test_a_failed_restart_is_reported_with_its_reason() -> None:
    world = world_of(children="a")
    world.starts["a"].append(Starts.FAILS)
    world.die("a", CRASH)
    (failure,) = [
        each
        for each in world.actions
        if isinstance(each, Report) and each.kind is ReportKind.START_FAILED
    ]
    assert (failure.id, failure.reason) == ("a", BAD_START)


def test_instances_are_restarted_one_by_one_with_their_own_arguments() -> None:
    flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE, Intensity(2, 3600.0))
    world = World(flags, [ChildSpec("bind", "worker")]).boot()
    world.start_instance("x")
    second = world.start_instance("y")
    world.die("bind:1", CRASH)
    assert len(world.which()) == 2
    assert second in [pid for _, pid in world.which()]
    assert world.counts() == [1, 2, 0, 2]
    assert world.args_of("bind:1") == [("x",), ("x",)]
    world.die("bind:2", CRASH)
    world.die("bind:1", CRASH)
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("restart", list(Restart))
def test_an_instance_that_ignores_its_restart_or_ends_for_good_is_dropped(
    restart: Restart,
) -> None:
    flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE, Intensity(9, 3600.0))
    world = World(flags, [ChildSpec("bind", "worker", restart)]).boot()
    world.start_instance()
    world.starts["bind:1"].append(Starts.IGNORES)
    world.die("bind:1", KILLED)
    assert world.which() == []
    assert world.counts() == [1, 0, 0, 0]


def test_an_instance_that_cannot_start_again_escalates() -> None:
    flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE, Intensity(4, 3600.0))
    world = World(flags, [ChildSpec("bind", "worker")]).boot()
    world.start_instance()
    world.start_instance()
    world.starts["bind:1"].extend([Starts.FAILS] * 9)
    world.die("bind:1", CRASH)
    assert world.exit == SHUTDOWN


def test_restarting_instances_are_not_counted_as_active() -> None:
    flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE, Intensity(20, 10.0))
    world = World(flags, [ChildSpec("bind", "worker")]).boot()
    pids = [world.start_instance() for _ in range(3)]
    world.holds_retries = True
    for id_ in ("bind:1", "bind:2"):
        world.starts[id_].append(Starts.FAILS)
        world.die(id_, CRASH)
    assert world.counts() == [1, 1, 0, 3]
    assert world.ask(TerminateChild(pids[0])) == Done()  # known by its last process
    assert world.counts() == [1, 1, 0, 2]
    world.release_retry()
    world.release_retry()
    assert world.counts() == [1, 2, 0, 2]
