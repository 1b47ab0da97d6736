"""Fixtures of the kill table: the stand all rows share, progress as it runs, the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.row import Keep, Report, Row, new_report, save, table
from tests.chaos.stand import Options, Stand, options_of, running_stand

HERE = Path(__file__).parent
ORDER = ("kills", "host", "belt", "memory", "disk", "clock", "links", "cascades", "soak")
REPORT = pytest.StashKey[Report]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the rows into the order of the table."""
    mine = [item for item in items if HERE in item.path.parents]
    places = iter(sorted(mine, key=place_of))
    items[:] = [next(places) if HERE in item.path.parents else item for item in items]


def place_of(item: pytest.Item) -> tuple[int, int, int]:
    """Give the place of a row: file, line, parameter."""
    name = item.path.stem.removeprefix("test_")
    number = item.callspec.indices.get("kind", 0) if hasattr(item, "callspec") else 0
    return (ORDER.index(name) if name in ORDER else len(ORDER), item.location[1] or 0, number)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table and where it is kept."""
    report = config.stash.get(REPORT, None)
    if report is None or not (report.rows or report.footprints):
        return
    terminalreporter.section(f"chaos at {report.commit}, seed {report.seed}")
    for line in table(report):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"kept in {save(report)}")


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line at once, captured or not."""
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert reporter is not None
    assert capture is not None

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(text)

    return write


@pytest.fixture(scope="session")
def options(say: Callable[[str], None]) -> Options:
    """What the environment asked for."""
    found = options_of(os.environ)
    say(f"HERMES_CHAOS_SEED={found.seed}, {found.seconds:g} s of load for each instant")
    return found


@pytest.fixture(scope="session")
def keep(pytestconfig: pytest.Config, options: Options) -> Keep:
    """Keep a row, and fail if it has faults."""
    report = new_report(options.seed, options.seconds, options.rate)
    pytestconfig.stash[REPORT] = report

    def add(row: Row) -> None:
        report.rows.append(row)
        if row.skipped is not None:
            pytest.skip(row.skipped)
        assert not row.faults, "\n".join(row.faults)

    return add


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config, keep: Keep) -> Report:
    """The report all rows go into."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def stand(options: Options, say: Callable[[str], None]) -> Iterator[Stand]:
    """One daemon for as many rows as possible."""
    with running_stand(options, say) as running:
        yield running
