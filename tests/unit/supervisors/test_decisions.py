"""The small decisions: verdicts, groups, windows, reasons."""

from __future__ import annotations

import pytest

from supervisors.child_spec import Restart
from supervisors.exit_reason import (
    NORMAL,
    SHUTDOWN,
    ExitKind,
    ExitReason,
    FailedToStartChild,
)
from supervisors.intensity import Intensity, RestartWindow
from supervisors.strategy import Strategy, Verdict, restart_group, verdict_on
from tests.unit.supervisors.world import CRASH, KILLED

SHUTDOWN_X = ExitReason(ExitKind.SHUTDOWN, "x")


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, SHUTDOWN_X, CRASH, KILLED])
def test_a_permanent_child_is_always_restarted_and_a_temporary_one_never(
    reason: ExitReason,
) -> None:
    assert verdict_on(Restart.PERMANENT, reason) is Verdict.RESTART
    assert verdict_on(Restart.TEMPORARY, reason) is Verdict.DROP_SPEC


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (NORMAL, Verdict.KEEP_SPEC),
        (SHUTDOWN, Verdict.KEEP_SPEC),
        (SHUTDOWN_X, Verdict.KEEP_SPEC),
        (CRASH, Verdict.RESTART),
        (KILLED, Verdict.RESTART),
    ],
)
def test_a_transient_child_is_restarted_unless_it_ended_cleanly(
    reason: ExitReason, verdict: Verdict
) -> None:
    assert verdict_on(Restart.TRANSIENT, reason) is verdict


@pytest.mark.parametrize(
    ("strategy", "group"),
    [
        (Strategy.ONE_FOR_ONE, "b"),
        (Strategy.SIMPLE_ONE_FOR_ONE, "b"),
        (Strategy.ONE_FOR_ALL, "abc"),
        (Strategy.REST_FOR_ONE, "bc"),
    ],
)
def test_a_strategy_names_its_group_in_start_order(strategy: Strategy, group: str) -> None:
    assert restart_group(strategy, ("a", "b", "c"), "b") == tuple(group)


def test_a_restart_exactly_one_period_old_still_counts() -> None:
    window = RestartWindow(Intensity(1, 10.0)).add(5.0)
    assert window.add(15.0).is_exceeded
    assert not window.add(15.001).is_exceeded


def test_restarts_are_kept_newest_first_and_forgotten_with_age() -> None:
    window = RestartWindow(Intensity(3, 10.0)).add(0.0).add(4.0).add(12.0)
    assert window.restarted == (12.0, 4.0)
    assert window.recent(14.0) == (12.0, 4.0)
    assert window.recent(23.0) == ()


def test_intensity_zero_allows_no_restart() -> None:
    assert RestartWindow(Intensity(0, 1.0)).add(0.0).is_exceeded


@pytest.mark.parametrize(
    ("code", "reason", "is_clean"),
    [
        (0, "normal", True),
        (69, "shutdown", True),
        (70, "abnormal (exit code 70, a handler failed)", False),
        (71, "abnormal (exit code 71, its parent was gone)", False),
        (1, "abnormal (exit code 1)", False),
        (-9, "killed (signal 9)", False),
        (-15, "abnormal (signal 15)", False),
    ],
)
def test_exit_codes_are_read_as_reasons(code: int, reason: str, is_clean: bool) -> None:
    read = ExitReason.from_exit_code(code)
    assert (str(read), read.is_clean) == (reason, is_clean)


def test_a_failed_start_reads_as_a_sentence() -> None:
    reason = ExitReason(ExitKind.SHUTDOWN, FailedToStartChild("store", CRASH))
    assert str(reason) == "shutdown (failed to start child store: abnormal (crash))"
