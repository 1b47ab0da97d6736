"""What a supervisor must know of a child before it starts it, and every fault a spec can have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

INFINITY: Final = math.inf
DEFAULT_SHUTDOWN_SECONDS: Final = 5.0
DEFAULT_START_SECONDS: Final = 60.0


class Restart(StrEnum):
    """When a child that went down is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class ChildType(StrEnum):
    """A supervisor is given unlimited time to start and to stop unless its spec says otherwise."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class AutoShutdown(StrEnum):
    """Whether a supervisor ends when its significant children have ended by themselves."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class BrutalKill(Enum):
    """A child that is killed without being asked to stop."""

    BRUTAL_KILL = "brutal_kill"


BRUTAL_KILL: Final = BrutalKill.BRUTAL_KILL


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child as its supervisor sees it (OTP: child_spec()).

    `start` is opaque to the core. `shutdown` is seconds, INFINITY or BRUTAL_KILL, by default 5 s
    for a worker and INFINITY for a supervisor. `start_timeout` is seconds or INFINITY, by default
    60 s for a worker and INFINITY for a supervisor, whose start lasts as long as its children's.
    """

    id: str
    start: object
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    shutdown: float | BrutalKill | None = None
    type: ChildType = ChildType.WORKER
    start_timeout: float | None = None

    @property
    def stop_within(self) -> float | BrutalKill:
        """Seconds between being told to stop and being killed, or BRUTAL_KILL."""
        if self.shutdown is not None:
            return self.shutdown
        return DEFAULT_SHUTDOWN_SECONDS if self.type is ChildType.WORKER else INFINITY

    @property
    def start_within(self) -> float:
        """Seconds a start may take before the child is killed and the start counts as failed."""
        if self.start_timeout is not None:
            return self.start_timeout
        return DEFAULT_START_SECONDS if self.type is ChildType.WORKER else INFINITY


class FaultySpecs(ValueError):
    """The supervisor's flags or child specs are refused; `faults` holds one sentence per fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


def spec_faults(specs: Sequence[object], auto_shutdown: AutoShutdown) -> tuple[str, ...]:
    """Name every fault of the specs, alone and together; empty when all are good."""
    faults = [fault for spec in specs for fault in _faults_of(spec, auto_shutdown)]
    repeated = Counter(spec.id for spec in specs if isinstance(spec, ChildSpec))
    faults += [f"child id {id_!r} is used {n} times" for id_, n in repeated.items() if n > 1]
    return tuple(faults)


def is_choice(value: object, choices: type[Enum]) -> bool:
    """Tell whether a value is a member of the enum, whatever a type checker believes of it."""
    return isinstance(value, choices)


def is_duration(value: object) -> bool:
    """Tell whether a value is a number of seconds, 0 and INFINITY included."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value >= 0  # type: ignore[operator]  # NaN compares false


def _faults_of(spec: object, auto_shutdown: AutoShutdown) -> list[str]:
    if not isinstance(spec, ChildSpec):
        return [f"{spec!r} is not a child spec"]
    name = f"child {spec.id!r}"
    flags = tuple(Restart)
    checks = (
        (_is_id(spec.id), f"{name}: id must be a non-empty string"),
        (spec.start is not None, f"{name}: start is missing"),
        (is_choice(spec.restart, Restart), f"{name}: restart {_not_in(spec.restart, flags)}"),
        (
            is_choice(spec.type, ChildType),
            f"{name}: type {_not_in(spec.type, tuple(ChildType))}",
        ),
        (
            _is_bool(spec.significant),
            f"{name}: significant is {spec.significant!r}, must be true or false",
        ),
        (
            spec.shutdown is None
            or is_choice(spec.shutdown, BrutalKill)
            or is_duration(spec.shutdown),
            f"{name}: shutdown is {spec.shutdown!r}, must be 0 s or more, infinity or brutal_kill",
        ),
        (
            spec.start_timeout is None
            or (is_duration(spec.start_timeout) and spec.start_timeout > 0),
            f"{name}: start_timeout is {spec.start_timeout!r}, must be above 0 s or infinity",
        ),
    )
    faults = [fault for holds, fault in checks if not holds]
    if spec.significant is True and auto_shutdown is AutoShutdown.NEVER:
        faults.append(f"{name}: significant is refused while auto_shutdown is never")
    elif spec.significant is True and spec.restart is Restart.PERMANENT:
        faults.append(f"{name}: significant is refused for a permanent child, it never ends")
    return faults


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _not_in(value: object, choices: Sequence[StrEnum]) -> str:
    return f"is {value!r}, must be {', '.join(choices[:-1])} or {choices[-1]}"
