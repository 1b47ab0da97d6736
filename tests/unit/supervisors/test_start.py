"""Starting: left to right, one after the other, and all or nothing."""

from __future__ import annotations

import pytest

from supervisors.actions import Exit, Kill, ReportKind, SetTimer, Start, Started, TellToStop
from supervisors.child_spec import BRUTAL_KILL, INFINITY, ChildSpec, ChildType, Restart
from supervisors.core import SupervisorCore
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitKind, ExitReason, FailedToStartChild
from supervisors.facts import (
    ChildDown,
    ChildIgnored,
    ChildSpawned,
    ChildStarted,
    Fact,
    StartFailed,
    StartRequested,
    StopRequested,
    TimedOut,
)
from supervisors.status import Phase
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import BAD_START, CRASH, Starts, Subtree, World

ABC = [ChildSpec(id_, "worker") for id_ in "abc"]


def test_a_supervisor_without_children_is_up_at_once() -> None:
    core = SupervisorCore(SupervisorFlags(), [], 0.0)
    assert core.on(StartRequested(), 0.0) == (Started(),)
    assert core.on(StopRequested(), 1.0) == (Exit(SHUTDOWN),)
    assert core.phase is Phase.GONE


def test_children_start_in_order_and_each_waits_for_the_one_before() -> None:
    a, b, _ = ABC
    core = SupervisorCore(SupervisorFlags(), [a, b], 0.0)
    assert core.on(StartRequested(), 0.0) == (Start(a, 1), SetTimer(1, 60.0))
    assert core.on(ChildSpawned("a", 11, 1), 0.0) == ()
    _, *orders = core.on(ChildStarted("a", 11, 1), 1.0)
    assert orders == [Start(b, 2), SetTimer(2, 60.0)]
    *_, last = core.on(ChildStarted("b", 12, 2), 2.0)
    assert last == Started()
    assert core.phase is Phase.RUNNING


def test_a_second_start_request_changes_nothing() -> None:
    world = World(SupervisorFlags(), ABC).boot()
    before = world.which()
    world.tell(StartRequested())
    assert world.which() == before
    assert world.seen == []


def test_simple_one_for_one_starts_no_child_by_itself() -> None:
    world = World(SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE), ABC[:1]).boot()
    assert world.is_started
    assert world.which() == []
    assert world.counts() == [1, 0, 0, 0]


@pytest.mark.parametrize("how", [Starts.FAILS, Starts.DIES, Starts.NO_PROCESS])
def test_a_failed_start_stops_the_started_in_reverse_and_fails_the_supervisor(
    how: Starts,
) -> None:
    world = World(SupervisorFlags(), ABC)
    world.starts["c"].append(how)
    world.tell(StartRequested())
    tried = [] if how is Starts.NO_PROCESS else [["start", "c"]]
    assert world.seen == [
        ["start", "a"],
        ["start", "b"],
        *tried,
        ["stopped", "b"],
        ["stopped", "a"],
        ["sup_exit", "shutdown"],
    ]
    assert world.exit == ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("c", BAD_START))
    assert not world.is_started
    assert world.reports(ReportKind.START_FAILED) == ["c"]


def test_a_child_that_ignores_is_down_with_its_spec_kept() -> None:
    world = World(SupervisorFlags(), ABC)
    world.starts["a"].append(Starts.IGNORES)
    world.boot()
    assert world.is_started
    assert world.which()[0] == ("a", None)
    assert world.counts() == [3, 2, 0, 3]
    assert world.reports(ReportKind.CHILD_IGNORED) == ["a"]


def test_a_temporary_child_that_ignores_is_dropped() -> None:
    specs = [ChildSpec(id_, "worker", Restart.TEMPORARY) for id_ in "ab"]
    world = World(SupervisorFlags(), specs)
    world.starts["a"].append(Starts.IGNORES)
    world.boot()
    assert [id_ for id_, _ in world.which()] == ["b"]
    assert world.counts() == [1, 1, 0, 1]


def test_a_child_that_dies_while_later_ones_start_is_restarted_after_the_boot() -> None:
    a, b, _ = ABC
    core = SupervisorCore(SupervisorFlags(), [a, b], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildStarted("a", 11, 1), 0.0)
    assert core.on(ChildDown(11, 1, CRASH), 0.5) == ()
    actions = core.on(ChildStarted("b", 12, 2), 1.0)
    assert [type(action).__name__ for action in actions] == [
        "Report",
        "Started",
        "Report",
        "Start",
        "SetTimer",
    ]
    assert actions[3] == Start(a, 3)


