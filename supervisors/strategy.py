"""What a child's end means for itself and for its siblings (OTP: supervisor flags)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import assert_never

from supervisors.child_spec import (
    AutoShutdown,
    ChildSpec,
    Restart,
    is_choice,
    is_duration,
)
from supervisors.exit_reason import ExitReason
from supervisors.intensity import Intensity


class Strategy(StrEnum):
    """Who is restarted when one child must be."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """The properties of one supervisor."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = field(default_factory=Intensity)
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER


class Verdict(Enum):
    """What becomes of a child that went down by itself."""

    RESTART = "restart"
    KEEP_SPEC = "keep_spec"
    DROP_SPEC = "drop_spec"


def verdict_on(restart: Restart, reason: ExitReason) -> Verdict:
    """Judge one exit; only RESTART is counted against the intensity."""
    match restart:
        case Restart.PERMANENT:
            return Verdict.RESTART
        case Restart.TRANSIENT:
            return Verdict.KEEP_SPEC if reason.is_clean else Verdict.RESTART
        case Restart.TEMPORARY:
            return Verdict.DROP_SPEC
        case _ as never:
            assert_never(never)


def restart_group(strategy: Strategy, ids: Sequence[str], failed: str) -> tuple[str, ...]:
    """List who is started again after `failed` went down, in start order and with `failed`."""
    match strategy:
        case Strategy.ONE_FOR_ONE | Strategy.SIMPLE_ONE_FOR_ONE:
            return (failed,)
        case Strategy.ONE_FOR_ALL:
            return tuple(ids)
        case Strategy.REST_FOR_ONE:
            return tuple(ids[ids.index(failed) :])
        case _ as never:
            assert_never(never)


def flag_faults(flags: SupervisorFlags, specs: Sequence[ChildSpec]) -> tuple[str, ...]:
    """Name every fault of the flags; empty when all are good."""
    intensity, period = flags.intensity.max_restarts, flags.intensity.period
    is_simple = flags.strategy is Strategy.SIMPLE_ONE_FOR_ONE
    checks = (
        (is_choice(flags.strategy, Strategy), f"strategy {flags.strategy!r} is unknown"),
        (
            _is_count(intensity),
            f"intensity is {intensity!r}, must be a whole number of restarts from 0",
        ),
        (
            is_duration(period) and 0 < period < math.inf,
            f"period is {period!r}, must be seconds above 0",
        ),
        (
            is_choice(flags.auto_shutdown, AutoShutdown),
            f"auto_shutdown {flags.auto_shutdown!r} is unknown",
        ),
        (
            not is_simple or len(specs) == 1,
            f"simple_one_for_one takes exactly 1 child spec, not {len(specs)}",
        ),
    )
    return tuple(fault for holds, fault in checks if not holds)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
