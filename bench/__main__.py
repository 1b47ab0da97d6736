"""Command line of the bench: which rows, how many messages, table or JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec
import psycopg
from rich.console import Console

from bench.cascade_engine import cascade_engine
from bench.engines import engines
from bench.machine import commit, this_machine, utc_now, wait_until_quiet
from bench.processes import ProcessGone
from bench.progress import Progress
from bench.report import Report, Row, save
from bench.row_accept import accept_batches, accept_only
from bench.row_binds import CASES, through_binds
from bench.row_cascades import cascades, cascades_lazy, cascades_paced
from bench.row_end_to_end import end_to_end
from bench.row_preloaded import preloaded
from bench.row_receipts import receipts_beside_submits
from bench.row_start import start_and_memory
from bench.stand import Options, Stalled
from bench.table import show
from hermes.testing.daemon_process import DidNotStart

ROWS: Mapping[str, tuple[str, Callable[[Options], Row]]] = {
    "1": ("end to end over HTTP", end_to_end),
    "2": ("preloaded belt drained", preloaded),
    **{case.id: (case.title, through_binds(case)) for case in CASES},
    "4": ("start, memory, idling", start_and_memory),
    "5": ("accept only", accept_only),
    "5b": ("accept only, batches of 100", accept_batches),
    "6": ("submits and receipts together", receipts_beside_submits),
    "7": ("two-step cascades", cascades),
    "7l": ("two-step cascades, lazy start", cascades_lazy),
    "7p": ("two-step cascades, 100/s", cascades_paced),
    "engines": ("link engines alone", engines),
    "cascade-engine": ("cascade engines alone", cascade_engine),
}
FAILURES = (DidNotStart, Stalled, ProcessGone, OSError, ValueError, psycopg.Error, TimeoutError)


def main(words: Sequence[str] | None = None) -> int:
    """Run the bench; exit code 1 when a row is void."""
    arguments = parser().parse_args(words)
    ids = chosen(arguments.rows)
    name, is_dirty = commit()
    machine, date = this_machine(), utc_now()
    with Progress() as progress:
        count = arguments.count or (1_000 if arguments.quick else 10_000)
        options = Options(count, arguments.connections, arguments.quick, progress)
        rows = tuple(run(row_id, options, arguments.quiet) for row_id in ids)
    report = Report(
        commit=name,
        is_dirty=is_dirty,
        date=date,
        quick=arguments.quick,
        machine=machine,
        rows=rows,
    )
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    else:
        console = Console(highlight=False)
        console.width = max(console.width, 100)
        show(report, console)
    if not arguments.no_save:
        sys.stderr.write(f"stored in {save(report)}\n")
    return int(any(row.is_void for row in rows))


def run(row_id: str, options: Options, quiet_within_s: float) -> Row:
    """Measure one row, first waiting so long for a quiet machine; a failure makes it void."""
    title, measure = ROWS[row_id]
    options.progress.begin(f"row {row_id}: {title}")
    if quiet_within_s:
        wait_until_quiet(quiet_within_s, options.progress.say)
    try:
        return measure(options)
    except FAILURES as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Row(id=row_id, title=title, method="", errors=tuple(lines[-3:]) or (repr(error),))


def chosen(text: str | None) -> list[str]:
    """Give the rows asked for, in order: `3` stands for 3a to 3f. Raises SystemExit."""
    if text is None:
        return [*ROWS]
    wanted = [word.strip() for word in text.split(",")]
    unknown = [word for word in wanted if word not in {*ROWS, *map(number_of, ROWS)}]
    if unknown:
        sys.stderr.write(f"bench: no row {', '.join(unknown)}; there are {', '.join(ROWS)}\n")
        raise SystemExit(64)
    return [row for row in ROWS if row in wanted or number_of(row) in wanted]


def number_of(row: str) -> str:
    """Give the number of a row without its letter."""
    return row.rstrip("abcdef") if row[0].isdecimal() else row


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    rows = "\n".join(f"  {row_id:<14} {title}" for row_id, (title, _) in ROWS.items())
    made = argparse.ArgumentParser(
        prog="bench",
        description="Measures a whole daemon on this machine and compares with what it must reach.",
        epilog=f"rows:\n{rows}\n\nA row with errors is void. exit code 1: a row is void.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--rows", metavar="1,3", help="only these rows")
    made.add_argument("--quick", action="store_true", help="a tenth of the messages")
    made.add_argument("--json", action="store_true", help="JSON on stdout instead of the table")
    made.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="messages in rows 1, 2, 5, 6, engines, cascade-engine (10000)",
    )
    made.add_argument(
        "--connections", type=int, metavar="N", default=40, help="HTTP connections (40)"
    )
    made.add_argument(
        "--quiet",
        type=float,
        metavar="S",
        default=0.0,
        help="wait up to S seconds before each row for other work on the machine to end",
    )
    made.add_argument("--no-save", action="store_true", help="store nothing under bench/results/")
    return made


if __name__ == "__main__":
    raise SystemExit(main())