def test_a_death_during_the_boot_confirms_the_stop_of_a_rollback() -> None:
    a, b, _ = ABC
    core = SupervisorCore(SupervisorFlags(), [a, b], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildStarted("a", 11, 1), 0.0)
    core.on(ChildDown(11, 1, CRASH), 0.5)
    *reports, last = core.on(StartFailed("b", 2, BAD_START), 1.0)
    assert last == Exit(ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("b", BAD_START)))
    assert not [action for action in reports if isinstance(action, TellToStop | Kill | Start)]


def test_a_start_without_answer_is_killed_at_its_timeout_and_counts_as_failed() -> None:
    slow = ChildSpec("a", "worker", start_timeout=2.0)
    core = SupervisorCore(SupervisorFlags(), [slow], 0.0)
    assert core.on(StartRequested(), 0.0) == (Start(slow, 1), SetTimer(1, 2.0))
    core.on(ChildSpawned("a", 11, 1), 0.0)
    assert core.on(TimedOut(1), 2.0) == (Kill("a", 11, 1),)
    assert core.on(ChildStarted("a", 11, 1), 2.1) == ()  # too late
    *_, last = core.on(ChildDown(11, 1, ExitReason(ExitKind.KILLED)), 2.2)
    late = ExitReason(ExitKind.ABNORMAL, "not up within 2 s")
    assert last == Exit(ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("a", late)))


def test_a_start_of_infinite_patience_sets_no_timer() -> None:
    patient = ChildSpec("a", "worker", start_timeout=INFINITY)
    core = SupervisorCore(SupervisorFlags(), [patient], 0.0)
    assert core.on(StartRequested(), 0.0) == (Start(patient, 1),)


def test_a_passed_timer_is_ignored() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:1], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildStarted("a", 11, 1), 0.0)
    assert core.on(TimedOut(1), 60.0) == ()
    assert core.status(60.0).children[0].state == "up"


def test_a_child_that_failed_is_waited_for_until_its_process_is_gone() -> None:
    spec = ChildSpec("a", "worker", shutdown=3.0)
    core = SupervisorCore(SupervisorFlags(), [spec], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildSpawned("a", 11, 1), 0.0)
    assert core.on(StartFailed("a", 1, BAD_START), 1.0) == (SetTimer(2, 3.0),)
    assert core.on(TimedOut(1), 2.0) == ()
    assert core.on(TimedOut(2), 4.0) == (Kill("a", 11, 1),)
    *_, last = core.on(ChildDown(11, 1, ExitReason(ExitKind.KILLED)), 4.1)
    assert last == Exit(ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("a", BAD_START)))


def test_the_first_answer_of_a_start_counts() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:1], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildSpawned("a", 11, 1), 0.0)
    core.on(ChildIgnored("a", 1), 1.0)
    assert core.on(StartFailed("a", 1, BAD_START), 1.1) == ()
    assert core.on(ChildStarted("a", 11, 1), 1.2) == ()
    *_, last = core.on(ChildDown(11, 1, CRASH), 1.3)
    assert last == Started()


def test_a_stop_during_a_rollback_keeps_the_reason_of_the_failure() -> None:
    world = World(SupervisorFlags(), ABC)
    world.starts["c"].append(Starts.FAILS)
    world.deaf.add("b")
    world.tell(StartRequested())
    world.stop()
    world.advance(5.0)
    assert world.exit == ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("c", BAD_START))


def test_a_fact_may_be_told_while_its_order_is_being_carried_out() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:2], 0.0)
    orders: list[str] = []

    def tell(fact: Fact) -> None:
        for action in core.on(fact, 0.0):
            orders.append(type(action).__name__)
            if isinstance(action, Start):
                pid = 10 + action.incarnation
                tell(ChildSpawned(action.spec.id, pid, action.incarnation))
                tell(ChildStarted(action.spec.id, pid, action.incarnation))

    tell(StartRequested())
    assert core.phase is Phase.RUNNING
    assert orders == ["Start", "Report", "Start", "Report", "Started", "SetTimer", "SetTimer"]


