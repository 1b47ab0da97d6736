"""The bridge between a leaf's mailbox and its asyncio loop, over the real transport."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from thespian.actors import ActorAddress

from actors.io_loop import AsyncActor, BeginResult
from hermes.actor_messages import (
    Begin,
    ChildDown,
    Ignored,
    Ping,
    Started,
    StartRefused,
    Stop,
)
from hermes.actor_system import ActorHost
from hermes.exit_code import ExitCode
from tests.system.actor_hosts import is_alive, running_host, wait_until
from tests.system.parent_actor import INCARNATION, start_child


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ActorHost]:
    with running_host(tmp_path) as host:
        yield host


@dataclass(frozen=True, slots=True)
class Run:
    """Run the named coroutine method of the leaf with these arguments."""

    method: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class CallSync:
    """Call the named method of the leaf in its loop."""

    method: str


@dataclass(frozen=True, slots=True)
class Numbers:
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    value: object


class Leaf(AsyncActor):
    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.asker: ActorAddress
        self.actor_thread = 0
        self.seen: list[int] = []

    async def on_begin(self) -> BeginResult | None:
        match self.args.get("begin"):
            case "ignored":
                return BeginResult.IGNORED
            case "refused":
                raise ConnectionError("schema 7 is newer than 6")
            case "never":
                await asyncio.Event().wait()
            case _:
                pass
        return None

    async def on_stop(self, deadline_s: float) -> None:
        match self.args.get("stop"):
            case "never":
                await asyncio.Event().wait()
            case "fails":
                raise ValueError("cannot drain")
            case str(note):
                await asyncio.sleep(0.05)
                Path(note).write_text(f"drained within {deadline_s} s")
            case _:
                pass

    def receiveMsg_Run(self, run: Run, sender: ActorAddress) -> None:
        self.asker = sender
        self.actor_thread = threading.get_ident()
        self.call(getattr(self, run.method)(*run.args))

    def receiveMsg_CallSync(self, call: CallSync, sender: ActorAddress) -> None:
        self.asker = sender
        self.to_loop(getattr(self, call.method))

    def receiveMsg_Numbers(self, numbers: Numbers, sender: ActorAddress) -> None:
        for value in numbers.values:
            self.to_loop(self.keep, value, sender)

    def keep(self, value: int, sender: ActorAddress) -> None:
        self.seen.append(value)
        if value < 0:
            for seen in self.seen:
                self.send_later(sender, seen)

    def on_fact(self, fact: Any) -> None:
        assert isinstance(fact, Fact)
        in_actor_thread = threading.get_ident() == self.actor_thread
        self.send(self.asker, (fact.value, in_actor_thread))

    async def post_fact(self) -> None:
        await asyncio.sleep(0)
        assert threading.get_ident() != self.actor_thread
        self.post(Fact("posted"))

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("task failed")

    def fail_at_once(self) -> None:
        raise ValueError("call failed")

    async def fail_later(self) -> None:
        self.later(0.01, self.fail_at_once)

    async def post_unknown(self) -> None:
        self.post("on_fact asserts that this is a Fact")

    async def foreign_task_fails(self) -> None:
        task = self.loop.create_task(self.fail())
        await asyncio.sleep(0.01)
        del task
        self.send_later(self.asker, "survived")

    async def cancel_a_task(self) -> None:
        task = self.spawn(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        self.send_later(self.asker, "survived")

    def hang(self) -> None:
        threading.Event().wait()

    async def stop_loop(self) -> None:
        self.loop.stop()

    async def watch(self, pid: int) -> None:
        self.watch_pid(pid, Fact("gone"))

    async def await_gone(self, pid: int) -> None:
        await self.pid_gone(pid)
        self.send_later(self.asker, "gone")

    async def busy_executor(self) -> None:
        _ = self.loop.run_in_executor(None, threading.Event().wait, 30)
        self.send_later(self.asker, "busy")

    async def name_loop(self) -> None:
        self.send_later(self.asker, type(self.loop).__module__)


def test_leaf_runs_uvloop(host: ActorHost) -> None:
    assert host.ask(host.create(Leaf), Run("name_loop"), 5) == "uvloop"


def test_posted_fact_arrives_in_the_actor_thread(host: ActorHost) -> None:
    assert host.ask(host.create(Leaf), Run("post_fact"), 5) == ("posted", True)


def test_messages_pass_through_the_loop_in_order(host: ActorHost) -> None:
    leaf = host.create(Leaf)
    for start_at in range(0, 300, 100):
        host.tell(leaf, Numbers(tuple(range(start_at, start_at + 100))))
    answers = [host.ask(leaf, Numbers((-1,)), 5), *(host.listen(5) for _ in range(300))]
    assert answers == [*range(300), -1]


def test_begin_is_answered_from_the_loop_with_started(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    assert child.ask(Begin()) == Started(child.pid, INCARNATION)


def test_begin_that_needs_no_process_is_answered_with_ignored(host: ActorHost) -> None:
    child = start_child(host, Leaf, begin="ignored")
    assert child.ask(Begin()) == Ignored(child.pid, INCARNATION)
    assert host.listen(5) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)


def test_begin_that_raises_is_answered_with_the_reason(host: ActorHost) -> None:
    child = start_child(host, Leaf, begin="refused")
    refused = StartRefused(child.pid, INCARNATION, "ConnectionError: schema 7 is newer than 6")
    assert child.ask(Begin()) == refused
    assert host.listen(5) == ChildDown(child.pid, INCARNATION, ExitCode.START_REFUSED)


def test_ping_is_answered_while_begin_takes_its_time(host: ActorHost) -> None:
    child = start_child(host, Leaf, begin="never")
    child.tell(Begin())
    assert child.ask(Ping(5)).nonce == 5
    assert child.ask(Stop(2.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)


def test_ping_to_a_hung_loop_is_not_answered(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    child.tell(CallSync("hang"))
    assert child.ask(Ping(), 0.3) is None
    assert is_alive(child.pid)


@pytest.mark.parametrize("how", [Run("fail"), CallSync("fail_at_once"), Run("fail_later")])
def test_failure_in_the_loop_ends_the_actor_with_70(host: ActorHost, how: object) -> None:
    child = start_child(host, Leaf)
    assert child.ask(how) == ChildDown(child.pid, INCARNATION, ExitCode.HANDLER_FAILED)


def test_failure_on_a_fact_ends_the_actor_with_70(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    down = child.ask(Run("post_unknown"))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.HANDLER_FAILED)


def test_failure_in_the_loop_is_logged_with_its_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_host(tmp_path) as host:
        child = start_child(host, Leaf)
        assert child.ask(Run("fail")) == ChildDown(child.pid, INCARNATION, 70)
    log = capfd.readouterr().err
    assert '"event": "handler.failed", "actor": "top/child"' in log
    assert "ValueError: task failed" in log


def test_dead_loop_is_a_dead_actor(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    down = child.ask(Run("stop_loop"))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.HANDLER_FAILED)


@pytest.mark.parametrize("method", ["foreign_task_fails", "cancel_a_task"])
def test_actor_survives_what_is_no_failure_of_its_own(host: ActorHost, method: str) -> None:
    leaf = host.create(Leaf)
    assert host.ask(leaf, Run(method), 5) == "survived"
    assert host.ask(leaf, Ping(9), 5).nonce == 9


def test_stop_drains_and_ends_with_0(host: ActorHost, tmp_path: Path) -> None:
    note = tmp_path / "note"
    child = start_child(host, Leaf, stop=str(note))
    assert child.ask(Stop(2.5)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
    assert note.read_text() == "drained within 2.5 s"


def test_stop_ends_the_process_at_its_deadline(host: ActorHost) -> None:
    child = start_child(host, Leaf, stop="never")
    began = time.monotonic()
    down = child.ask(Stop(0.2))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.STOP_TIMED_OUT)
    assert 0.2 <= time.monotonic() - began < 1.2


def test_stop_that_raises_ends_with_70(host: ActorHost) -> None:
    child = start_child(host, Leaf, stop="fails")
    down = child.ask(Stop(1.0))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.HANDLER_FAILED)


def test_hanging_executor_thread_does_not_hold_up_the_end(host: ActorHost) -> None:
    child = start_child(host, Leaf)
    child.tell(Begin())
    assert host.listen(5) == Started(child.pid, INCARNATION)
    child.tell(Run("busy_executor"))
    child.tell(Stop(1.0))
    wait_until(lambda: not is_alive(child.pid), "the executor's thread holds the process")


@pytest.mark.parametrize("method", ["watch", "await_gone"])
def test_end_of_a_process_that_is_no_child_is_noticed(host: ActorHost, method: str) -> None:
    leaf = host.create(Leaf)
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        host.tell(leaf, Run(method, (stranger.pid,)))
        assert host.listen(0.2) is None
        os.kill(stranger.pid, signal.SIGKILL)
        assert host.listen(5) in ("gone", ("gone", True))
    finally:
        stranger.kill()
        stranger.wait()


def test_process_that_is_already_gone_is_noticed_at_once(host: ActorHost) -> None:
    leaf = host.create(Leaf)
    stranger = subprocess.Popen(["true"])
    stranger.wait()
    assert host.ask(leaf, Run("await_gone", (stranger.pid,)), 5) == "gone"
