"""The table of faults: what each one does, its parameters, and which are on now."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from hermes.simulator.refusal import Refusal, checked

if TYPE_CHECKING:
    from random import Random


class Ending(StrEnum):
    """How the SMSC ends a session."""

    rst = "rst"
    fin = "fin"
    unbind = "unbind"


class Silence(StrEnum):
    """What a black hole swallows."""

    all = "all"
    submits = "submits"
    binds = "binds"
    enquire_links = "enquire_links"


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a fault hits: one session, one account, or (0 and empty) everybody."""

    session: Annotated[int, Meta(ge=0)] = 0
    system_id: str = ""

    def hits(self, session: int, system_id: str) -> bool:
        return self.session in (0, session) and self.system_id in ("", system_id)


class Drop(Target, frozen=True, kw_only=True):
    """End the sessions now."""

    how: Ending = Ending.rst


class Inject(Target, frozen=True, kw_only=True):
    """Write raw octets into the sessions now."""

    hex: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2})+$")]


class Standing(Target, frozen=True, kw_only=True):
    """On until lifted, for `seconds`, or for `count` uses; 0 is no limit."""

    seconds: Annotated[float, Meta(ge=0)] = 0
    count: Annotated[int, Meta(ge=0)] = 0


class DropOnSubmit(Standing, frozen=True, kw_only=True):
    """End the session at the `after`-th submit_sm from now on, which gets no answer.

    `accept`: that message is accepted all the same. Lifts itself unless `count` says otherwise.
    """

    after: Annotated[int, Meta(ge=1)] = 1
    how: Ending = Ending.rst
    accept: bool = True
    count: Annotated[int, Meta(ge=0)] = 1


class RefuseBinds(Standing, frozen=True, kw_only=True):
    """Answer binds with a status, with a body (system_id) or without."""

    status: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)] = 0x0D
    body: bool = True


class RefuseSubmits(Standing, frozen=True, kw_only=True):
    """Answer submits with a status, all or a share of them at random."""

    status: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)] = 0x58
    percent: Annotated[float, Meta(gt=0, le=100)] = 100


class BlackHole(Standing, frozen=True, kw_only=True):
    """Read, and answer nothing. `accept`: submits are accepted, only the answer is lost."""

    what: Silence = Silence.all
    accept: bool = False


class PauseReceipts(Standing, frozen=True, kw_only=True):
    """Send no deliver_sm; they wait."""


class EarlyReceipts(Standing, frozen=True, kw_only=True):
    """Send the receipt before the submit_sm_resp."""


class DuplicateReceipts(Standing, frozen=True, kw_only=True):
    """Send every receipt `copies` times."""

    copies: Annotated[int, Meta(ge=2, le=100)] = 2


Fault: TypeAlias = Drop | Inject | Standing

FAULTS: Final[dict[str, type[Drop | Inject | Standing]]] = {
    "drop": Drop,
    "inject": Inject,
    "drop_on_submit": DropOnSubmit,
    "refuse_binds": RefuseBinds,
    "refuse_submits": RefuseSubmits,
    "black_hole": BlackHole,
    "pause_receipts": PauseReceipts,
    "early_receipts": EarlyReceipts,
    "duplicate_receipts": DuplicateReceipts,
}
"""Every fault by its name in the control API. `Standing` ones stay on, the rest happen once."""

NAMES: Final = {kind: name for name, kind in FAULTS.items()}

StandingFault = TypeVar("StandingFault", bound=Standing)


def new_fault(name: str, values: object) -> Fault:
    """A fault from plain values. Raises Refusal."""
    kind = FAULTS.get(name)
    if kind is None:
        raise Refusal("name", f"is none of {', '.join(FAULTS)}")
    return checked(values, kind)


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
        kind = FAULTS.get(name)
        if kind is None:
            raise Refusal("name", f"is none of {', '.join(FAULTS)}")
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
        """As `find`, and count one use; the last use lifts the fault."""
        fault = self.find(kind, session, system_id, now)
        on = self._on.get(kind)
        if fault is None or on is None or on.left is None:
            return fault
        on.left -= 1
        if on.left <= 0:
            del self._on[kind]
        return fault

    def refuse_submit(self, session: int, system_id: str, now: float, chance: Random) -> int:
        """The status this submit is refused with; 0 when it is not."""
        fault = self.find(RefuseSubmits, session, system_id, now)
        if fault is None or (fault.percent < 100 and chance.random() * 100 >= fault.percent):
            return 0
        self.spend(RefuseSubmits, session, system_id, now)
        return fault.status

    def drop_on_submit(self, session: int, system_id: str, now: float) -> DropOnSubmit | None:
        """Counts a submit; the fault when it is the `after`-th."""
        fault = self.find(DropOnSubmit, session, system_id, now)
        if fault is None:
            return None
        on = self._on[DropOnSubmit]
        on.seen += 1
        if on.seen < fault.after:
            return None
        on.seen = 0
        return self.spend(DropOnSubmit, session, system_id, now)

    def shown(self) -> dict[str, object]:
        """What is on, for people."""
        return {NAMES[kind]: msgspec.to_builtins(on.fault) for kind, on in self._on.items()}
