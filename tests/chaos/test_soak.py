"""Twenty minutes of steady load: nothing grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import pytest
from msgspec.structs import replace
from yarl import URL

from tests.chaos.footprint import POSTGRES, Sample, footprints, named, sample
from tests.chaos.row import Footprint, Keep, Report
from tests.chaos.stand import Load, Options, Stand, running_stand

pytestmark = pytest.mark.chaos

EVERY = 5.0
SAID_EVERY = 60.0
MOST_GROWN_MB = 5.0  # over the second half: 30 MB an hour in twenty minutes
MOST_GROWN_OF = {
    "root/services/nats process": 20.0,  # its heap breathes with Go's collector
    POSTGRES: 30.0,  # the caches of some twenty backends
}
MOST_FILES_GROWN = 4.0
MOST_FILES_GROWN_OF = {POSTGRES: 10.0}  # a backend opens a table as it first meets it


async def test_soak(
    options: Options, say: Callable[[str], None], keep: Keep, report: Report
) -> None:
    seconds = options.soak_s
    # memory keeps what is settled so long: by the second half it holds as much as it ever will
    ttl = f"{max(10.0, seconds / 4)}"
    settings = {"HERMES_REDIS__SETTLED_TTL": ttl, "HERMES_REDIS__FINAL_TTL": ttl}
    samples: list[tuple[float, Sample]] = []
    with running_stand(options, say, settings) as stand:

        async def watch(load: Load) -> None:
            pids = await asyncio.to_thread(named, stand.daemon)
            port = URL(stand.daemon.url).port or 80
            said = 0.0
            at = 0.0
            while at < seconds:
                await load.until(at)
                samples.append((at, await asyncio.to_thread(sample, pids, port)))
                if at >= said + SAID_EVERY:
                    said = at
                    say(progress(stand, load, at, samples[-1][1]))
                at += EVERY

        row = await stand.row("soak", watch, seconds, notes=(f"settled_ttl and final_ttl {ttl} s",))
    found = list(footprints(samples))
    report.footprints.extend(found)
    keep(replace(row, faults=(*row.faults, *grown(found), *gone(samples))))


def progress(stand: Stand, load: Load, at: float, sizes: Sample) -> str:
    """Say how it goes."""
    total = sum(size.memory_mb for size in sizes.values())
    pacer = load.pacer
    return (
        f"  {at:.0f} s: {len(pacer.accepted)} of {pacer.due} accepted, {pacer.retried} retried, "
        f"{total:.0f} MB in {len(sizes)} processes"
    )


def grown(found: Iterable[Footprint]) -> Iterator[str]:
    """Give a sentence for each process that grew."""
    for f in found:
        most = MOST_GROWN_OF.get(f.process, MOST_GROWN_MB)
        if f.grown_mb > most:
            yield (
                f"{f.process} grew by {f.grown_mb:.1f} MB in the second half "
                f"({f.slope_mb_per_h:.0f} MB/h), {most:g} MB is the bound"
            )
        if f.files_grown > MOST_FILES_GROWN_OF.get(f.process, MOST_FILES_GROWN):
            yield f"{f.process} opened {f.files_grown:.1f} files more in the second half"


def gone(samples: list[tuple[float, Sample]]) -> Iterator[str]:
    """Give a sentence for each process that ended meanwhile."""
    yield from (f"{name} ended" for name in samples[0][1].keys() - samples[-1][1].keys())
