"""A leaf and its OS process, over the real transport."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from actors.commands import Describe, Description
from actors.port_actor import AskPortStatus, PortActor, PortSpec, PortStatus
from actors.port_core import PortPhase, PortTimes
from actors.readiness import Check
from hermes.actor_messages import Begin, ChildDown, Ping, Pong, Started, StartRefused, Stop
from hermes.actor_system import ActorHost
from hermes.embedded.probe import TcpOpen
from hermes.exit_code import ExitCode
from tests.system.actor_hosts import is_alive, running_host, stat_fields, wait_until
from tests.system.parent_actor import INCARNATION, Child, start_child

PROCESS = Path(__file__).with_name("port_process.py")
TIMES = PortTimes(probe_every_s=0.1, stop_timeout_s=3.0, backoff_first_s=0.05, backoff_max_s=0.2)


@dataclass(frozen=True, slots=True)
class Place:
    """A short private folder: a socket's path is limited to 107 bytes."""

    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def spec(self, *mode: str) -> PortSpec:
        socket_path = str(self.folder / "s")
        return PortSpec(
            name="sample",
            argv=(sys.executable, "-I", "-S", str(PROCESS), socket_path, *mode),
            ready=TcpOpen(socket_path),
            env=(("GREETING", "hello"),),
            log_path=str(self.folder / "log"),
            times=TIMES,
        )


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="port-"))
    yield Place(folder)
    shutil.rmtree(folder)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ActorHost]:
    with running_host(tmp_path) as host:
        yield host


def started(host: ActorHost, spec: PortSpec) -> Child:
    child = start_child(host, PortActor, spec=spec)
    assert child.ask(Begin()) == Started(child.pid, INCARNATION)
    return child


def status_of(child: Child) -> PortStatus:
    status = child.ask(AskPortStatus())
    assert isinstance(status, PortStatus)
    return status


def wait_for(child: Child, condition: Callable[[PortStatus], object], what: str) -> PortStatus:
    wait_until(lambda: condition(status_of(child)), what)
    return status_of(child)


def process_of(child: Child) -> int:
    pid = status_of(child).pid
    assert pid is not None
    return pid


def test_port_is_started_once_its_process_is_ready(host: ActorHost, place: Place) -> None:
    child = started(host, place.spec())
    status = status_of(child)
    assert status.pid is not None
    assert status == PortStatus("sample", PortPhase.UP, status.pid, True, 0, None)
    assert place.log == "started in / with hello\n"
    assert stat_fields(status.pid)[3] == str(status.pid), "no session of its own"


def test_killed_process_is_started_again(host: ActorHost, place: Place) -> None:
    child = started(host, place.spec())
    first = process_of(child)
    os.kill(first, signal.SIGKILL)
    status = wait_for(child, lambda s: s.healthy and s.pid != first, "not started again")
    assert status == PortStatus("sample", PortPhase.UP, status.pid, True, 1, -signal.SIGKILL)
    assert child.ask(Ping()).pid == child.pid


def test_process_that_ends_at_once_is_tried_again_and_never_ends_the_actor(
    host: ActorHost, place: Place
) -> None:
    child = start_child(host, PortActor, spec=place.spec("broken"))
    child.tell(Begin())
    status = wait_for(child, lambda s: s.restarts >= 3, "not tried again")
    assert (status.last_exit, status.healthy) == (7, False)
    assert isinstance(child.ask(Ping()), Pong)
    down = child.ask(Stop(2.0))
    assert down == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)


def test_unreachable_process_ends_neither_itself_nor_the_actor(
    host: ActorHost, place: Place
) -> None:
    child = started(host, place.spec())
    pid = process_of(child)
    os.kill(pid, signal.SIGUSR1)
    wait_for(child, lambda s: not s.healthy, "not seen to be unready")
    os.kill(pid, signal.SIGUSR2)
    status = wait_for(child, lambda s: s.healthy, "not seen to be ready again")
    assert (status.pid, status.restarts) == (pid, 0)


def test_process_unready_for_its_limit_is_replaced(host: ActorHost, place: Place) -> None:
    times = replace(TIMES, replace_unhealthy_after_s=0.2)
    child = started(host, replace(place.spec(), times=times))
    pid = process_of(child)
    os.kill(pid, signal.SIGUSR1)
    status = wait_for(child, lambda s: s.restarts == 1 and s.healthy, "not replaced")
    assert (status.pid != pid, status.last_exit) == (True, 0)


