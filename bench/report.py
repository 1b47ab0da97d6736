"""What one run of the bench found, and the file it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

RESULTS = Path(__file__).resolve().parent / "results"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value; `bar` is what it must reach, `better` in which direction."""

    name: str
    value: float
    unit: str = ""
    bar: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def is_met(self) -> bool | None:
        """Say whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.better == "higher" else self.value <= self.bar


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """How noisy the machine was: load average before, CPU in cores that was not ours, stolen."""

    load_before: float
    others_cores: float
    stolen_cores: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    `cpu_ms` is CPU milliseconds per message by kind of process, `idle_ms` per second of idling,
    `memory_mb` proportional set sizes. A row with errors is void.
    """

    id: str
    title: str
    method: str
    figures: tuple[Figure, ...] = ()
    cpu_ms: dict[str, float] = {}
    idle_ms: dict[str, float] = {}
    memory_mb: dict[str, float] = {}
    around: Surroundings | None = None
    errors: tuple[str, ...] = ()

    @property
    def is_void(self) -> bool:
        """Say whether the figures count for nothing."""
        return bool(self.errors)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the figures come from."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    data_filesystem: str
    load_average: tuple[float, float, float]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench."""

    commit: str
    is_dirty: bool
    date: str
    quick: bool
    machine: Machine
    rows: tuple[Row, ...]

    @property
    def file_name(self) -> str:
        """Name of the file: short commit, then date and time (UTC)."""
        state = "-dirty" if self.is_dirty else ""
        return f"{self.commit}{state}-{self.date.replace(':', '')}.json"


def save(report: Report, folder: Path = RESULTS) -> Path:
    """Write the report as JSON; give the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / report.file_name
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return path
