"""What whoever submits jobs needs of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from actors.dead_letter_sink import DeadLetterSink
from actors.event_sink import EventSink
from hermes.metrics import Metrics
from hermes.ports.claims import Claims, Leases
from hermes.ports.receipt_store import ReceiptStore
from hermes.ports.stream import Acknowledger


@dataclass(frozen=True, slots=True)
class Outside:
    """Stores, the belt, and the clock of the host."""

    claims: Claims
    leases: Leases
    belt: Acknowledger
    sink: EventSink
    dead: DeadLetterSink
    clock: Callable[[], datetime]
    memory_made_at: Callable[[], datetime]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class BindOutside(Outside):
    """A bind also matches receipts."""

    receipts: ReceiptStore
