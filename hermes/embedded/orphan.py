"""Stop what a killed daemon left running: by pid and start time, never by name."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from hermes.embedded.state_file import ProcessRecord, is_alive, start_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from hermes.embedded.state_file import StateFile

_AFTER_KILL_S = 5.0
_LEFTOVER_S = 1.0


@dataclass(frozen=True, slots=True)
class StoppedOrphan:
    """An orphan that was stopped; killed tells that its own stop signal did not do."""

    name: str
    pid: int
    killed: bool


def stop_orphans(
    file: StateFile,
    progress: Callable[[str], None] = lambda _: None,
    spare: Collection[int] = (),
) -> tuple[StoppedOrphan, ...]:
    """Stop every recorded process that is still alive and return those that were.

    Call it with the data directory locked: whoever still runs then has lost its daemon. Processes
    of Hermes go first, since they start services again; all of one kind stop at the same time,
    each within its own stop timeout and then by SIGKILL. This process and the pids in spare are
    left alone (a daemon that is recorded, when its restarted child calls).
    """
    records = file.read(progress).processes.values()
    spared = {os.getpid(), *spare}
    stopped: list[StoppedOrphan] = []
    for kind in ("hermes", "service"):
        alive = [r for r in records if r.kind == kind and r.pid not in spared and is_alive(r)]
        for record in alive:
            progress(f"stopping {record.name} (pid {record.pid}), left by an earlier daemon")
        stopped.extend(_stop_all(alive))
    file.drop_ended()
    return tuple(stopped)


def end_leftovers(title: str) -> tuple[int, ...]:
    """End every process whose command line begins with title and return their pids.

    For server processes of a PostgreSQL whose postmaster is gone, before it starts again: one that
    computes does not notice and holds the shared memory, so the start fails until it is done.
    """
    wanted = title.encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            started = start_time(int(entry.name))
            if started is not None and (entry / "cmdline").read_bytes().startswith(wanted):
                found.append(
                    ProcessRecord(
                        title, int(entry.name), started, "service", signal.SIGQUIT, _LEFTOVER_S
                    )
                )
    return tuple(orphan.pid for orphan in _stop_all(found))


def _stop_all(records: Iterable[ProcessRecord]) -> list[StoppedOrphan]:
    waiting: list[tuple[ProcessRecord, int, float]] = []
    for record in records:
        descriptor = _signalled(record)
        if descriptor is not None:
            waiting.append((record, descriptor, monotonic() + record.stop_timeout_s))
    stopped = []
    for record, descriptor, deadline in waiting:
        ended = _ended(descriptor, deadline)
        if not ended:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            _ended(descriptor, monotonic() + _AFTER_KILL_S)
        os.close(descriptor)
        stopped.append(StoppedOrphan(record.name, record.pid, not ended))
    return stopped


def _signalled(record: ProcessRecord) -> int | None:
    """Send the stop signal and return a pidfd to wait with, None if the process is gone."""
    try:
        descriptor = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return None
    # looked at again once the pidfd pins the process: its pid cannot be reused under our hands
    if is_alive(record):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, record.stop_signal)
            return descriptor
    os.close(descriptor)
    return None


def _ended(descriptor: int, deadline: float) -> bool:
    """Wait for the process's end until the deadline (monotonic seconds)."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - monotonic()) * 1000))
