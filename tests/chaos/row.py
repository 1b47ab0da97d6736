"""What a run of the table found: rows, the file they are kept in, and the table people read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.machine import commit, this_machine, utc_now
from bench.report import Machine

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
NONE = "-"


class Blow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault under load: when (seconds into the load), and how long submits paused after it.

    `recovery_s` is the longest time without an accepted submit at the carrier until the next blow;
    None where it was not measured.
    """

    what: str
    at_s: float
    recovery_s: float | None = None
    bound_s: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row; a row with faults has failed, a skipped one has a reason.

    `slowest_s` is the longest way from a 202 to the carrier, `settled_s` from the end of the load
    until the last message was final. `doubled_most` is window times links that died, or fell
    silent. `load_average` is the machine's at the end of the row.
    """

    id: str
    blows: tuple[Blow, ...] = ()
    accepted: int = 0
    retried: int = 0
    lost: int = 0
    doubled: int = 0
    doubled_most: int = 0
    unmarked: int = 0
    open_left: int = 0
    links_lost: int = 0
    load_average: float = 0.0
    slowest_s: float = 0.0
    settled_s: float = 0.0
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def recovery_s(self) -> float | None:
        """The worst recovery of its blows."""
        times = [blow.recovery_s for blow in self.blows if blow.recovery_s is not None]
        return max(times, default=None)


Keep = Callable[[Row], None]
"""Takes a row into the report, and fails or skips the test by it."""


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """One process over a soak: memory (MB, not shared), its slope, and open files."""

    process: str
    memory_mb: float
    slope_mb_per_h: float
    grown_mb: float
    files: float
    files_grown: float


class Report(msgspec.Struct, kw_only=True):
    """One run of the table."""

    seed: int
    seconds: float
    rate: float
    commit: str
    is_dirty: bool
    date: str
    machine: Machine
    rows: list[Row] = []
    footprints: list[Footprint] = []

    @property
    def file_name(self) -> str:
        """Name of the file: date and time (UTC), then the short commit."""
        state = "-dirty" if self.is_dirty else ""
        return f"chaos-{self.date.replace(':', '')}-{self.commit}{state}.json"


def new_report(seed: int, seconds: float, rate: float) -> Report:
    """Begin a report of this machine and commit."""
    name, is_dirty = commit()
    return Report(
        seed=seed,
        seconds=seconds,
        rate=rate,
        commit=name,
        is_dirty=is_dirty,
        date=utc_now(),
        machine=this_machine(),
    )


def save(report: Report, folder: Path = RESULTS) -> Path:
    """Write the report as JSON; give the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / report.file_name
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return path


HEAD = ("row", "202s", "lost", "twice", "of", "unmarked", "open", "recovery s", "slowest s", "")


def table(report: Report) -> Iterator[str]:
    """Give the table as lines, widths by content; times of all blows of a row in order."""
    cells = [HEAD, *(cells_of(row) for row in report.rows)]
    yield from aligned(cells)
    for row in report.rows:
        yield from (f"  {row.id}: {text}" for text in (*row.faults, *row.notes))
    if report.footprints:
        yield ""
        yield from footprint_table(report.footprints)


def cells_of(row: Row) -> tuple[str, ...]:
    """Give the cells of one row."""
    if row.skipped is not None:
        return (row.id, *[NONE] * 8, f"skipped: {row.skipped}")
    times = [NONE if b.recovery_s is None else f"{b.recovery_s:.1f}" for b in row.blows]
    return (
        row.id,
        str(row.accepted),
        str(row.lost),
        str(row.doubled),
        str(row.doubled_most),
        str(row.unmarked),
        str(row.open_left),
        " ".join(times) or NONE,
        f"{row.slowest_s:.1f}",
        "FAILED" if row.faults else "ok",
    )


def footprint_table(footprints: Sequence[Footprint]) -> Iterator[str]:
    """Give the soak's processes as lines."""
    head = ("process", "MB", "MB/hour", "grown MB", "files", "grown")
    yield from aligned(
        [
            head,
            *(
                (
                    f.process,
                    f"{f.memory_mb:.1f}",
                    f"{f.slope_mb_per_h:+.1f}",
                    f"{f.grown_mb:+.2f}",
                    f"{f.files:.0f}",
                    f"{f.files_grown:+.1f}",
                )
                for f in footprints
            ),
        ]
    )


def aligned(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Pad the columns: the first and last to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        padded = [
            text.ljust(width) if i in (0, len(widths) - 1) else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(padded).rstrip()
