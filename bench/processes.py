"""Which processes a daemon has, by kind, and the CPU seconds and memory each kind takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import TICKS
from hermes.testing.daemon_process import DaemonProcess

SUPERVISORS = "supervisors, admin"
HERMESD = "hermesd"
POSTGRES = "PostgreSQL"
SIMULATOR = "simulator"
CLIENT = "client"
LEAVES: Mapping[str, str] = {
    "frontdoor": "front door",
    "stage": "carrier stage",
    "receipt": "receipt stage",
    "nats": "NATS",
    "valkey": "Valkey",
    "postgres": POSTGRES,
    "restate": "Restate",
    "admin": SUPERVISORS,
    "cascade": "cascade endpoint",
}
"""Leaf ids of the tree, without their number, that are shown under another name."""

OTHERS = ("NATS", "Valkey", POSTGRES, "Restate", SIMULATOR, CLIENT)
"""Kinds that are not Hermes' own processes."""

ORDER = (
    "front door",
    "intake",
    "carrier stage",
    "bind",
    "receipt stage",
    "recorder",
    "cascade endpoint",
    "outcome",
    "webhook",
    "sweeper",
    SUPERVISORS,
    HERMESD,
    *OTHERS,
)


class ProcessGone(Exception):
    """A process of the daemon ended while it was measured."""


@dataclass(frozen=True)
class Usage:
    """CPU seconds by kind since each process began."""

    seconds: Mapping[str, float]

    def since(self, before: Usage) -> dict[str, float]:
        """Give what was used in between."""
        return {kind: total - before.seconds.get(kind, 0.0) for kind, total in self.seconds.items()}


@dataclass
class Processes:
    """The processes of a running daemon and whatever works beside it.

    `not_counted` are children of PostgreSQL that serve the bench itself.
    """

    kinds: dict[int, str]
    not_counted: set[int] = field(default_factory=set)

    def add(self, kind: str, pid: int) -> None:
        """Count another process."""
        self.kinds[pid] = kind

    def usage(self) -> Usage:
        """Read the CPU seconds now. Raises ProcessGone."""
        seconds: dict[str, float] = defaultdict(float)
        for pid, kind in self.kinds.items():
            own, children = cpu_seconds(pid, kind)
            seconds[kind] += own
            if kind == POSTGRES:  # backends come and go; the postmaster inherits their time
                seconds[kind] += children + self.backends(pid)
        return Usage(dict(seconds))

    def backends(self, postmaster: int) -> float:
        """Give the CPU seconds of PostgreSQL's live children."""
        total = 0.0
        for pid in children_of(postmaster):
            if pid not in self.not_counted:
                try:
                    total += cpu_seconds(pid, POSTGRES)[0]
                except ProcessGone:
                    continue
        return total

    def hermes_count(self) -> int:
        """Count Hermes' own processes."""
        return sum(kind not in OTHERS for kind in self.kinds.values())

    def memory_mb(self) -> dict[str, float]:
        """Give the proportional set size by kind, in MB. Raises ProcessGone."""
        sizes: dict[str, float] = defaultdict(float)
        for pid, kind in self.kinds.items():
            sizes[kind] += pss_mb(pid, kind)
            if kind == POSTGRES:
                others = set(children_of(pid)) - self.not_counted
                sizes[kind] += sum(pss_mb(child, kind) for child in others)
        return dict(sizes)


def processes_of(daemon: DaemonProcess) -> Processes:
    """Name every process of a daemon by what the supervision tree says of it."""
    assert daemon.process is not None
    kinds = dict(named(daemon.tree()))
    kinds[daemon.process.pid] = HERMESD
    for child in children_of(daemon.process.pid):
        kinds[child] = HERMESD
    for pid in daemon.pids():
        known = pid in kinds or parent_of(pid) in {p for p, k in kinds.items() if k == POSTGRES}
        if not known:
            kinds[pid] = SUPERVISORS  # the actor system's own
    return Processes(kinds)


def named(node: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Give pid and kind of everything below a node of the tree."""
    pid, process = node.get("pid"), (node.get("facts") or {}).get("process")
    leaf = re.sub(r"-\d+$", "", str(node["id"]))
    kind = LEAVES.get(leaf, leaf)
    if process is not None:
        yield int(process), kind
    if pid is not None:
        is_stage = node["type"] == "worker" and process is None
        yield int(pid), kind if is_stage else SUPERVISORS
    for child in node.get("children", ()):
        yield from named(child)


def in_order(kinds: Iterable[str]) -> list[str]:
    """Sort kinds as they are shown: along the way of a message, then the services."""
    known = {kind: place for place, kind in enumerate(ORDER)}
    first_other = known[OTHERS[0]]
    return sorted(kinds, key=lambda kind: (known.get(kind, first_other - 1), kind))


def hermes_sum(by_kind: Mapping[str, float]) -> float:
    """Sum over Hermes' own processes."""
    return sum(value for kind, value in by_kind.items() if kind not in OTHERS)


def stat_of(pid: int) -> list[str]:
    """Give the fields of /proc/<pid>/stat behind the name (proc(5), from `state` on)."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid: int, kind: str) -> tuple[float, float]:
    """Give the CPU seconds of a process and of its children that ended. Raises ProcessGone."""
    try:
        times = [int(ticks) / TICKS for ticks in stat_of(pid)[11:15]]
    except OSError as error:
        raise ProcessGone(f"{kind} {pid} ended while it was measured") from error
    return times[0] + times[1], times[2] + times[3]


def pss_mb(pid: int, kind: str) -> float:
    """Give the proportional set size of a process in MB. Raises ProcessGone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError as error:
        raise ProcessGone(f"{kind} {pid} ended while it was measured") from error
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def parent_of(pid: int) -> int:
    """Give the parent's pid; 0 when the process is gone."""
    try:
        return int(stat_of(pid)[1])
    except OSError:
        return 0


def children_of(parent: int) -> list[int]:
    """List the live children of a process."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if parent_of(pid) == parent and stat_of_is_live(pid)]


def stat_of_is_live(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        return stat_of(pid)[0] not in "ZX"
    except OSError:
        return False
