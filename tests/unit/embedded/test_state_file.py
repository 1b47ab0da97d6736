"""The state file: atomic, private, and never wrong about whose pid it is."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from hermes.embedded.orphan import StoppedOrphan, stop_orphans
from hermes.embedded.state_file import (
    Kind,
    ProcessRecord,
    State,
    StateFile,
    boot_id,
    is_alive,
    start_time,
)

Shell = subprocess.Popen[bytes]


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.json")


@pytest.fixture
def shells() -> Iterator[list[Shell]]:
    """Processes a test starts; ended with it."""
    started: list[Shell] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def _shell(shells: list[Shell], script: str) -> Shell:
    """Run a shell script that says one line when it is ready."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    shells.append(process)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def _record(
    name: str, pid: int, *, kind: Kind = "service", stop: int = signal.SIGTERM, wait: float = 5.0
) -> ProcessRecord:
    return ProcessRecord(name, pid, start_time(pid) or "0", kind, stop, wait)


POLITE = "echo up; read line"
STUBBORN = "trap '' TERM INT; echo up; read line"
ONLY_USR1 = "trap '' TERM; trap 'exit 7' USR1; echo up; while :; do read line || exit 9; done"


def test_empty_state_has_nothing(file: StateFile) -> None:
    assert file.read() == State(boot_id=boot_id())


def test_what_is_recorded_is_read_and_private(file: StateFile) -> None:
    record = ProcessRecord("nats", 7, "11", "service", 15, 1.5, "127.0.0.1:4", "2.15.1", "/b/nats")
    file.record(record)
    file.keep_ports({"nats": 4})
    file.keep_ports({"cascade": 5})
    assert file.read() == State(boot_id(), {"nats": 4, "cascade": 5}, {"nats": record})
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_forgetting_is_for_the_recorded_pid_alone(file: StateFile) -> None:
    file.record(_record("nats", 7))
    file.forget("nats", 6)  # an older process of that name, reported late
    assert "nats" in file.read().processes
    file.forget("nats", 7)
    file.forget("nats", 7)
    assert file.read().processes == {}


def test_changes_from_many_sides_are_all_kept(file: StateFile) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: file.record(_record(f"p{n}", n)), range(1, 25)))
    assert len(file.read().processes) == 24


def test_processes_of_an_earlier_boot_are_nobodys_but_ports_stay(file: StateFile) -> None:
    old = State("another-boot", {"nats": 4}, {"nats": _record("nats", os.getpid())})
    file.path.write_bytes(msgspec.json.encode(old))
    assert file.read() == State(boot_id(), {"nats": 4}, {})


def test_unreadable_file_is_moved_aside_with_a_notice(file: StateFile) -> None:
    file.path.write_text('{"ports": [')
    notices: list[str] = []
    assert file.read(notices.append) == State(boot_id=boot_id())
    assert "cannot be read" in notices[0]
    assert file.path.with_name("state.json.unreadable").read_text() == '{"ports": ['


def test_fields_of_a_later_version_are_ignored(file: StateFile) -> None:
    file.path.write_text(f'{{"boot_id": "{boot_id()}", "ports": {{"a": 1}}, "later": 1}}')
    assert file.read().ports == {"a": 1}


def test_start_time_tells_a_process_from_none_and_from_a_zombie(shells: list[Shell]) -> None:
    process = _shell(shells, POLITE)
    assert is_alive(_record("x", process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped
    assert start_time(process.pid) is None
    process.wait()
    assert start_time(process.pid) is None


def test_pid_with_another_start_time_is_another_process(shells: list[Shell]) -> None:
    process = _shell(shells, POLITE)
    stranger = msgspec.structs.replace(_record("x", process.pid), start_time="1")
    assert not is_alive(stranger)


def test_orphans_get_their_own_stop_signal(file: StateFile, shells: list[Shell]) -> None:
    first, second = _shell(shells, POLITE), _shell(shells, ONLY_USR1)
    file.record(_record("nats", first.pid))
    file.record(_record("postgres", second.pid, stop=signal.SIGUSR1))
    said: list[str] = []
    assert stop_orphans(file, said.append) == (
        StoppedOrphan("nats", first.pid, killed=False),
        StoppedOrphan("postgres", second.pid, killed=False),
    )
    assert said[0] == f"stopping nats (pid {first.pid}), left by an earlier daemon"
    assert (first.wait(), second.wait()) == (-signal.SIGTERM, 7)
    assert file.read().processes == {}


def test_orphan_that_does_not_stop_in_time_is_killed(file: StateFile, shells: list[Shell]) -> None:
    process = _shell(shells, STUBBORN)
    file.record(_record("valkey", process.pid, wait=0.1))
    assert stop_orphans(file) == (StoppedOrphan("valkey", process.pid, killed=True),)
    assert process.wait() == -signal.SIGKILL


def test_orphans_are_waited_for_together(file: StateFile, shells: list[Shell]) -> None:
    for n in range(4):
        file.record(_record(f"s{n}", _shell(shells, STUBBORN).pid, wait=0.5))
    begun = monotonic()
    assert len(stop_orphans(file)) == 4
    assert monotonic() - begun < 1.5


def test_processes_of_hermes_go_before_the_services_they_would_start_again(
    file: StateFile, shells: list[Shell]
) -> None:
    file.record(_record("nats", _shell(shells, POLITE).pid))
    file.record(_record("daemon", _shell(shells, POLITE).pid, kind="hermes"))
    assert [orphan.name for orphan in stop_orphans(file)] == ["daemon", "nats"]


def test_strangers_and_this_process_are_left_alone(file: StateFile, shells: list[Shell]) -> None:
    stranger = _shell(shells, POLITE)
    file.record(msgspec.structs.replace(_record("nats", stranger.pid), start_time="1"))
    file.record(_record("gone", 2**22 + 1))
    file.record(_record("app", os.getpid(), kind="hermes"))
    spared = _shell(shells, POLITE)
    file.record(_record("daemon", spared.pid, kind="hermes"))
    assert stop_orphans(file, spare=(spared.pid,)) == ()
    assert (stranger.poll(), spared.poll()) == (None, None)
    assert list(file.read().processes) == ["app", "daemon"]
