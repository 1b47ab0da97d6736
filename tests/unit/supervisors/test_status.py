"""The status view shows each child as it is, with its past."""

from __future__ import annotations

from supervisors.calls import TerminateChild
from supervisors.child_spec import ChildSpec, ChildType, Restart
from supervisors.children import ChildState
from supervisors.facts import StartRequested
from supervisors.intensity import Intensity
from supervisors.status import ChildStatus, Phase, SupervisorStatus
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import BAD_START, CRASH, Starts, World

FLAGS = SupervisorFlags(intensity=Intensity(5, 60.0))


def world_of(*ids: str) -> World:
    return World(FLAGS, [ChildSpec(id_, "worker") for id_ in ids])


def states(world: World) -> list[ChildState]:
    return [child.state for child in world.core.status(world.now).children]


def test_a_supervisor_is_drawn_whole() -> None:
    world = world_of("a").boot()
    world.advance(3.0)
    world.die("a", CRASH)
    world.advance(1.0)
    assert world.core.status(world.now) == SupervisorStatus(
        phase=Phase.RUNNING,
        strategy=Strategy.ONE_FOR_ONE,
        recent_restarts=1,
        max_restarts=5,
        period=60.0,
        children=(
            ChildStatus(
                id="a",
                state=ChildState.UP,
                pid=world.pid("a"),
                since=3.0,
                restart_count=1,
                last_exit=CRASH,
                restart=Restart.PERMANENT,
                type=ChildType.WORKER,
            ),
        ),
    )
    assert world.core.status(64.0).recent_restarts == 0


def test_the_phases_follow_the_life_of_the_supervisor() -> None:
    world = world_of("a")
    phases = [world.core.phase]
    world.starts["a"].append(Starts.HANGS)
    world.tell(StartRequested())
    phases.append(world.core.phase)
    world.let_start("a")
    phases.append(world.core.phase)
    world.deaf.add("a")
    world.stop()
    phases.append(world.core.phase)
    world.advance(5.0)
    phases.append(world.core.phase)
    assert phases == list(Phase)


def test_a_starting_child_shows_its_process() -> None:
    world = world_of("a", "b")
    world.starts["a"].append(Starts.HANGS)
    world.tell(StartRequested())
    assert states(world) == [ChildState.STARTING, ChildState.DOWN]
    assert world.core.status(0.0).children[0].pid == world.pid("a")


def test_a_child_told_to_stop_shows_as_stopping_and_then_as_down() -> None:
    world = world_of("a", "b").boot()
    world.deaf.add("b")
    world.ask(TerminateChild("b"))
    assert states(world) == [ChildState.UP, ChildState.STOPPING]
    world.advance(5.0)
    assert states(world) == [ChildState.UP, ChildState.DOWN]
    assert world.core.status(5.0).children[1].since == 5.0
    assert world.core.status(5.0).children[1].pid is None


def test_a_child_whose_restart_failed_shows_as_restarting_with_the_reason() -> None:
    world = world_of("a").boot()
    world.holds_retries = True
    world.starts["a"].append(Starts.FAILS)
    world.die("a", CRASH)
    child = world.core.status(0.0).children[0]
    assert (child.state, child.pid, child.last_exit) == (ChildState.RESTARTING, None, BAD_START)


def test_a_death_that_waits_its_turn_shows_as_down() -> None:
    world = world_of("a", "b").boot()
    world.deaf.add("b")
    world.ask(TerminateChild("b"))
    world.die("a", CRASH)
    assert states(world) == [ChildState.DOWN, ChildState.STOPPING]


def test_only_the_supervisors_own_restarts_are_counted_those_for_a_sibling_included() -> None:
    flags = SupervisorFlags(Strategy.ONE_FOR_ALL, Intensity(5, 60.0))
    world = World(flags, [ChildSpec(id_, "worker") for id_ in "ab"]).boot()
    world.die("a", CRASH)
    world.starts["b"].append(Starts.FAILS)
    world.die("a", CRASH)
    status = world.core.status(0.0)
    assert [child.restart_count for child in status.children] == [3, 2]
    assert status.recent_restarts == 3
