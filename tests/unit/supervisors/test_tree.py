"""Trees: what a subtree's restart brings back, and how far a crash climbs."""

from __future__ import annotations

import pytest

from supervisors.child_spec import ChildSpec, ChildType, Restart
from supervisors.exit_reason import SHUTDOWN
from supervisors.facts import StartRequested
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags
from tests.unit.supervisors.world import CRASH, KILLED, Starts, Subtree, World

FOUR = SupervisorFlags(intensity=Intensity(4, 3600.0))
TOP = SupervisorFlags(Strategy.ONE_FOR_ALL, Intensity(4, 3600.0))


def workers(*ids: str) -> tuple[ChildSpec, ...]:
    return tuple(ChildSpec(id_, "worker") for id_ in ids)


def branch(
    id_: str, *specs: ChildSpec, flags: SupervisorFlags = FOUR, restart: Restart = Restart.PERMANENT
) -> ChildSpec:
    return ChildSpec(id_, Subtree(flags, specs), restart, type=ChildType.SUPERVISOR)


def test_a_tree_starts_depth_first_and_stops_in_reverse() -> None:
    top = World(TOP, [branch("left", *workers("a", "b")), branch("right", *workers("c"))])
    top.tell(StartRequested())
    assert top.seen == [["start", "a"], ["start", "b"], ["start", "c"]]
    assert top.is_started
    top.seen.clear()
    top.stop()
    assert top.seen == [
        ["stopped", "c"],
        ["stopped", "b"],
        ["stopped", "a"],
        ["sup_exit", "shutdown"],
    ]


def test_a_restarted_tree_has_its_static_children_and_not_the_added_ones() -> None:
    top = World(TOP, [branch("one", *workers("a", "b")), branch("two")]).boot()
    two = top.subtrees["two"]
    two.start_child(ChildSpec("c", "worker"))
    two.start_child(ChildSpec("d", "worker"))
    two.die("d", CRASH)
    assert two.counts() == [2, 2, 0, 2]
    two.starts["c"].extend([Starts.FAILS] * 5)
    two.die("c", CRASH)
    assert two.exit == SHUTDOWN
    assert top.is_alive()
    assert top.subtrees["two"].counts() == [0, 0, 0, 0]
    assert top.subtrees["one"].counts() == [2, 2, 0, 2]
    assert top.counts() == [2, 2, 2, 0]


def test_a_subtree_that_gives_up_counts_once_above() -> None:
    once = SupervisorFlags(intensity=Intensity(1, 60.0))
    top = World(FOUR, [branch("middle", *workers("a", "b"), flags=once)]).boot()
    for _ in range(2):
        top.subtrees["middle"].die("a", CRASH)
    status = top.core.status(0.0)
    assert status.recent_restarts == 1
    assert (status.children[0].restart_count, status.children[0].last_exit) == (1, SHUTDOWN)


def test_a_transient_supervisor_that_gives_up_is_not_restarted() -> None:
    none = SupervisorFlags(intensity=Intensity(0, 60.0))
    middle = branch("middle", *workers("a"), flags=none, restart=Restart.TRANSIENT)
    top = World(FOUR, [middle]).boot()
    top.subtrees["middle"].die("a", CRASH)
    assert top.children() == [["middle", "down"]]


@pytest.mark.parametrize(("depth", "intensity"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)])
def test_a_leaf_may_crash_the_intensity_plus_one_to_the_power_of_the_depth(
    depth: int, intensity: int
) -> None:
    flags = SupervisorFlags(intensity=Intensity(intensity, 60.0))
    spec = ChildSpec("leaf", "worker")
    for level in range(1, depth):
        spec = branch(f"level {level}", spec, flags=flags)
    top = World(flags, [spec]).boot()
    crashes = 0
    while top.is_alive():
        crashes += 1
        world = top
        while world.subtrees:
            (world,) = world.subtrees.values()
        world.die("leaf", CRASH)
    assert crashes == (intensity + 1) ** depth


def test_a_killed_supervisor_is_restarted_with_its_children() -> None:
    top = World(FOUR, [branch("middle", *workers("a"))]).boot()
    process = top.process("middle")
    assert process is not None
    top.end(process, KILLED)
    assert top.subtrees["middle"].children() == [["a", "up"]]
    assert top.children() == [["middle", "up"]]


def test_a_subtree_that_cannot_start_fails_the_tree_with_the_reason_of_the_leaf() -> None:
    top = World(FOUR, [*workers("a"), branch("middle", *workers("b", "c"))])
    top.starts["c"].append(Starts.FAILS)
    top.tell(StartRequested())
    assert top.seen == [
        ["start", "a"],
        ["start", "b"],
        ["start", "c"],
        ["stopped", "b"],
        ["stopped", "a"],
        ["sup_exit", "shutdown"],
    ]
    assert str(top.exit) == (
        "shutdown (failed to start child middle: "
        "shutdown (failed to start child c: abnormal (bad start)))"
    )


def test_a_subtree_that_cannot_start_again_uses_up_the_intensity_above() -> None:
    once = SupervisorFlags(intensity=Intensity(1, 60.0))
    top = World(once, [branch("middle", *workers("a"), flags=once)]).boot()
    top.starts["a"].extend([Starts.FAILS] * 4)
    top.subtrees["middle"].die("a", CRASH)
    assert top.exit == SHUTDOWN
