"""Shows a report to a person: figures with their bars, then CPU and memory by process kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.machine import QUIET_CORES
from bench.processes import OTHERS, hermes_sum, in_order
from bench.report import Figure, Report, Row

PEERS = (
    "Peers on such a machine: Kannel with store and receipts 494/s, 1.74 ms; Jasmin 283/s, 3.7 ms; "
    "one bind at 50 ms: Kannel 174/s, Jasmin 18/s; Jasmin 220-310 MB."
)

SIGNS = {"higher": "≥", "lower": "≤"}
NOISY = (
    "The machine was busy with other work: rates are too low, and CPU per message is too high, "
    "because what comes slowly goes in smaller batches."
)


def show(report: Report, console: Console) -> None:
    """Print everything."""
    m = report.machine
    state = " (with changes)" if report.is_dirty else ""
    quick = ", quick: too few messages to compare" if report.quick else ""
    console.print(f"\nHermes {report.commit}{state}, {report.date}{quick}", style="bold")
    loads = " ".join(f"{value:.2f}" for value in m.load_average)
    console.print(
        f"{m.cpu}, {m.cores} cores, {m.memory_mb / 1024:.1f} GB, Linux {m.kernel}, "
        f"Python {m.python}, data on {m.data_filesystem}, load average {loads}",
        markup=False,
    )
    console.print(figures_table(report.rows))
    for title, pick in BY_KIND:
        rows = [row for row in report.rows if pick(row)]
        if rows:
            console.print(kinds_table(title, rows, pick))
    for row in report.rows:
        if row.method:
            console.print(f"{row.id}  {row.method}", markup=False, style="dim")
    console.print(PEERS, style="dim")
    if any(is_noisy(row) for row in report.rows):
        console.print(NOISY, style="yellow")


BY_KIND: Sequence[tuple[str, Callable[[Row], Mapping[str, float]]]] = (
    ("CPU, ms per message", lambda row: row.cpu_ms),
    ("CPU at rest, ms per second", lambda row: row.idle_ms),
    ("Memory, MB (proportional set size)", lambda row: row.memory_mb),
)


def figures_table(rows: Sequence[Row]) -> Table:
    """Make the table of figures."""
    table = Table(title_justify="left", header_style="bold")
    for name, side in (("row", "left"), ("figure", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    table.add_column("bar", justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(row.id, f"[bold]{row.title}[/bold]", "", "", "", noise_of(row))
        for error in row.errors:
            table.add_row("", f"[red]{escape(error)}[/red]", "", "", "", "[red]VOID[/red]")
        for figure in row.figures:
            table.add_row("", f"  {figure.name}", *cells_of(figure, row))
        table.add_section()
    return table


def cells_of(figure: Figure, row: Row) -> tuple[str, str, str, str]:
    """Give value, unit, bar and verdict of a figure."""
    bar = "" if figure.bar is None else f"{SIGNS[figure.better]} {figure.bar:g}"
    text = number(figure.value)
    if row.is_void:
        return f"[strike]{text}[/strike]", figure.unit, bar, ""
    missed = "[dim]missed, machine busy[/dim]" if is_noisy(row) else "[yellow]missed[/yellow]"
    verdict = {None: "", True: "[green]met[/green]", False: missed}
    return text, figure.unit, bar, verdict[figure.is_met]


def is_noisy(row: Row) -> bool:
    """Say whether other work took so much of the machine that bars cannot be judged."""
    return row.around is not None and row.around.others_cores > QUIET_CORES


def noise_of(row: Row) -> str:
    """Say how much of the machine others took."""
    if row.around is None:
        return ""
    return f"[dim]others used {row.around.others_cores:.2f} cores[/dim]"


def kinds_table(
    title: str, rows: Sequence[Row], pick: Callable[[Row], Mapping[str, float]]
) -> Table:
    """Make a table with a line for each kind of process and a column for each row."""
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("process")
    for row in rows:
        table.add_column(f"{row.id} void" if row.is_void else row.id, justify="right")
    kinds = in_order({kind for row in rows for kind in pick(row)})
    own = [kind for kind in kinds if kind not in OTHERS]
    for kind in own:
        table.add_row(kind, *(cell(pick(row), kind) for row in rows))
    total = (f"{hermes_sum(pick(row)):.3g}" for row in rows)
    table.add_row("[bold]all Hermes processes[/bold]", *(f"[bold]{t}[/bold]" for t in total))
    table.add_section()
    for kind in kinds[len(own) :]:
        table.add_row(kind, *(cell(pick(row), kind) for row in rows))
    return table


def cell(values: Mapping[str, float], kind: str) -> str:
    """Give one value of a table of kinds."""
    value = values.get(kind)
    return "" if value is None else number(value, 3)


def number(value: float, digits: int = 4) -> str:
    """Write a number with so many digits that count, without an exponent."""
    if value == 0:
        return "0"
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, digits - whole)}f}"
