"""Calls: children added, stopped, restarted and forgotten at run time, with OTP's refusals."""

from __future__ import annotations

import pytest

from supervisors.actions import Answer
from supervisors.calls import (
    ChildAdded,
    ChildCounts,
    CountChildren,
    DeleteChild,
    Done,
    Refusal,
    Refused,
    RestartChild,
    StartChild,
    StartInstance,
    TerminateChild,
)
from supervisors.child_spec import ChildSpec, ChildType, Restart
from supervisors.core import SupervisorCore
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitReason
from supervisors.facts import CallReceived, StartRequested
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import BAD_START, CRASH, KILLED, Starts, Subtree, World

A = ChildSpec("a", "worker")
NOT_FOUND = Refused(Refusal.NOT_FOUND)
NOT_RUNNING = Refused(Refusal.NOT_RUNNING)
SIMPLE = Refused(Refusal.SIMPLE_ONE_FOR_ONE)


def world_of(*specs: ChildSpec, strategy: Strategy = Strategy.ONE_FOR_ONE) -> World:
    return World(SupervisorFlags(strategy, Intensity(2, 3600.0)), specs).boot()


def test_children_are_administered_as_in_otp() -> None:
    world = world_of(A)
    pid = world.pid("a")
    assert world.ask(StartChild(A)) == Refused(Refusal.ALREADY_STARTED, pid=pid)
    assert world.ask(TerminateChild("hej")) == NOT_FOUND

    assert world.ask(TerminateChild("a")) == Done()
    assert world.which() == [("a", None)]
    assert world.counts() == [1, 0, 0, 1]
    assert world.ask(TerminateChild("a")) == Done()  # like one that is down already
    assert world.ask(StartChild(A)) == Refused(Refusal.ALREADY_PRESENT)

    restarted = world.ask(RestartChild("a"))
    assert restarted == ChildAdded("a", world.pid("a"))
    assert world.ask(RestartChild("a")) == Refused(Refusal.RUNNING)
    assert world.ask(RestartChild("b")) == NOT_FOUND

    assert world.ask(DeleteChild("a")) == Refused(Refusal.RUNNING)
    assert world.ask(DeleteChild("hej")) == NOT_FOUND
    world.ask(TerminateChild("a"))
    assert world.ask(DeleteChild("a")) == Done()
    assert world.ask(RestartChild("a")) == NOT_FOUND
    assert world.which() == []
    assert world.counts() == [0, 0, 0, 0]

    assert world.start_child(A) == world.pid("a")
    assert world.ask(TerminateChild(world.pid("a"))) == NOT_FOUND  # ids only
    assert world.counts() == [1, 1, 0, 1]


def test_instances_are_administered_as_in_otp() -> None:
    world = world_of(ChildSpec("bind", "worker"), strategy=Strategy.SIMPLE_ONE_FOR_ONE)
    first, second = world.start_instance(), world.start_instance()
    assert world.which() == [("bind:1", first), ("bind:2", second)]
    assert world.counts() == [1, 2, 0, 2]
    assert world.ask(TerminateChild("bind")) == SIMPLE
    assert world.ask(TerminateChild(first)) == Done()
    assert world.which() == [("bind:2", second)]
    assert world.ask(TerminateChild(4711)) == NOT_FOUND
    assert world.ask(RestartChild("bind")) == SIMPLE
    assert world.ask(DeleteChild("bind")) == SIMPLE
    assert world.ask(StartChild(A)) == SIMPLE


def test_instances_need_a_template() -> None:
    refused = world_of(A).ask(StartInstance())
    assert isinstance(refused, Refused)
    assert refused.why is Refusal.FAULTY_SPEC


@pytest.mark.parametrize("restart", list(Restart))
def test_an_instance_that_ignores_is_not_kept(restart: Restart) -> None:
    world = world_of(ChildSpec("bind", "worker", restart), strategy=Strategy.SIMPLE_ONE_FOR_ONE)
    world.starts["bind:1"].append(Starts.IGNORES)
    assert world.ask(StartInstance()) == ChildAdded("bind:1", None)
    second = world.start_instance()
    assert world.which() == [("bind:2", second)]
    assert world.counts() == [1, 1, 0, 1]
    world.stop()
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("how", [Starts.FAILS, Starts.DIES, Starts.NO_PROCESS])
def test_a_new_child_that_cannot_start_is_forgotten(how: Starts) -> None:
    world = world_of()
    world.starts["a"].append(how)
    assert world.ask(StartChild(A)) == Refused(Refusal.START_FAILED, reason=BAD_START)
    assert world.which() == []
    assert world.core.status(0.0).recent_restarts == 0


def test_a_known_child_that_cannot_be_restarted_by_call_stays_down() -> None:
    world = world_of(A)
    world.ask(TerminateChild("a"))
    world.starts["a"].append(Starts.FAILS)
    assert world.ask(RestartChild("a")) == Refused(Refusal.START_FAILED, reason=BAD_START)
    assert world.which() == [("a", None)]
    assert world.core.status(0.0).recent_restarts == 0


