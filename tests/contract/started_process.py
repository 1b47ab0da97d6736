"""A module of ours run as a process, which says on one line where it listens."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def started(module: str, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m module` with these options."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # also reads both pipes to their ends, which closes them
        await process.communicate()


async def ready(process: asyncio.subprocess.Process, line: re.Pattern[str]) -> tuple[int, str]:
    """The two groups of its ready line, once it listens: a port and the URL of the control API."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        said = (await process.stdout.readline()).decode()
    match = line.match(said)
    assert match, said
    return int(match[1]), match[2]
