"""How a supervisor finds children that live and do nothing, over the real transport."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes.actor_messages import Begin, StartRefused
from hermes.actor_system import ActorHost
from supervisors.supervisor_actor import Beat, SupervisorActor
from tests.system.actor_hosts import is_alive, running_host
from tests.system.parent_actor import INCARNATION, start_child
from tests.system.supervised import (
    KILLED,
    BlockedStart,
    Hang,
    LoopChild,
    Specs,
    plant,
    requirements,
)

QUICK_BEAT = Beat(0.2, 3)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ActorHost]:
    with running_host(tmp_path) as host:
        yield host


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs.in_folder(tmp_path)


def test_child_whose_loop_hangs_is_killed_and_comes_back(
    tmp_path: Path, specs: Specs, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_host(tmp_path) as host:  # here: actors inherit this stderr
        tree = plant(host, specs.leaf("a", LoopChild), specs.leaf("b", LoopChild), beat=QUICK_BEAT)
        hung, sibling = tree.pid("a"), tree.pid("b")
        began = time.monotonic()
        tree.tell(Hang(), "a")
        tree.wait_for_restart(hung, "a")
        assert time.monotonic() - began < 3.0
        assert tree.child("a").last_exit == KILLED
        assert tree.pid("b") == sibling
    assert f'"child": "a", "child_pid": {hung}, "event": "child.hung"' in capfd.readouterr().err


def test_stopped_process_is_killed_and_comes_back(host: ActorHost, specs: Specs) -> None:
    tree = plant(host, specs.leaf("a"), beat=QUICK_BEAT)
    stopped = tree.pid("a")
    os.kill(stopped, signal.SIGSTOP)
    tree.wait_for_restart(stopped, "a")
    assert tree.child("a").last_exit == KILLED


def test_stopped_supervisor_is_killed_and_comes_back_with_its_children(
    host: ActorHost, specs: Specs
) -> None:
    tree = plant(host, specs.supervisor("mesh", specs.leaf("a")), beat=QUICK_BEAT)
    mesh, leaf = tree.pid("mesh"), tree.pid("mesh", "a")
    os.kill(mesh, signal.SIGSTOP)
    tree.wait_for_restart(mesh, "mesh")
    assert not is_alive(leaf)
    assert tree.pid("mesh", "a") != leaf


def test_child_that_hangs_in_its_start_is_found_too(host: ActorHost, specs: Specs) -> None:
    args = requirements(specs.leaf("a", BlockedStart), beat=QUICK_BEAT)
    child = start_child(host, SupervisorActor, **args)
    reason = "failed to start child a: killed (signal 9)"
    assert child.ask(Begin()) == StartRefused(child.pid, INCARNATION, reason)
