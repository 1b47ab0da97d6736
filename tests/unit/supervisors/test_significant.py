"""Automatic shutdown: which end of which significant child ends the supervisor."""

from __future__ import annotations

import pytest

from supervisors.calls import Refusal, Refused, RestartChild, StartChild, TerminateChild
from supervisors.child_spec import AutoShutdown, ChildSpec, ChildType, Restart
from supervisors.exit_reason import NORMAL, SHUTDOWN, ExitReason
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import CRASH, KILLED, Starts, Subtree, World

ANY, ALL = AutoShutdown.ANY_SIGNIFICANT, AutoShutdown.ALL_SIGNIFICANT


def flags(
    auto_shutdown: AutoShutdown, strategy: Strategy = Strategy.ONE_FOR_ONE
) -> SupervisorFlags:
    return SupervisorFlags(strategy, Intensity(5, 5.0), auto_shutdown)


def spec(id_: str, restart: Restart, *, significant: bool = True) -> ChildSpec:
    return ChildSpec(id_, "worker", restart, significant=significant)


def world_of(auto_shutdown: AutoShutdown, restart: Restart) -> World:
    specs = [spec("a", restart), spec("b", restart), spec("c", restart, significant=False)]
    return World(flags(auto_shutdown), specs).boot()


@pytest.mark.parametrize("auto_shutdown", list(AutoShutdown))
@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.TRANSIENT])
@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, CRASH, KILLED])
def test_the_end_of_a_nonsignificant_child_ends_nothing(
    auto_shutdown: AutoShutdown, restart: Restart, reason: ExitReason
) -> None:
    world = World(flags(auto_shutdown), [spec("a", restart, significant=False)]).boot()
    world.die("a", reason)
    assert world.is_alive()


@pytest.mark.parametrize("reason", [NORMAL, CRASH, KILLED])
def test_any_end_of_a_significant_temporary_child_ends_the_supervisor(reason: ExitReason) -> None:
    world = world_of(ANY, Restart.TEMPORARY)
    world.die("a", reason)
    assert world.seen[-3:] == [["stopped", "c"], ["stopped", "b"], ["sup_exit", "shutdown"]]
    assert world.exit == SHUTDOWN


def test_only_a_clean_end_of_a_significant_transient_child_ends_the_supervisor() -> None:
    world = world_of(ANY, Restart.TRANSIENT)
    world.die("a", KILLED)
    world.die("a", CRASH)
    assert world.children() == [["a", "up"], ["b", "up"], ["c", "up"]]
    world.die("a", NORMAL)
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.TRANSIENT])
def test_all_significant_waits_for_the_last_of_them(restart: Restart) -> None:
    world = world_of(ALL, restart)
    world.die("a", NORMAL)
    assert world.is_alive()
    world.die("b", NORMAL)
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
@pytest.mark.parametrize("restart", [Restart.TEMPORARY, Restart.TRANSIENT])
def test_terminating_a_significant_child_by_call_ends_nothing(
    auto_shutdown: AutoShutdown, restart: Restart
) -> None:
    world = world_of(auto_shutdown, restart)
    world.ask(TerminateChild("a"))
    world.ask(TerminateChild("b"))
    assert world.is_alive()


def test_a_restarting_significant_child_still_counts_as_running() -> None:
    world = world_of(ALL, Restart.TRANSIENT)
    world.holds_retries = True
    world.starts["a"].append(Starts.FAILS)
    world.die("a", CRASH)
    world.die("b", NORMAL)
    assert world.is_alive()
    world.ask(TerminateChild("a"))
    world.ask(RestartChild("b"))
    world.die("b", NORMAL)
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("strategy", list(Strategy)[:3])
@pytest.mark.parametrize("auto_shutdown", [ANY, ALL])
def test_significant_bystanders_stopped_for_a_sibling_end_nothing(
    strategy: Strategy, auto_shutdown: AutoShutdown
) -> None:
    specs = [
        spec("a", Restart.TRANSIENT),
        spec("b", Restart.TRANSIENT, significant=False),
        spec("c", Restart.TRANSIENT),
    ]
    world = World(flags(auto_shutdown, strategy), specs).boot()
    world.die("b", KILLED)
    assert world.children() == [["a", "up"], ["b", "up"], ["c", "up"]]


@pytest.mark.parametrize(("auto_shutdown", "ends_with"), [(ANY, 1), (ALL, 2)])
def test_significant_instances_end_their_supervisor_too(
    auto_shutdown: AutoShutdown, ends_with: int
) -> None:
    world = World(
        flags(auto_shutdown, Strategy.SIMPLE_ONE_FOR_ONE), [spec("bind", Restart.TRANSIENT)]
    ).boot()
    world.start_instance()
    world.start_instance()
    for number in range(1, ends_with + 1):
        assert world.is_alive()
        world.die(f"bind:{number}", NORMAL)
    assert world.exit == SHUTDOWN


@pytest.mark.parametrize("significant", [True, False])
def test_the_automatic_end_of_a_supervisor_escalates_if_it_is_significant(
    significant: bool,
) -> None:
    inner = Subtree(flags(ANY), (spec("leaf", Restart.TRANSIENT),))
    middle = ChildSpec(
        "middle", inner, Restart.TRANSIENT, significant=significant, type=ChildType.SUPERVISOR
    )
    world = World(flags(ANY), [middle]).boot()
    world.subtrees["middle"].die("leaf", NORMAL)
    assert world.subtrees["middle"].exit == SHUTDOWN
    assert world.is_alive() is not significant


def test_a_significant_child_is_refused_by_call_while_auto_shutdown_is_never() -> None:
    world = World(flags(AutoShutdown.NEVER)).boot()
    refused = world.ask(StartChild(spec("a", Restart.TRANSIENT)))
    assert refused == Refused(
        Refusal.FAULTY_SPEC,
        faults=("child 'a': significant is refused while auto_shutdown is never",),
    )
