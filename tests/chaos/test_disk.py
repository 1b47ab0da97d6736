"""The data directory's disk full for ten seconds under load."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.row import Keep, Row
from tests.chaos.stand import Load, Options, running_stand

pytestmark = pytest.mark.chaos

SIZE_MB = 640
FULL_FOR = 10.0
CHUNK = 2**20
SETTINGS = {"HERMES_HOST__MIN_FREE_MB": "64", "HERMES_RESTATE__ENABLED": "false"}


class NoMount(Exception):
    """A small filesystem cannot be mounted here; holds why."""


async def test_disk_full(options: Options, say: Callable[[str], None], keep: Keep) -> None:
    each = options.seconds
    try:
        with (
            small_disk() as disk,
            running_stand(options, say, SETTINGS, data=disk) as stand,
        ):

            async def strike(load: Load) -> None:
                await load.until(0.2 * each)
                filled = await asyncio.to_thread(fill, disk)
                load.strike("disk full", None)
                say(f"  {filled / 2**20:.0f} MB filled")
                for _ in range(int(FULL_FOR)):  # what is freed meanwhile is filled too
                    await asyncio.sleep(1.0)
                    await asyncio.to_thread(fill, disk)
                await asyncio.to_thread(free, disk)
                load.strike("disk free again")

            row = await stand.row("disk-full", strike, FULL_FOR + 2 * each)
    except NoMount as refusal:
        row = Row(id="disk-full", skipped=str(refusal))
    keep(row)


@contextmanager
def small_disk() -> Iterator[Path]:
    """Mount a small tmpfs, and take it away afterwards. Raises NoMount."""
    if os.geteuid() != 0:
        raise NoMount("mounting a small disk needs root")
    place = Path(tempfile.mkdtemp(prefix="hermes-disk-"))
    place.chmod(0o755)
    disk = place / "data"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0755", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        shutil.rmtree(place)
        raise NoMount(f"mount refuses: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
        shutil.rmtree(place, ignore_errors=True)


def fill(disk: Path) -> int:
    """Leave no free byte; give how many were taken now."""
    taken = 0
    with (disk / "ballast").open("ab") as ballast:
        size = os.fstat(ballast.fileno()).st_size
        step = CHUNK
        while step >= 4096:
            try:
                os.posix_fallocate(ballast.fileno(), size + taken, step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                step //= 2
            else:
                taken += step
    return taken


def free(disk: Path) -> None:
    """Give the space back."""
    (disk / "ballast").unlink()
