"""The manual names everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from hermes.simulator import journal
from hermes.simulator.fault import FAULTS, Target
from hermes.simulator.journal import Line
from hermes.simulator.message_id import IdForm
from hermes.simulator.profile import LIVE, Profile

MANUAL = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
ROWS = [line for line in MANUAL.splitlines() if line.startswith("| `")]


def row(name: str) -> str:
    """The row of a table whose first cell names it."""
    return next(line for line in ROWS if f"`{name}`" in line.split("|")[1])


@pytest.mark.parametrize(
    "field", [name for name in Profile.__struct_fields__ if name != "accounts"]
)
def test_every_option_has_a_row_that_says_whether_it_can_change(field: str) -> None:
    cell = row(f"--{field.replace('_', '-')}").split("|")[1]
    assert ("*" in cell) == (field not in LIVE)


def test_the_defaults_in_the_manual_are_the_ones_in_force() -> None:
    for field in ("port", "latency_ms", "deliver_window", "retry_ms", "log_memory", "mix"):
        name = f"--{field.replace('_', '-')}"
        default = row(name).split("|")[2].split(",")[0].strip()
        assert default == str(getattr(Profile(), field)), name


@pytest.mark.parametrize("form", IdForm)
def test_every_notation_is_named(form: str) -> None:
    assert f"`{form}`" in MANUAL


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_row_with_its_parameters(name: str) -> None:
    common = {*Target.__struct_fields__, "seconds", "count"}
    for field in msgspec.structs.fields(FAULTS[name]):
        assert field.name in common or f"`{field.name}`" in row(name)


@pytest.mark.parametrize("name", FAULTS)
def test_every_parameter_of_a_fault_has_the_default_of_the_manual(name: str) -> None:
    told = dict(re.findall(r"`(\w+)`:(?: ([^,;|`]*))?", row(name).split("|")[2]))
    for field in msgspec.structs.fields(FAULTS[name]):
        word = told.get(field.name, "").strip()
        if word.startswith("0x"):
            assert int(word, 16) == field.default
        elif field.name in told:
            assert word == str(field.default).lower(), field.name


def test_every_event_of_the_log_is_named() -> None:
    kinds = [
        kind
        for kind in vars(journal).values()
        if isinstance(kind, type) and issubclass(kind, Line) and kind.__struct_config__.tag
    ]
    events = {str(kind.__struct_config__.tag) for kind in kinds} - {"Line", "SessionLine"}
    assert len(events) == 12
    for event in events:
        assert f"`{event}`" in MANUAL
