"""Each repair of Thespian 4.0.1, and the proof that it is needed: the same probe without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from thespian.system.transport import TCPTransport

from hermes import thespian_fixes
from hermes.actor_system import ActorSystemNotStarted, start_system
from tests.system.actor_hosts import descendants, is_alive, running_host

PROBE = Path(__file__).with_name("thespian_probe.py")


def shown(probe: str, *options: str) -> Any:
    """Run a probe in its own process and return what it shows."""
    run = subprocess.run(
        [sys.executable, str(PROBE), probe, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def stock(probe: str) -> Any:
    return shown(probe, "--stock")


def descriptor_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_actor_listens_on_loopback_only() -> None:
    assert shown("listening_address") == ["0100007F"]
    assert stock("listening_address") == ["00000000"]


def test_foreign_pickle_is_refused() -> None:
    assert shown("foreign_pickle") == {"executed": False, "answers": True}
    assert stock("foreign_pickle")["executed"] is True


def test_each_death_is_reported_with_its_exit_code() -> None:
    assert shown("reports_of_dead_children") == [[100, 0], [101, 1], [102, 2]]
    assert stock("reports_of_dead_children") == []


def test_forty_children_killed_at_once_are_each_reported_once() -> None:
    assert shown("forty_killed_at_once") == {"reports": 40, "exact": True}
    assert stock("forty_killed_at_once") == {"reports": 0, "exact": False}


def test_child_that_ends_before_it_connects_is_reported_and_the_parent_answers() -> None:
    assert shown("death_before_connecting") == {"down": [True], "parent_answers": True}
    assert stock("death_before_connecting")["down"] == []


def test_admin_survives_loss_of_logger_and_starts_another() -> None:
    assert shown("loss_of_logger") == {"admin_lives": True, "loggers": 1}
    assert stock("loss_of_logger")["admin_lives"] is False


def test_no_process_outlives_its_parent() -> None:
    assert shown("loss_of_parent") == {"children": 0, "under_admin": False}
    assert stock("loss_of_parent") == {"children": 5, "under_admin": True}


def test_actor_system_does_not_outlive_its_starter() -> None:
    assert shown("loss_of_starter") == {"left": 0}
    assert stock("loss_of_starter") == {"left": 2}


def test_stock_actor_survives_a_fault_in_native_code_spinning() -> None:
    assert stock("fault_in_native_code") == {"lives": True}


def test_stock_actor_is_called_twice_when_its_handler_raises() -> None:
    assert stock("failed_handler") == {"calls": 2, "answer": "PoisonMessage"}


def test_repairs_are_applied_once() -> None:
    thespian_fixes.apply()
    serializer = TCPTransport.serializer
    thespian_fixes.apply()
    assert TCPTransport.serializer is serializer


def test_second_system_on_an_admin_port_is_refused_at_once(tmp_path: Path) -> None:
    with (
        running_host(tmp_path) as host,
        pytest.raises(ActorSystemNotStarted, match=f"{host.admin_port}: Address already in use"),
    ):
        start_system(host.admin_port)


def test_stopped_system_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    before = descriptor_count()
    with running_host(tmp_path) as host:
        tree = {host.admin_pid, *descendants(host.admin_pid)}
    assert not any(map(is_alive, tree))
    assert descriptor_count() == before
