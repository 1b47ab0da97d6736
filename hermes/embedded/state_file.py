"""The state file: which processes this data directory's daemon started, and its ports."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from hermes.embedded.private_file import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["service", "hermes"]


class ProcessRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """One process. start_time is /proc/<pid>/stat's field 22: a pid alone may be anybody's.

    kind "service" is NATS, Valkey, PostgreSQL or Restate, "hermes" a process of Hermes' own.
    """

    name: str
    pid: int
    start_time: str
    kind: Kind
    stop_signal: int
    stop_timeout_s: float
    where: str = ""
    version: str = ""
    binary: str = ""


class State(msgspec.Struct, frozen=True):
    """Contents of the state file. boot_id tells start times of another boot apart."""

    boot_id: str = ""
    ports: dict[str, int] = msgspec.field(default_factory=dict)
    processes: dict[str, ProcessRecord] = msgspec.field(default_factory=dict)


def boot_id() -> str:
    """Return the kernel's id of this boot, or "" where it has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def start_time(pid: int) -> str | None:
    """Return when pid started, in ticks since boot; None: no such process, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    # where pid 1 does not reap, dead orphans stay as zombies
    return None if fields[0] in "ZX" else fields[19]


def is_alive(record: ProcessRecord) -> bool:
    """Tell whether the recorded process itself, not a successor under its pid, is alive."""
    return start_time(record.pid) == record.start_time


class StateFile:
    """Reads and changes `run/state.json` (0600); every change is atomic, also among processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, notice: Callable[[str], None] = lambda _: None) -> State:
        """Return the state; records of an earlier boot are left out.

        A file that cannot be understood is moved aside, after a notice, and counts as empty.
        """
        try:
            state = msgspec.json.decode(self.path.read_bytes(), type=State)
        except FileNotFoundError:
            return State(boot_id=boot_id())
        except msgspec.MsgspecError as error:
            aside = self.path.with_name(f"{self.path.name}.unreadable")
            with suppress(FileNotFoundError):  # another process moved it
                self.path.replace(aside)
            notice(f"{self.path} cannot be read ({error}): moved to {aside}, started anew")
            return State(boot_id=boot_id())
        if state.boot_id != boot_id():
            return State(boot_id=boot_id(), ports=state.ports)
        return state

    def record(self, record: ProcessRecord) -> None:
        """Keep the process under its name, in place of an earlier one."""
        with self._changing() as state:
            state.processes[record.name] = record

    def forget(self, name: str, pid: int) -> None:
        """Drop the process if that pid is still the one recorded under its name."""
        with self._changing() as state:
            kept = state.processes.get(name)
            if kept is not None and kept.pid == pid:
                del state.processes[name]

    def drop_ended(self) -> None:
        """Drop every process that is no longer alive."""
        with self._changing() as state:
            for record in [r for r in state.processes.values() if not is_alive(r)]:
                del state.processes[record.name]

    def keep_ports(self, ports: Mapping[str, int]) -> None:
        """Keep ports to be preferred at the next start; others already kept stay."""
        with self._changing() as state:
            state.ports.update(ports)

    @contextmanager
    def _changing(self) -> Iterator[State]:
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            state = self.read()
            before = msgspec.json.encode(state)
            yield state
            after = msgspec.json.encode(state)
            if after != before:
                write_private(self.path, msgspec.json.format(after, indent=1).decode() + "\n")
        finally:
            os.close(descriptor)
