"""Crash points: kill this very process at a named place, once; in test builds only.

A test build says `HERMES_TEST_BUILD=1` in its environment. There `HERMES_CRASH_AT=<point>:<n>`
kills the process that passes the point for the n-th time, and a file `crash/<point>` in the run
directory, with n in it, does the same for a daemon that runs already.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

POINTS: Final = (
    "after_commit",
    "after_intake",
    "after_jobs",
    "after_claim",
    "after_write",
    "after_resp",
    "after_correlation",
    "after_event",
    "before_ack",
    "after_inbound",
    "before_deliver_resp",
    "after_outcome",
)
CASCADE_POINTS: Final = ("after_start", "after_place", "after_dispatch", "after_tell")
"""Those only a plan of several steps passes."""

_folder: Path | None = None
_passed: dict[str, int] = {}


def arm(run_dir: str) -> None:
    """Make this process mind its crash points; does nothing but in a test build."""
    global _folder
    if os.environ.get("HERMES_TEST_BUILD") != "1":
        return
    _folder = Path(run_dir) / "crash"
    _folder.mkdir(exist_ok=True)
    point, _, count = os.environ.get("HERMES_CRASH_AT", "").partition(":")
    done = _folder / f"{point}.done"
    if point in (*POINTS, *CASCADE_POINTS) and not done.exists():
        (_folder / point).write_text(count or "1")


def at(point: str, times: int = 1) -> None:
    """Pass a crash point `times` times."""
    if _folder is not None:
        _look(_folder, point, times)


def _look(folder: Path, point: str, times: int) -> None:
    armed = folder / point
    try:
        count = int(armed.read_text())
    except (FileNotFoundError, ValueError):
        _passed.pop(point, None)
        return
    _passed[point] = _passed.get(point, 0) + times
    if _passed[point] >= count:
        with contextlib.suppress(FileNotFoundError):
            armed.rename(folder / f"{point}.done")
            os.kill(os.getpid(), signal.SIGKILL)
