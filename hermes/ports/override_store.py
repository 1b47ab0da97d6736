"""Port of runtime intent: what an operator decided, and what survives every restart."""

from __future__ import annotations

from typing import Protocol

import msgspec


class CarrierIntent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wanted of a carrier for now; `reason` is for whoever reads it later."""

    paused: bool = False
    reason: str = ""


class OverrideStore(Protocol):
    """Overrides in the ledger. All raise StoreUnavailable."""

    async def carrier(self, carrier: str) -> CarrierIntent:
        """Give the intent for a carrier; without a decision nothing is overridden."""
        ...

    async def decide(self, carrier: str, intent: CarrierIntent, decided_by: str) -> None:
        """Keep a decision in place of an earlier one."""
        ...
