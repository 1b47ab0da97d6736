"""Finds the recorded traces to replay: those beside the tests and those of a folder you name.

A file's name says what it is. `gen_stage*.jsonl` was recorded from gen_stage and
`otp_supervisor*.jsonl` from the Erlang/OTP supervisor, one JSON object per line. `smpp_pdus*.json`
(PDUs, under `vectors`) and `dlr_receipts*.json` (delivery receipts, under `variants`) are one JSON
object each. Set `HERMES_REPLAY_EXTRA` to a folder with files of the same format to replay them as
well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark.structures import ParameterSet

TraceRow: TypeAlias = dict[str, Any]

BUNDLED = Path(__file__).parent / "data"
EXTRA_VARIABLE = "HERMES_REPLAY_EXTRA"
# A kind of file joins here when a suite replays it; any other file in the extra folder is a fault,
# because a trace that no suite reads would pass unseen.
KNOWN_FILES = (
    "gen_stage*.jsonl",
    "otp_supervisor*.jsonl",
    "smpp_pdus*.json",
    "dlr_receipts*.json",
)
# The list of rows in a file that is one JSON object.
ROW_KEYS = {"smpp_pdus": "vectors", "dlr_receipts": "variants"}


class DamagedTrace(ValueError):
    """A trace file, or a line of it, is not the JSON object it has to be."""


def extra_folder() -> Path | None:
    """The folder of further traces, or None when the variable is unset or empty."""
    named = os.environ.get(EXTRA_VARIABLE, "")
    return Path(named) if named else None


def trace_files(prefix: str, suffix: str = ".jsonl") -> list[tuple[str, Path]]:
    """Label and path of every file whose name starts and ends so, bundled ones first."""
    found = [(path.name, path) for path in sorted(BUNDLED.glob(f"{prefix}*{suffix}"))]
    folder = extra_folder()
    if folder is not None:
        found += [
            (f"extra/{path.name}", path) for path in sorted(folder.glob(f"{prefix}*{suffix}"))
        ]
    return found


def trace_rows(prefix: str) -> list[ParameterSet]:
    """One pytest parameter per row (a dict with `kind`) of every `<prefix>*.jsonl`.

    The id is `file:line-kind`, lines counted from 1. A line that is not a JSON object raises
    ValueError, so a damaged file stops the collection instead of shrinking it.
    """
    return [
        pytest.param(row, id=f"{label}:{line}-{row.get('kind', 'no-kind')}")
        for label, path in trace_files(prefix)
        for line, row in numbered_rows(path)
    ]


def numbered_rows(path: Path) -> Iterator[tuple[int, TraceRow]]:
    """Each row with its line number, blank lines left out; raises ValueError on a bad line."""
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        row = json.loads(text)
        if not isinstance(row, dict):
            raise DamagedTrace(f"{path}:{line}: a row is an object, got {type(row).__name__}")
        yield line, row


def corpus_rows(prefix: str, name: str) -> list[ParameterSet]:
    """One pytest parameter per row of every `<prefix>*.json`; the id is `file:` and row[name].

    Raises ValueError on a damaged file, as `trace_rows` does.
    """
    return [
        pytest.param(row, id=f"{label}:{row.get(name, place)}")
        for label, path in trace_files(prefix, ".json")
        for place, row in enumerate(listed_rows(path))
    ]


def listed_rows(path: Path) -> list[TraceRow]:
    """The rows of a file that is one JSON object; raises ValueError when it is not."""
    corpus = json.loads(path.read_text(encoding="utf-8"))
    key = next(key for prefix, key in ROW_KEYS.items() if path.name.startswith(prefix))
    rows = corpus.get(key) if isinstance(corpus, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DamagedTrace(f"{path}: {key} is no list of objects")
    return rows


def folder_faults(folder: Path) -> list[str]:
    """What is wrong with a folder of further traces; an empty list when nothing is."""
    if not folder.is_dir():
        return [f"{folder} is not a folder"]
    entries = sorted(folder.iterdir())
    if not entries:
        return [f"{folder} is empty"]
    return [fault for path in entries if (fault := _file_fault(path)) is not None]


def _file_fault(path: Path) -> str | None:
    if not path.is_file() or not any(path.match(pattern) for pattern in KNOWN_FILES):
        return f"{path.name} is of no known kind, expected one of {', '.join(KNOWN_FILES)}"
    try:
        rows = numbered_rows(path) if path.suffix == ".jsonl" else listed_rows(path)
        if not any(True for _ in rows):
            return f"{path.name} holds no row"
    except ValueError as error:
        return f"{path.name} cannot be read: {error}"
    return None
