"""Port of events: fold them into the states of attempts and messages, once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from hermes.core.event import Event
from hermes.core.state import MessageState


class BadEvent(msgspec.Struct, frozen=True):
    """An event the ledger cannot take, for the dead letters."""

    event: Event
    why: str


class Turn(msgspec.Struct, frozen=True):
    """A message whose state changed."""

    message: UUID
    tenant: str
    state: MessageState


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: events that were new, told before, or bad; messages that turned."""

    new: int = 0
    repeated: int = 0
    bad: tuple[BadEvent, ...] = ()
    turns: tuple[Turn, ...] = ()


class EventStore(Protocol):
    """The recorder's side of the ledger."""

    async def apply(
        self, events: Sequence[Event], receiptless: frozenset[str] = frozenset()
    ) -> Applied:
        """Store events and fold the new ones into attempts and messages, in one transaction.

        Sets the clock of every attempt it touches and writes the webhook outbox for each message
        that reaches a final state while its tenant has an endpoint. `receiptless` are the
        carriers that give no receipts: there `sent` is final. A bad event is set apart and never
        holds up the rest. Raises StoreUnavailable; may be called again with the same events.
        """
        ...
