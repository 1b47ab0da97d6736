"""The clock of Hermes' processes stepped by an hour, forward and back, under load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.row import Keep, Row
from tests.chaos.stand import Load, Options, running_stand

pytestmark = pytest.mark.chaos

LIBRARY = "HERMES_CHAOS_FAKETIME"
PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
HOUR = 3600
CACHED_S = 1
NOTE = "Hermes' own processes see the step; the services, whose environment is their own, do not"


async def test_clock_stepped(
    options: Options, say: Callable[[str], None], keep: Keep, tmp_path: Path
) -> None:
    library = find_library()
    if library is None:
        why = f"libfaketime is not installed (apt-get install libfaketime), nor named by {LIBRARY}"
        keep(Row(id="clock-stepped", skipped=why))
        return
    each = options.seconds
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": str(CACHED_S),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running_stand(options, say, env) as stand:

        async def strike(load: Load) -> None:
            for step, seconds in enumerate((HOUR, 0, -HOUR, 0)):
                await load.until((step + 0.3) * each)
                offset.write_text(f"{seconds:+d}\n")
                load.strike(f"clock at {seconds:+d} s")

        row = await stand.row("clock-stepped", strike, 4 * each, notes=(NOTE,))
    keep(row)


def find_library() -> Path | None:
    """Find libfaketime where distributions put it, or where the environment says."""
    if named := os.environ.get(LIBRARY):
        return Path(named)
    found = (
        path for place in PLACES for path in Path(place).glob("**/faketime/libfaketimeMT.so.1")
    )
    return next(found, None)
