"""What a supervisor answers: who lives where, how all are, and requests about its children."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes.actor_messages import Begin, ChildDown, Here, Ping, Started, StartRefused, Stop
from hermes.actor_system import ActorHost
from hermes.exit_code import ExitCode
from supervisors.calls import (
    ChildAdded,
    ChildCounts,
    ChildEntry,
    ChildList,
    CountChildren,
    DeleteChild,
    Done,
    Refusal,
    Refused,
    RestartChild,
    StartChild,
    StartInstance,
    TerminateChild,
    WhichChildren,
)
from supervisors.child_spec import ChildSpec, ChildType
from supervisors.children import ChildState
from supervisors.exit_reason import ExitKind, ExitReason
from supervisors.intensity import Intensity
from supervisors.status import Phase
from supervisors.strategy import Strategy
from supervisors.supervisor_actor import Call, SupervisorActor
from tests.system.actor_hosts import descendants, is_alive, running_host, wait_until
from tests.system.parent_actor import INCARNATION, start_child
from tests.system.supervised import (
    ROOT,
    Find,
    SilentStart,
    Specs,
    Stubborn,
    Tell,
    Tree,
    kill,
    plant,
    requirements,
)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ActorHost]:
    with running_host(tmp_path) as host:
        yield host


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs.in_folder(tmp_path)


# Questions


def test_leaf_finds_others_by_path_up_and_down_the_tree(host: ActorHost, specs: Specs) -> None:
    mesh = specs.supervisor("mesh", specs.supervisor("acme", specs.leaf("bind-1")))
    stages = specs.supervisor("stages", specs.leaf("intake"), specs.leaf("recorder"))
    prepare = specs.leaf("prepare", ignores=True)
    tree = plant(host, prepare, stages, mesh)
    for ids in (
        ("mesh", "acme", "bind-1"),  # across the root
        ("mesh", "acme"),
        ("stages", "recorder"),  # beside it
        ("stages", "intake"),  # itself
        ("stages",),  # above it
    ):
        path = (ROOT, *ids)
        here = tree.ask(Find(path), "stages", "intake")
        assert here == Here(path, tree.address(*ids), tree.pid(*ids))
        assert host.ask(here.address, Ping(), 5).pid == here.pid
    root = tree.pong().pid
    assert tree.ask(Find((ROOT,)), "mesh", "acme", "bind-1").pid == root


def test_nobody_is_found_where_nobody_runs(host: ActorHost, specs: Specs) -> None:
    mesh = specs.supervisor("mesh", specs.leaf("bind-1"))
    prepare = specs.leaf("prepare", ignores=True)
    tree = plant(host, prepare, mesh, specs.leaf("admin"))
    for path in (
        (ROOT, "prepare"),  # down
        (ROOT, "nobody"),
        (ROOT, "prepare", "x"),
        (ROOT, "mesh", "nobody"),
        (ROOT, "admin", "x"),  # below a leaf
        ("elsewhere", "mesh"),
    ):
        assert tree.ask(Find(path), "mesh", "bind-1") == Here(path, None, None)
    assert tree.call(TerminateChild("admin")) == Done()
    assert tree.ask(Find((ROOT, "admin")), "mesh", "bind-1") == Here((ROOT, "admin"), None, None)


def test_leaf_of_a_supervisor_still_starting_is_found(host: ActorHost, specs: Specs) -> None:
    mesh = specs.supervisor("mesh", specs.leaf("bind-1"), specs.leaf("bind-2", SilentStart))
    args = {"path": (ROOT,), **requirements(specs.leaf("a"), mesh)}
    root = host.create(SupervisorActor, args)
    host.tell(root, Begin())
    wait_until(lambda: "begun bind-2" in specs.lines(), "bind-2 does not begin")
    tree = Tree(host, root)
    path = (ROOT, "mesh", "bind-1")
    there = tree.address("mesh", "bind-1"), tree.pid("mesh", "bind-1")
    assert tree.ask(Find(path), "a") == Here(path, *there)
    assert tree.ask(Find((ROOT, "mesh")), "a") == Here((ROOT, "mesh"), None, None)
    assert tree.survey("mesh").status.phase is Phase.STARTING


def test_what_a_stranger_says_changes_nothing(host: ActorHost, specs: Specs) -> None:
    late = specs.leaf("b", SilentStart)
    root = host.create(SupervisorActor, {"path": (ROOT,), **requirements(specs.leaf("a"), late)})
    host.tell(root, Begin())
    wait_until(lambda: "begun b" in specs.lines(), "b does not begin")
    tree = Tree(host, root)
    stranger, incarnation = os.getpid(), tree.pong("b").incarnation
    host.tell(root, Started(stranger, incarnation))
    host.tell(root, StartRefused(stranger, incarnation, "no"))
    assert tree.child("b").state is ChildState.STARTING
    assert tree.ask(Find((ROOT, "b")), "a") == Here((ROOT, "b"), None, None)


def test_survey_shows_status_and_where_children_are_reached(host: ActorHost, specs: Specs) -> None:
    children = (specs.leaf("a"), specs.leaf("b", ignores=True), specs.supervisor("mesh"))
    tree = plant(host, *children, strategy=Strategy.REST_FOR_ONE, intensity=Intensity(3, 300.0))
    said = tree.survey()
    assert (said.path, said.pid) == ((ROOT,), tree.pong().pid)
    status = said.status
    assert (status.phase, status.strategy) == (Phase.RUNNING, Strategy.REST_FOR_ONE)
    assert (status.recent_restarts, status.max_restarts, status.period) == (0, 3, 300.0)
    assert [(c.id, c.state, c.type) for c in status.children] == [
        ("a", ChildState.UP, ChildType.WORKER),
        ("b", ChildState.DOWN, ChildType.WORKER),
        ("mesh", ChildState.UP, ChildType.SUPERVISOR),
    ]
    assert all(0 <= said.now - c.since < 60 for c in status.children)
    pongs = {id_: tree.pong(id_).pid for id_ in said.addresses}
    assert pongs == {id_: pid for id_, pid in tree.pids().items() if pid is not None}


# Calls


def test_children_are_added_stopped_started_and_forgotten_by_calls(
    host: ActorHost, specs: Specs
) -> None:
    tree = plant(host, specs.leaf("a"))
    added = tree.call(StartChild(specs.leaf("b")))
    b = tree.pid("b")
    assert added == ChildAdded("b", b)
    assert tree.call(StartChild(specs.leaf("b"))) == Refused(Refusal.ALREADY_STARTED, pid=b)
    assert tree.call(DeleteChild("b")) == Refused(Refusal.RUNNING)
    assert tree.call(TerminateChild("b")) == Done()
    assert not is_alive(b)
    assert tree.call(StartChild(specs.leaf("b"))) == Refused(Refusal.ALREADY_PRESENT)
    assert tree.call(RestartChild("b")) == ChildAdded("b", tree.pid("b"))
    assert tree.pid("b") != b
    assert tree.call(WhichChildren()) == ChildList(
        tuple(ChildEntry(id_, tree.pid(id_), False, ChildType.WORKER) for id_ in "ab")
    )
    assert tree.call(TerminateChild("b")) == Done()
    assert tree.call(DeleteChild("b")) == Done()
    assert tree.call(TerminateChild("b")) == Refused(Refusal.NOT_FOUND)
    assert tree.call(CountChildren()) == ChildCounts(specs=1, active=1, supervisors=0, workers=1)
    stopped = ["begun b", "up b", "told b", "ended b"]
    assert specs.lines() == ["begun a", "up a", *stopped, *stopped]


def test_subtree_is_added_and_stopped_by_calls(host: ActorHost, specs: Specs) -> None:
    tree = plant(host, specs.supervisor("mesh"))
    acme = specs.supervisor("acme", specs.leaf("stage"), specs.leaf("bind-1"))
    assert tree.call(StartChild(acme), "mesh") == ChildAdded("acme", tree.pid("mesh", "acme"))
    processes = descendants(tree.pid("mesh"))
    assert len(processes) == 3
    assert tree.call(TerminateChild("acme"), "mesh") == Done()
    assert not any(map(is_alive, processes))
    assert specs.lines()[4:] == ["told bind-1", "ended bind-1", "told stage", "ended stage"]


def test_child_that_cannot_be_added_leaves_no_spec(host: ActorHost, specs: Specs) -> None:
    tree = plant(host, specs.leaf("a"))
    refused = tree.call(StartChild(specs.leaf("b", refused=(1,))))
    reason = ExitReason(ExitKind.ABNORMAL, "start 1 is refused")
    assert refused == Refused(Refusal.START_FAILED, reason=reason)
    refused = tree.call(StartChild(ChildSpec("c", start="nothing")))
    reason = ExitReason(ExitKind.ABNORMAL, "'nothing' names no actor to start")
    assert refused == Refused(Refusal.START_FAILED, reason=reason)
    assert list(tree.pids()) == ["a"]


def test_instances_of_a_template_get_their_own_arguments(host: ActorHost, specs: Specs) -> None:
    template = specs.leaf("door", common=7)
    tree = plant(host, template, strategy=Strategy.SIMPLE_ONE_FOR_ONE)
    for number in (1, 2):
        id_ = f"door:{number}"
        added = tree.call(StartInstance((f"port {number}",)))
        assert added == ChildAdded(id_, tree.pid(id_))
        args = tree.ask(Tell(), id_)
        assert (args["common"], args["instance"]) == (7, (f"port {number}",))
    old = tree.pid("door:2")
    kill(old)
    tree.wait_for_restart(old, "door:2")
    assert tree.ask(Tell(), "door:2")["instance"] == ("port 2",)


def test_call_is_refused_once_the_supervisor_stops_and_a_second_stop_hastens_it(
    host: ActorHost, specs: Specs
) -> None:
    stubborn = specs.leaf("a", Stubborn, shutdown=60.0)
    child = start_child(host, SupervisorActor, **requirements(stubborn))
    assert child.ask(Begin()) == Started(child.pid, INCARNATION)
    assert child.ask(Call(CountChildren())) == ChildCounts(1, 1, 0, 1)
    child.tell(Stop(60.0))
    assert child.ask(Call(CountChildren())) == Refused(Refusal.NOT_RUNNING)
    assert child.ask(Stop(0.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
