"""Which faults are on, for how long still, and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hermes.simulator.fault import NAMES, RefuseSubmits, Standing, kind_of

if TYPE_CHECKING:
    from random import Random

StandingFault = TypeVar("StandingFault", bound=Standing)


@dataclass(slots=True)
class _On:
    fault: Standing
    until: float | None
    left: int | None
    seen: int = 0


@dataclass(slots=True)
class Faults:
    """The standing faults that are on; one of each kind."""

    _on: dict[type[Standing], _On] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._on)

    def start(self, fault: Standing, now: float) -> float | None:
        """Switch a fault on, in place of one of its kind; returns when it ends by itself."""
        until = now + fault.seconds if fault.seconds else None
        self._on[type(fault)] = _On(fault, until, fault.count or None)
        return until

    def lift(self, name: str) -> bool:
        """Switch a fault off; whether it was on. Raises Refusal for a name not in the table."""
        kind = kind_of(name)
        return any(self._on.pop(on, None) is not None for on in list(self._on) if on is kind)

    def lift_ended(self, now: float) -> list[str]:
        """Switch off what has run its time; returns the names."""
        ended = [kind for kind, on in self._on.items() if on.until is not None and now >= on.until]
        for kind in ended:
            del self._on[kind]
        return [NAMES[kind] for kind in ended]

    def clear(self) -> None:
        """Switch everything off."""
        self._on.clear()

    def is_on(self, fault: Standing, now: float) -> bool:
        """Whether this very fault is on, and not another one of its kind."""
        on = self._on.get(type(fault))
        return on is not None and on.fault is fault and (on.until is None or now < on.until)

    def find(
        self, kind: type[StandingFault], session: int, system_id: str, now: float
    ) -> StandingFault | None:
        """The fault of that kind if it is on and hits this session; costs no use."""
        on = self._on.get(kind)
        if on is None or (on.until is not None and now >= on.until):
            return None
        fault = on.fault
        return fault if isinstance(fault, kind) and fault.hits(session, system_id) else None

    def spend(
        self, kind: type[StandingFault], session: int, system_id: str, now: float
    ) -> StandingFault | None:
        """As `find`, if it is its turn now; then one use is counted, the last lifts the fault."""
        fault = self.find(kind, session, system_id, now)
        on = self._on.get(kind)
        if fault is None or on is None:
            return None
        on.seen += 1
        if on.seen < fault.turn:
            return None
        on.seen = 0
        self.take(kind, 1)
        return fault

    def take(self, kind: type[Standing], wanted: int) -> int:
        """Count so many uses, or those that are left; the last lifts the fault."""
        on = self._on.get(kind)
        if on is None:
            return 0
        if on.left is None:
            return wanted
        taken = min(on.left, wanted)
        on.left -= taken
        if not on.left:
            del self._on[kind]
        return taken

    def refuse_submit(self, session: int, system_id: str, now: float, chance: Random) -> int:
        """The status this submit is refused with; 0 when it is not."""
        fault = self.find(RefuseSubmits, session, system_id, now)
        if fault is None or (fault.percent < 100 and chance.random() * 100 >= fault.percent):
            return 0
        self.spend(RefuseSubmits, session, system_id, now)
        return fault.status

    def shown(self) -> dict[str, object]:
        """What is on, for people."""
        return {NAMES[kind]: msgspec.to_builtins(on.fault) for kind, on in self._on.items()}
