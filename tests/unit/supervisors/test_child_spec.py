"""Child specs and flags are refused with one clear sentence per fault."""

from __future__ import annotations

import math
from typing import Any

import pytest

from supervisors.child_spec import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    ChildType,
    FaultySpecs,
    Restart,
    spec_faults,
)
from supervisors.core import SupervisorCore
from supervisors.intensity import Intensity
from supervisors.strategy import Strategy, SupervisorFlags, flag_faults

ANY = AutoShutdown.ANY_SIGNIFICANT


def spec(**fields: Any) -> ChildSpec:
    return ChildSpec(**{"id": "a", "start": "worker", **fields})


def test_spec_defaults_are_those_of_otp() -> None:
    worker, supervisor = spec(), spec(type=ChildType.SUPERVISOR)
    assert (worker.restart, worker.significant) == (Restart.PERMANENT, False)
    assert (worker.stop_within, supervisor.stop_within) == (5.0, INFINITY)
    assert (worker.start_within, supervisor.start_within) == (60.0, INFINITY)


def test_spec_values_win_over_defaults() -> None:
    own = spec(type=ChildType.SUPERVISOR, shutdown=BRUTAL_KILL, start_timeout=1.5)
    assert (own.stop_within, own.start_within) == (BRUTAL_KILL, 1.5)


@pytest.mark.parametrize("restart", list(Restart))
@pytest.mark.parametrize("shutdown", [None, 0, 0.0, 1.5, INFINITY, BRUTAL_KILL])
@pytest.mark.parametrize("type_", list(ChildType))
def test_every_right_combination_is_accepted(
    restart: Restart, shutdown: Any, type_: ChildType
) -> None:
    good = spec(restart=restart, shutdown=shutdown, type=type_, start_timeout=INFINITY)
    assert spec_faults([good], AutoShutdown.NEVER) == ()


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"id": ""}, "child '': id must be a non-empty string"),
        ({"id": 7}, "child 7: id must be a non-empty string"),
        ({"start": None}, "child 'a': start is missing"),
        (
            {"restart": "prmanent"},
            "child 'a': restart is 'prmanent', must be permanent, transient or temporary",
        ),
        ({"type": "wrker"}, "child 'a': type is 'wrker', must be worker or supervisor"),
        ({"significant": "maybe"}, "child 'a': significant is 'maybe', must be true or false"),
        (
            {"shutdown": -10},
            "child 'a': shutdown is -10, must be 0 s or more, infinity or brutal_kill",
        ),
        (
            {"shutdown": math.nan},
            "child 'a': shutdown is nan, must be 0 s or more, infinity or brutal_kill",
        ),
        (
            {"shutdown": True},
            "child 'a': shutdown is True, must be 0 s or more, infinity or brutal_kill",
        ),
        ({"start_timeout": 0}, "child 'a': start_timeout is 0, must be above 0 s or infinity"),
        (
            {"start_timeout": "60"},
            "child 'a': start_timeout is '60', must be above 0 s or infinity",
        ),
        (
            {"significant": True},
            "child 'a': significant is refused for a permanent child, it never ends",
        ),
    ],
)
def test_a_faulty_value_is_named(fields: dict[str, Any], fault: str) -> None:
    assert spec_faults([spec(**fields)], ANY) == (fault,)


@pytest.mark.parametrize("restart", list(Restart))
def test_significant_is_refused_while_auto_shutdown_is_never(restart: Restart) -> None:
    assert spec_faults([spec(restart=restart, significant=True)], AutoShutdown.NEVER) == (
        "child 'a': significant is refused while auto_shutdown is never",
    )


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
@pytest.mark.parametrize("auto_shutdown", [ANY, AutoShutdown.ALL_SIGNIFICANT])
def test_significant_is_accepted_for_children_that_can_end(
    restart: Restart, auto_shutdown: AutoShutdown
) -> None:
    assert spec_faults([spec(restart=restart, significant=True)], auto_shutdown) == ()


def test_what_is_no_spec_is_named() -> None:
    assert spec_faults(["hej"], ANY) == ("'hej' is not a child spec",)


def test_repeated_ids_are_named_with_their_count() -> None:
    specs = [spec(), spec(id="b"), spec(), spec()]
    assert spec_faults(specs, ANY) == ("child id 'a' is used 3 times",)


def test_all_faults_are_given_at_once() -> None:
    flags = SupervisorFlags(intensity=Intensity(-1, 0.0))
    with pytest.raises(FaultySpecs) as caught:
        SupervisorCore(flags, [spec(restart="x"), spec(shutdown=-1)], 0.0)
    assert len(caught.value.faults) == 5
    assert str(caught.value).startswith("intensity is -1, ")


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({"strategy": "none_for_one"}, "strategy 'none_for_one' is unknown"),
        (
            {"intensity": Intensity(math.inf, 5.0)},  # type: ignore[arg-type]
            "intensity is inf, must be a whole number of restarts from 0",
        ),
        (
            {"intensity": Intensity(True, 5.0)},
            "intensity is True, must be a whole number of restarts from 0",
        ),
        ({"intensity": Intensity(1, 0)}, "period is 0, must be seconds above 0"),
        ({"intensity": Intensity(1, math.inf)}, "period is inf, must be seconds above 0"),
        ({"auto_shutdown": "always"}, "auto_shutdown 'always' is unknown"),
    ],
)
def test_a_faulty_flag_is_named(flags: dict[str, Any], fault: str) -> None:
    assert flag_faults(SupervisorFlags(**flags), ()) == (fault,)


@pytest.mark.parametrize("count", [0, 2])
def test_simple_one_for_one_takes_exactly_one_spec(count: int) -> None:
    flags = SupervisorFlags(Strategy.SIMPLE_ONE_FOR_ONE)
    assert flag_faults(flags, [spec(id=str(n)) for n in range(count)]) == (
        f"simple_one_for_one takes exactly 1 child spec, not {count}",
    )
