"""One system_id at the SMSC, and an accepted message of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hermes.simulator.outbox import Outbox

if TYPE_CHECKING:
    from hermes.simulator.outcome import Stat
    from hermes.simulator.session import Session
    from hermes.simulator.throughput import Cap
    from hermes.smpp.pdu import Pdu


@dataclass(slots=True)
class AccountState:
    """What an account has now; `queued` messages are accepted and not final yet."""

    system_id: str
    cap: Cap | None
    outbox: Outbox
    sessions: dict[int, Session] = field(default_factory=dict)
    queued: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Message `number`; `stat` is what will become of it, `at` seconds since 1970."""

    account: AccountState
    session: int
    pdu: Pdu
    number: int
    message_id: str
    receipt_id: str
    stat: Stat
    at: float
    echo: str
