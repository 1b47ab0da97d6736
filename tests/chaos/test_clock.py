"""The clock of Hermes' processes stepped by an hour, forward and back, under load.

The machine's clock is never touched: the processes are given one of their own.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.chaos.pacer import Pacer
from tests.chaos.row import Keep, Row
from tests.chaos.stand import Load, Options, Stand, running_stand
from tests.chaos.verdict import views_of

pytestmark = pytest.mark.chaos

SOURCE = Path(__file__).with_name("wall_clock.c")
HOUR = 3600
NOTE = "Hermes' own processes see the step; the stores, whose environment is their own, do not"


class NoClock(Exception):
    """The stepped clock cannot be made here; holds why."""


async def test_clock_stepped(
    options: Options, say: Callable[[str], None], keep: Keep, tmp_path: Path
) -> None:
    try:
        library = built(tmp_path)
    except NoClock as refusal:
        keep(Row(id="clock-stepped", skipped=str(refusal)))
        return
    each = options.seconds
    offset = tmp_path / "offset"
    step(offset, 0)
    env = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": str(offset)}
    seen: list[float] = []
    with running_stand(options, say, env) as stand:

        async def strike(load: Load) -> None:
            for place, seconds in enumerate((HOUR, 0, -HOUR, 0)):
                await load.until((place + 0.3) * each)
                step(offset, seconds)
                load.strike(f"clock at {seconds:+d} s")
                await asyncio.sleep(0.2 * each)
                seen.append(await skew(stand, load.pacer))

        row = await stand.row("clock-stepped", strike, 4 * each, notes=(NOTE,))
    if [round(found / HOUR) for found in seen] != [1, 0, -1, 0]:
        row = replace(row, faults=(*row.faults, f"the clocks were off by {seen} s: no step"))
    keep(row)


async def skew(stand: Stand, pacer: Pacer) -> float:
    """Give how many seconds the daemon's clock is off, by the last message it accepted."""
    last = max(pacer.accepted.values(), key=lambda accepted: accepted.at)
    view = (await views_of(stand.daemon, [last.id]))[last.id]
    return round(datetime.fromisoformat(view["accepted_at"]).timestamp() - last.at, 1)


def built(folder: Path) -> Path:
    """Compile the clock; give the library. Raises NoClock."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoClock("the stepped clock needs a C compiler (apt-get install gcc libc6-dev)")
    library = folder / "wall_clock.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoClock(f"the stepped clock does not compile: {done.stderr.strip()[:200]}")
    return library


def step(offset: Path, seconds: int) -> None:
    """Set the clock so many seconds off; processes that have mapped the file see it at once."""
    with offset.open("r+b" if offset.exists() else "wb") as file:
        file.write(seconds.to_bytes(8, "little", signed=True))