def test_stop_sends_the_stop_signal_and_waits(host: ActorHost, place: Place) -> None:
    child = started(host, replace(place.spec(), stop_signal=signal.SIGINT))
    pid = process_of(child)
    assert child.ask(Stop(5.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
    assert not is_alive(pid)
    assert place.log.endswith("SIGINT\n")


def test_stop_kills_a_process_that_ignores_its_signal(host: ActorHost, place: Place) -> None:
    times = replace(TIMES, stop_timeout_s=0.2)
    child = started(host, replace(place.spec("stubborn"), times=times))
    pid = process_of(child)
    assert child.ask(Stop(5.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
    assert not is_alive(pid)
    assert place.log.endswith("SIGTERM\n")


def test_stop_while_not_ready_ends_the_process(host: ActorHost, place: Place) -> None:
    never = TcpOpen(str(place.folder / "nobody"))
    child = start_child(host, PortActor, spec=replace(place.spec(), ready=never))
    child.tell(Begin())
    pid = wait_for(child, lambda s: s.pid is not None, "no process").pid
    wait_until(lambda: "hello" in place.log, "its handlers are not set")
    assert pid is not None
    assert child.ask(Stop(5.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
    assert not is_alive(pid)


def test_process_of_a_killed_actor_gets_its_death_signal(host: ActorHost, place: Place) -> None:
    child = started(host, replace(place.spec(), death_signal=signal.SIGINT))
    pid = process_of(child)
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the process lives on", 1.0)
    assert place.log.endswith("SIGINT\n")


def test_children_a_process_leaves_are_killed(host: ActorHost, place: Place) -> None:
    child = started(host, place.spec("forking"))
    left = int(place.log.split()[1])
    assert is_alive(left)
    os.kill(process_of(child), signal.SIGKILL)
    wait_until(lambda: not is_alive(left), "the process left a child")


def test_missing_executable_refuses_the_start(host: ActorHost, place: Place) -> None:
    child = start_child(host, PortActor, spec=replace(place.spec(), argv=("/nowhere/x",)))
    refused = child.ask(Begin())
    assert isinstance(refused, StartRefused)
    assert refused.reason.startswith("ProcessNotMade: /nowhere/x: ")
    assert "No such file" in refused.reason
    assert host.listen(5.0) == ChildDown(child.pid, INCARNATION, ExitCode.START_REFUSED)


def append_pid(path: Path, pid: int) -> None:
    with path.open("a") as file:
        file.write(f"{pid}\n")


def test_each_start_and_end_is_told_with_its_pid(host: ActorHost, place: Place) -> None:
    note = place.folder / "pids"
    spec = replace(
        place.spec(),
        before_start=partial(append_pid, note, 0),
        on_started=partial(append_pid, note),
        on_ended=partial(append_pid, note),
    )
    child = started(host, spec)
    first = process_of(child)
    os.kill(first, signal.SIGKILL)
    second = wait_for(child, lambda s: s.healthy and s.restarts == 1, "not started again").pid
    assert child.ask(Stop(5.0)) == ChildDown(child.pid, INCARNATION, ExitCode.NORMAL)
    assert note.read_text().split() == [str(pid) for pid in (0, first, first, 0, second, second)]


def test_note_that_cannot_be_written_does_not_end_the_process(
    host: ActorHost, place: Place
) -> None:
    note = place.folder / "no" / "such" / "folder"
    child = started(host, replace(place.spec(), on_started=partial(append_pid, note)))
    assert status_of(child).healthy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as somebody else")
def test_process_runs_as_another_user_and_still_gets_its_death_signal(
    host: ActorHost, place: Place
) -> None:
    nobody = pwd.getpwnam("nobody")
    place.folder.chmod(0o777)
    sleeper = replace(
        place.spec(),
        argv=(shutil.which("sleep") or "sleep", "600"),
        run_as=(nobody.pw_uid, nobody.pw_gid),
        ready=Check(ready_at_once),
    )
    child = started(host, sleeper)
    pid = process_of(child)
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the process lives on", 1.0)


def ready_at_once() -> bool:
    return True


async def ready_when_there(path: Path) -> bool:
    if path.with_name("broken").exists():
        raise ValueError("on purpose")
    return path.exists()


def test_check_that_raises_or_says_no_is_no_readiness(host: ActorHost, place: Place) -> None:
    flag, broken = place.folder / "flag", place.folder / "broken"
    check = Check(partial(ready_when_there, flag))
    child = start_child(host, PortActor, spec=replace(place.spec(), ready=check))
    assert child.ask(Begin(), 0.2) is None
    flag.touch()
    assert host.listen(5.0) == Started(child.pid, INCARNATION)
    broken.touch()
    wait_for(child, lambda s: not s.healthy, "not seen to be unready")
    broken.unlink()
    wait_for(child, lambda s: s.healthy, "not seen to be ready again")


def test_port_describes_itself(host: ActorHost, place: Place) -> None:
    child = started(host, place.spec())
    facts = {
        "service": "sample",
        "phase": "up",
        "process": process_of(child),
        "healthy": True,
        "restarts": 0,
        "last_exit": None,
    }
    assert child.ask(Describe()) == Description(("top", "child"), child.pid, facts)
