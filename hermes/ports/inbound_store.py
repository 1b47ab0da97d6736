"""Port of inbound PDUs: store them before they are answered, process them once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A raw PDU as it came; `id` is a UUIDv7 the bind made, `partition` its receipt stage."""

    id: UUID
    carrier: str
    bind: str
    host: str
    received_at: datetime
    raw: bytes
    partition: int
    kind: str


class FoundAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """The submit that a carrier's message id belongs to; `segment` None: the whole attempt.

    `to` and `sender` are None once the body is erased.
    """

    attempt: str
    tenant: str
    segment: int | None
    segments: int
    expires_at: datetime
    to: str | None = None
    sender: str | None = None


class InboundStore(Protocol):
    """Inbound PDUs of every bind, and the way back from a receipt to its attempt.

    Every method is one transaction and may be called again after StoreUnavailable, which each of
    them raises when the ledger cannot be reached.
    """

    async def append(self, rows: Sequence[Inbound]) -> None:
        """Store PDUs; once it returns they may be answered. A row stored before stays as it is."""
        ...

    async def unprocessed(
        self, partitions: Sequence[int], older_than_s: float, limit: int
    ) -> list[Inbound]:
        """Give PDUs of these partitions that were received at least so long ago, oldest first."""
        ...

    async def mark(self, ids: Sequence[UUID], result: str) -> None:
        """Note that PDUs were processed, and how it ended."""
        ...

    async def find_attempt(
        self, carrier: str, carrier_message_ids: Sequence[str]
    ) -> dict[str, FoundAttempt]:
        """Give the attempts whose `sent` events carry these ids, exactly as written.

        For receipts whose correlation is lost. Where a carrier used an id twice the newest wins.
        """
        ...

    async def adopt(self, ids: Sequence[UUID]) -> None:
        """Note that PDUs marked `orphan` were matched after all."""
        ...

    async def orphans(self, limit: int) -> list[Inbound]:
        """Give the receipts nobody was found for, newest first."""
        ...

    async def find_uncertain(
        self, carrier: str, recipients: Sequence[str]
    ) -> dict[str, list[FoundAttempt]]:
        """Give the attempts to these E.164 recipients whose outcome is open, oldest first.

        For receipts with an id nobody knows.
        """
        ...
