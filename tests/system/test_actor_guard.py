"""The guard, exit codes, start, stop and timers of every actor, over the real transport."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from thespian.actors import ActorAddress, PoisonMessage

from hermes.actor import HermesActor
from hermes.actor_messages import (
    Begin,
    ChildDown,
    Ignored,
    Ping,
    Pong,
    Started,
    StartRefused,
    Stop,
)
from hermes.actor_system import ActorHost
from hermes.exit_code import ExitCode, exit_reason
from tests.system.actor_hosts import is_alive, running_host, wait_until
from tests.system.parent_actor import INCARNATION, KillChild, start_child


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ActorHost]:
    with running_host(tmp_path) as host:
        yield host


@dataclass(frozen=True, slots=True)
class Fail:
    note: Path


class Fault:
    """Read address 0."""


class SetTimers:
    """Answered with what has fired after three ticks."""


class Leaf(HermesActor):
    def receiveMsg_Fail(self, fail: Fail, _sender: ActorAddress) -> None:
        with fail.note.open("a") as note:
            note.write("called\n")
        raise ValueError("half done")

    def receiveMsg_Fault(self, _message: Fault, _sender: ActorAddress) -> None:
        ctypes.string_at(0)

    def receiveMsg_SetTimers(self, _message: SetTimers, sender: ActorAddress) -> None:
        self.fired: list[str] = []
        self.asker = sender
        self.set_timer("cancelled", 0.01)
        self.cancel_timer("cancelled")
        self.set_timer("set again", 0.01)
        self.set_timer("set again", 0.05)
        self.set_timer("once", 0.02)
        self.start_ticks(0.04)

    def on_timer(self, name: str) -> None:
        self.fired.append(name)

    def on_tick(self) -> None:
        self.fired.append("tick")
        if self.fired.count("tick") == 3:
            self.send(self.asker, self.fired)


class IdleChild(Leaf):
    def begin(self) -> None:
        self.report_ignored()


class UnwillingChild(Leaf):
    def begin(self) -> None:
        self.refuse_start("schema 7 is newer than 6")


class GivingUp(Leaf):
    def receiveMsg_Stop(self, _message: Stop, _sender: ActorAddress) -> None:
        self.exit(ExitCode.SHUTDOWN)


def test_failed_handler_is_called_once_and_ends_the_process_with_70(
    host: ActorHost, tmp_path: Path
) -> None:
    child = start_child(host, Leaf)
    note = tmp_path / "note"
    down = child.ask(Fail(note))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.HANDLER_FAILED)
    assert note.read_text() == "called\n"


def test_failed_handler_is_logged_with_its_traceback_and_actor(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_host(tmp_path) as host:  # here: actors inherit the stderr they are forked with
        child = start_child(host, Leaf)
        assert child.ask(Fail(tmp_path / "note")) == ChildDown(child.pid, INCARNATION, 70)
    log = capfd.readouterr().err
    assert '"event": "handler.failed", "actor": "top/child"' in log
    assert "ValueError: half done" in log


def test_failed_handler_sends_no_poison(host: ActorHost, tmp_path: Path) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Fail(tmp_path / "note")) == ChildDown(child.pid, INCARNATION, 70)
    assert not isinstance(host.listen(0.2), PoisonMessage)


def test_fault_in_native_code_ends_the_process(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Fault()) == ChildDown(child.pid, INCARNATION, -signal.SIGSEGV)


def test_child_is_killed_by_pid_once(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    heard = child.kill()
    assert True in heard
    assert ChildDown(child.pid, INCARNATION, -signal.SIGKILL) in heard
    assert host.ask(child.parent, KillChild(), 5) is False


def test_begin_is_answered_with_started(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Begin()) == Started(child.pid, INCARNATION)


def test_second_begin_changes_nothing(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Begin()) == Started(child.pid, INCARNATION)
    child.tell(Begin())
    pong = child.ask(Ping(1))
    assert isinstance(pong, Pong)


def test_ignoring_child_says_so_and_ends_normally(host: ActorHost) -> None:
    child = start_child(host, IdleChild)
    assert child.ask(Begin()) == Ignored(child.pid, INCARNATION)
    assert host.listen(5) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)


def test_child_that_refuses_to_start_gives_the_reason_and_ends_with_its_code(
    host: ActorHost,
) -> None:
    child = start_child(host, UnwillingChild)
    assert child.ask(Begin()) == StartRefused(child.pid, INCARNATION, "schema 7 is newer than 6")
    assert host.listen(5) == ChildDown(child.pid, INCARNATION, ExitCode.START_REFUSED)


def test_stop_ends_the_process_with_0(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Stop(1.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)


def test_exit_code_of_an_actor_is_what_it_exits_with(host: ActorHost) -> None:
    child = start_child(host, GivingUp)
    assert child.ask(Stop(1.0)) == ChildDown(child.pid, INCARNATION, ExitCode.SHUTDOWN)


def test_ping_is_answered_with_pid_and_incarnation(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    pong = child.ask(Ping(42))
    assert (pong.nonce, pong.pid, pong.incarnation) == (42, child.pid, INCARNATION)


def test_pong_of_a_top_actor_names_the_admin(host: ActorHost) -> None:
    top = host.create(Leaf)
    assert host.ask(top, Ping(), 5).parent_pid == host.admin_pid


def test_timers_fire_once_and_only_in_their_last_setting(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert sorted(child.ask(SetTimers())) == ["once", "set again", "tick", "tick", "tick"]


def test_unknown_message_is_logged_and_changes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_host(tmp_path) as host:
        child = start_child(host, Leaf)
        child.tell({"nobody": "knows"})
        assert child.ask(Ping()).pid == child.pid
    assert '"message.unexpected"' in capfd.readouterr().err


def test_child_of_a_dead_parent_is_not_left(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    os.kill(host.ask(child.parent, Ping(), 5).pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(child.pid), "the child lives on", 1.0)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "normal"),
        (69, "shutdown"),
        (70, "handler failed (70)"),
        (71, "orphan (71)"),
        (72, "stop timed out (72)"),
        (73, "start refused (73)"),
        (-9, "killed (-9)"),
        (-11, "sigsegv (-11)"),
        (-63, "signal 63 (-63)"),  # a real-time signal has no name
        (1, "exit code 1"),
        (None, "exit code unknown"),
    ],
)
def test_exit_code_becomes_an_exit_reason(code: int | None, reason: str) -> None:
    assert exit_reason(code) == reason