def test_a_brutally_killed_child_that_failed_is_killed_at_once() -> None:
    spec = ChildSpec("a", "worker", shutdown=BRUTAL_KILL)
    core = SupervisorCore(SupervisorFlags(), [spec], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildSpawned("a", 11, 1), 0.0)
    assert core.on(ChildIgnored("a", 1), 1.0) == (Kill("a", 11, 1),)
    *_, last = core.on(ChildDown(11, 1, NORMAL), 1.0)
    assert last == Started()


def test_an_answer_of_another_incarnation_is_ignored() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:1], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildSpawned("a", 11, 1), 0.0)
    for stale in (
        ChildStarted("a", 10, 7),
        ChildStarted("a", 10, 1),  # the pid of somebody else
        ChildIgnored("a", 7),
        StartFailed("a", 7, CRASH),
        ChildDown(10, 1, CRASH),
        ChildDown(11, 7, CRASH),
    ):
        assert core.on(stale, 1.0) == ()
    assert core.status(1.0).children[0].state == "starting"


def test_a_stop_during_a_long_start_kills_the_starting_worker_and_then_stops_the_others() -> None:
    world = World(SupervisorFlags(), ABC)
    world.starts["b"].append(Starts.HANGS)
    world.tell(StartRequested())
    assert not world.is_started
    world.stop()
    assert world.seen == [
        ["start", "a"],
        ["start", "b"],
        ["stopped", "a"],
        ["sup_exit", "shutdown"],
    ]
    assert [action for action in world.actions if isinstance(action, Kill)] == [Kill("b", 1002, 2)]
    assert world.exit == SHUTDOWN
    assert not world.is_started


def test_a_stop_during_a_start_is_passed_on_to_a_starting_supervisor() -> None:
    patient = ChildSpec("leaf", "worker", start_timeout=INFINITY)
    middle = ChildSpec("middle", Subtree(SupervisorFlags(), (patient,)), type=ChildType.SUPERVISOR)
    world = World(SupervisorFlags(), [ABC[0], middle])
    world.tell(StartRequested())
    world.stop()
    # The leaf comes up at once in this world, so the tree is up and stops in order.
    assert world.seen == [
        ["start", "a"],
        ["start", "leaf"],
        ["stopped", "leaf"],
        ["stopped", "a"],
        ["sup_exit", "shutdown"],
    ]
    core = SupervisorCore(SupervisorFlags(), [middle], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(ChildSpawned("middle", 11, 1), 0.0)
    assert core.on(StopRequested(30.0), 10.0) == (
        TellToStop("middle", 11, 1, 30.0),
        SetTimer(1 + 1, 20.0),
    )
    assert core.on(ChildStarted("middle", 11, 1), 11.0) == ()  # crossed the stop
    assert core.on(TimedOut(2), 30.0) == (Kill("middle", 11, 1),)
    *_, last = core.on(ChildDown(11, 1, ExitReason(ExitKind.KILLED)), 30.0)
    assert last == Exit(SHUTDOWN)


@pytest.mark.parametrize(
    "fact",
    [
        StartFailed("a", 1, BAD_START),
        ChildIgnored("a", 1),
        ChildDown(11, 1, CRASH),
    ],
)
def test_a_stop_before_the_process_exists_ends_with_any_word_of_it(
    fact: StartFailed | ChildIgnored | ChildDown,
) -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:1], 0.0)
    core.on(StartRequested(), 0.0)
    assert core.on(StopRequested(), 1.0) == (Kill("a", None, 1),)
    *_, last = core.on(fact, 1.0)
    assert last == Exit(SHUTDOWN)


def test_a_killed_start_that_still_answers_is_waited_for() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC[:1], 0.0)
    core.on(StartRequested(), 0.0)
    core.on(StopRequested(), 1.0)
    assert core.on(ChildSpawned("a", 11, 1), 1.0) == ()
    assert core.on(StartFailed("a", 1, BAD_START), 1.0) == ()
    assert core.on(ChildDown(12, 1, CRASH), 1.0) == ()
    *_, last = core.on(ChildDown(11, 1, ExitReason(ExitKind.KILLED)), 1.1)
    assert last == Exit(SHUTDOWN)


def test_a_stop_before_the_start_ends_the_supervisor() -> None:
    core = SupervisorCore(SupervisorFlags(), ABC, 0.0)
    assert core.on(StopRequested(), 0.0) == (Exit(SHUTDOWN),)
    assert core.on(StartRequested(), 0.0) == ()