def test_an_added_child_that_ignores_keeps_its_spec_unless_it_is_temporary() -> None:
    world = world_of()
    for id_, restart in (("a", Restart.PERMANENT), ("t", Restart.TEMPORARY)):
        world.starts[id_].append(Starts.IGNORES)
        assert world.start_child(ChildSpec(id_, "worker", restart)) is None
    assert world.which() == [("a", None)]


def test_an_added_child_is_last_in_order_and_restarted_like_the_others() -> None:
    world = world_of(A)
    world.start_child(ChildSpec("b", "worker"))
    world.die("a", CRASH)
    world.die("b", CRASH)
    assert [id_ for id_, _ in world.which()] == ["a", "b"]
    world.seen.clear()
    world.stop()
    assert world.seen[:2] == [["stopped", "b"], ["stopped", "a"]]


def test_a_faulty_spec_is_refused_by_call() -> None:
    refused = world_of().ask(StartChild(ChildSpec("", None)))
    assert isinstance(refused, Refused)
    assert refused.faults == (
        "child '': id must be a non-empty string",
        "child '': start is missing",
    )


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("reason", [KILLED, CRASH, NORMAL])
def test_the_spec_of_a_temporary_child_goes_with_its_process(
    strategy: Strategy, reason: ExitReason
) -> None:
    spec = ChildSpec("t", "worker", Restart.TEMPORARY)
    world = world_of(strategy=strategy)
    world.start_child(spec)
    world.die("t", reason)
    world.start_child(spec)
    world.ask(TerminateChild("t"))
    assert world.start_child(spec) is not None
    assert world.ask(RestartChild("t")) == Refused(Refusal.RUNNING)


def test_counts_tell_supervisors_from_workers() -> None:
    middle = ChildSpec("middle", Subtree(SupervisorFlags(), (A,)), type=ChildType.SUPERVISOR)
    world = world_of(A, middle)
    assert world.counts() == [2, 2, 1, 1]
    world.ask(TerminateChild("middle"))
    assert world.counts() == [2, 1, 1, 1]


def test_many_instances_are_counted() -> None:
    template = ChildSpec("bind", "worker", Restart.TEMPORARY)
    world = world_of(template, strategy=Strategy.SIMPLE_ONE_FOR_ONE)
    for _ in range(300):
        world.start_instance()
    assert world.counts() == [1, 300, 0, 300]
    for number in range(1, 301):
        world.die(f"bind:{number}", KILLED)
    assert world.counts() == [1, 0, 0, 0]


def test_calls_wait_until_the_supervisor_is_up() -> None:
    world = World(SupervisorFlags(), [A])
    world.starts["a"].append(Starts.HANGS)
    world.tell(StartRequested())
    assert world.ask(CountChildren()) is None
    world.let_start("a")
    assert [type(result).__name__ for result in world.results.values()] == ["ChildCounts"]


def test_calls_wait_behind_a_long_stop_and_a_death_before_them() -> None:
    world = world_of(A, ChildSpec("b", "worker"))
    world.deaf.add("b")
    assert world.ask(TerminateChild("b")) is None
    world.die("a", CRASH)
    assert world.ask(CountChildren()) is None
    assert world.ask(RestartChild("b")) is None
    world.advance(5.0)
    results = list(world.results.values())
    assert results[0] == Done()
    assert world.counts() == [2, 2, 0, 2]
    assert world.seen == [["ignored_stop", "b"], ["die", "a"], ["start", "a"], ["start", "b"]]


def test_a_child_whose_death_waits_its_turn_is_not_counted_as_active() -> None:
    world = world_of(A, ChildSpec("b", "worker"))
    world.deaf.add("b")
    world.ask(TerminateChild("b"))
    world.ask(CountChildren())
    world.die("a", CRASH)
    world.advance(5.0)
    assert list(world.results.values()) == [Done(), ChildCounts(2, 0, 0, 2)]


def test_a_stopping_supervisor_refuses_calls_those_that_wait_included() -> None:
    world = world_of(A, ChildSpec("b", "worker"))
    world.deaf.add("b")
    assert world.ask(TerminateChild("b")) is None
    assert world.ask(RestartChild("a")) is None
    world.stop()
    assert list(world.results.values()) == [NOT_RUNNING, NOT_RUNNING]
    assert world.ask(CountChildren()) == NOT_RUNNING
    world.advance(5.0)
    assert world.exit == SHUTDOWN


def test_a_call_to_start_is_refused_when_a_stop_interrupts_it() -> None:
    world = world_of()
    world.starts["a"].append(Starts.HANGS)
    assert world.ask(StartChild(A)) is None
    world.stop()
    assert list(world.results.values()) == [NOT_RUNNING]
    assert world.exit == SHUTDOWN


def test_a_supervisor_that_has_not_been_started_refuses_calls() -> None:
    core = SupervisorCore(SupervisorFlags(), [A], 0.0)
    (answer,) = core.on(CallReceived("me", CountChildren()), 0.0)
    assert answer == Answer("me", NOT_RUNNING)
