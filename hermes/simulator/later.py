"""The things a simulator has yet to do, as values of its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from hermes.simulator.fault import Flood, Refused

if TYPE_CHECKING:
    from hermes.simulator.account import Accepted, AccountState
    from hermes.simulator.receipt import Delivery
    from hermes.simulator.session import Session


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer a submit_sm; `message_id` is None when it was refused, `refused` how it is told."""

    session: Session
    sequence: int
    status: int
    message_id: str | None
    refused: Refused = Refused.bare


@dataclass(frozen=True, slots=True)
class Release:
    """A group of responses was held long enough; it is empty if it went out already."""

    group: list[Respond]


@dataclass(frozen=True, slots=True)
class Settle:
    """A message reaches its final state."""

    message: Accepted


@dataclass(frozen=True, slots=True)
class Owe:
    """A receipt or MO is to be sent, perhaps again."""

    account: AccountState
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Pour:
    """A flood goes on: `owed` of it were left at `at`."""

    fault: Flood
    at: float
    owed: float


@dataclass(frozen=True, slots=True)
class Enquire:
    """Every bound session is asked whether it lives; `period_ms` is the setting this obeys."""

    period_ms: float


@dataclass(frozen=True, slots=True)
class LiftFaults:
    """A standing fault has run its time."""


@dataclass(frozen=True, slots=True)
class CloseUnbound:
    """A connection had its time to bind."""

    session: Session


Later: TypeAlias = Respond | Release | Settle | Owe | Pour | Enquire | LiftFaults | CloseUnbound
