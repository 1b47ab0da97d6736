"""Memory and open files of every process of a daemon over time, and whether they grow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, mean
from typing import Any

from bench.processes import children_of
from hermes.testing.daemon_process import DaemonProcess
from tests.chaos.row import Footprint
from tests.chaos.victims import parent_of, starter_of

POSTGRES = "root/services/postgres process"
LISTENING = "0A"
ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Size:
    """One process at one time: memory of its own (MB, anonymous) and open files."""

    memory_mb: float
    files: int


Sample = dict[str, Size]


def named(daemon: DaemonProcess) -> dict[str, int]:
    """Name every process of a daemon by its place in the tree."""
    assert daemon.process is not None
    tree = daemon.tree()
    found = dict(of_tree(tree))
    if "root" in found:
        found["thespian admin"] = parent_of(found["root"])
    if starter := starter_of(daemon):
        found["starter"] = starter
    found["hermesd"] = daemon.process.pid
    return found


def of_tree(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Give name and pid of every actor and OS process below a node."""
    if node.get("pid"):
        yield node["path"], int(node["pid"])
    if process := (node.get("facts") or {}).get("process"):
        yield f"{node['path']} process", int(process)
    for child in node.get("children", ()):
        yield from of_tree(child)


def sample(pids: Mapping[str, int], clients_port: int) -> Sample:
    """Read every process now; PostgreSQL with its backends. What is gone is left out.

    Of PostgreSQL's files the backend with the most counts: how many backends there are is bounded
    by the pools, and each keeps open what it has met of the ledger's tables.
    Connections of clients to `clients_port` are not counted: how many they hold is their affair.
    """
    theirs = connections_to(clients_port)
    sizes = {name: size_of(pid, theirs) for name, pid in pids.items()}
    if POSTGRES in pids:
        backends = [size_of(pid, theirs) for pid in children_of(pids[POSTGRES])]
        parts = [size for size in (sizes[POSTGRES], *backends) if size is not None]
        sizes[POSTGRES] = Size(sum(p.memory_mb for p in parts), max(p.files for p in parts))
    return {name: size for name, size in sizes.items() if size is not None}


def connections_to(port: int) -> frozenset[str]:
    """Give what the open connections to a local port are called among a process's files."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return frozenset(
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] != LISTENING and int(row[1].partition(":")[2], 16) == port
    )


def size_of(pid: int, uncounted: frozenset[str] = frozenset()) -> Size | None:
    """Read one process; None when it is gone."""
    proc = Path(f"/proc/{pid}")
    try:
        found = ANONYMOUS.search(proc.joinpath("status").read_text())
        files = sum(name_of(file) not in uncounted for file in proc.joinpath("fd").iterdir())
    except OSError:
        return None
    return None if found is None else Size(int(found[1]) / 1024, files)


def name_of(file: Path) -> str:
    """Say what an open file is, "" if it was closed meanwhile."""
    try:
        return str(file.readlink())
    except OSError:
        return ""


def footprints(samples: Sequence[tuple[float, Sample]]) -> Iterator[Footprint]:
    """Fit each process over the second half of the samples (seconds, sizes)."""
    half = samples[len(samples) // 2 :]
    for name in sorted(half[0][1]):
        taken = [(at, sizes[name]) for at, sizes in half if name in sizes]
        if len(taken) < 4:
            continue
        times = [at for at, _ in taken]
        memory = [size.memory_mb for _, size in taken]
        files = [float(size.files) for _, size in taken]
        slope, _ = linear_regression(times, memory)
        quarter = len(files) // 4
        yield Footprint(
            process=name,
            memory_mb=round(memory[-1], 1),
            slope_mb_per_h=round(slope * 3600, 2),
            grown_mb=round(slope * (times[-1] - times[0]), 3),
            files=mean(files[-quarter:]),
            files_grown=round(mean(files[-quarter:]) - mean(files[:quarter]), 2),
        )
