"""Real actor systems for tests: private Admin ports, waiting on conditions, nothing left over."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hermes.actor_system import ActorHost, start_system


def free_port() -> int:
    """Return a loopback port nobody listens on, outside the range the kernel hands out."""
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@contextmanager
def running_host(log_dir: Path) -> Iterator[ActorHost]:
    """Start an actor system; at the end it must stop by itself and leave no process."""
    host = start_system(free_port(), log_dir / "thespian.log")
    tree = {host.admin_pid}
    try:
        yield host
        tree |= descendants(host.admin_pid)
    finally:
        stopped = host.stop()
    assert stopped, "the Admin had to be killed"
    wait_until(lambda: not any(is_alive(pid) for pid in tree), "a process outlived its system")


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 5.0) -> None:
    """Wait until the condition holds; fail with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"{what} (waited {deadline_s} s)"
        pause.wait(0.01)


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    return stat_fields(pid)[:1] not in ([], ["Z"])


def stat_fields(pid: int) -> list[str]:
    """Return /proc/<pid>/stat from the state on, [] without such a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def descendants(pid: int) -> set[int]:
    """Return the pids of all living descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level} - found
        found |= level
    return found
