"""Port of the suppression list: who gets no more mail or messages of a tenant, and why."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol
from uuid import UUID


class Recipient(NamedTuple):
    """Whom a tenant writes to: (tenant, channel, address); letters of any size are the same."""

    tenant: str
    channel: str
    address: str


class SuppressionStore(Protocol):
    """The list in the ledger. All raise StoreUnavailable."""

    async def suppress_attempt(self, message: UUID, step: int, reason: str) -> bool:
        """Put the recipient of a mail on its tenant's list, for ever.

        True where that changed the list; False for one who is on it already, a step that is no
        mail, and a message whose addresses are gone.
        """
        ...

    async def suppressed(self, wanted: Collection[Recipient]) -> set[Recipient]:
        """Give those who are on their tenant's list now, spelled as they were asked for."""
        ...
