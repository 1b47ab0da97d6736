"""Which machine and which commit the figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.report import Machine
from hermes.testing.daemon_process import pause

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
QUIET_CORES: Final = 0.3
"""Other work on the machine above this makes rates too low to be judged."""
LOOK_S: Final = 3.0


def this_machine() -> Machine:
    """Describe the machine as it is now."""
    return Machine(
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        kernel=platform.release(),
        python=platform.python_version(),
        data_filesystem=filesystem_of(tempfile.gettempdir()),
        load_average=os.getloadavg(),
    )


def cpu_model() -> str:
    """Give the processor's name, or the architecture where the kernel tells none."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def filesystem_of(path: str) -> str:
    """Give the type of the filesystem a path lies on: what a commit has to wait for."""
    best = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]


def commit() -> tuple[str, bool]:
    """Give the short commit and whether files but results differ from it; "unknown" outside git."""
    name = git("rev-parse", "--short", "HEAD")
    if name is None:
        return "unknown", False
    return name, bool(git("status", "--porcelain", "--", ".", ":!bench/results"))


def git(*words: str) -> str | None:
    """Ask git, which must not write even its index; None when it fails."""
    command = ["git", "--no-optional-locks", *words]
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def utc_now() -> str:
    """Give the date and time to the second, as 2025-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def machine_seconds() -> tuple[float, float]:
    """Give the CPU seconds the whole machine has worked, and those stolen from it."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, stolen = (int(n) / TICKS for n in first)
    return user + nice + system + irq + softirq, stolen


def wait_until_quiet(within_s: float, say: Callable[[str], None]) -> bool:
    """Wait for a machine that does little else; False when it did not come within that time."""
    ends = time.monotonic() + within_s
    while True:
        before, _ = machine_seconds()
        pause(LOOK_S)
        cores = (machine_seconds()[0] - before) / LOOK_S
        if cores <= QUIET_CORES:
            return True
        if time.monotonic() > ends:
            return False
        say(f"waiting for a quiet machine: others use {cores:.2f} cores")
