"""Port of correlation: carrier message ids to attempts, whichever side comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from hermes.core.units import Success
from hermes.smpp.message_id import IdForm


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a carrier message id stands for: one segment of one attempt.

    `carrier_message_id` as the response gave it; addresses as the submit carried them. Stored by
    position: append only, memory outlives the version that wrote it.
    """

    carrier_message_id: str
    source: str
    destination: str
    attempt: str
    tenant: str
    segment: int = 0
    segments: int = 1
    success: Success = "delivered"


class Accepted(NamedTuple):
    """A response of the carrier: its id is in the target; remembered for `ttl_s` seconds."""

    target: Target
    ttl_s: int


class Receipt(NamedTuple):
    """A receipt, addresses as it carries them: its source is the destination of the submit.

    `inbound` is the key of the stored PDU; `is_final` as the receipt says.
    """

    id: str
    source: str
    destination: str
    inbound: str
    is_final: bool


class OrphanMatch(NamedTuple):
    """A receipt that came before its response: its stored PDU, and whose it turns out to be."""

    inbound: str
    target: Target


class Settlement(NamedTuple):
    """One response: the outcome for the claim and, where accepted, the id to remember."""

    attempt: str
    segment: int
    outcome: str
    reason: str = ""
    accepted: Accepted | None = None


class ReceiptStore(Protocol):
    """Pairs responses and receipts of one carrier; each side writes and looks in one step.

    A form of an id other than its own only matches when the addresses agree. Repeats are
    harmless. All raise StoreUnavailable, after which the call may be repeated.
    """

    async def accepted(self, carrier: str, items: Sequence[Accepted]) -> list[OrphanMatch]:
        """Remember ids; give the orphans they match, which are orphans no longer."""
        ...

    async def settle_accepted(self, carrier: str, items: Sequence[Settlement]) -> list[OrphanMatch]:
        """Do `Claims.settle` and `accepted` for a batch of responses in one round trip."""
        ...

    async def receipt(self, carrier: str, items: Sequence[Receipt]) -> list[Target | None]:
        """Give whose each receipt is; None: not known (yet), it is kept as an orphan.

        After a final one the id is remembered for an hour more. An empty id matches nothing and
        is not kept.
        """
        ...

    async def learned_form(self, carrier: str) -> IdForm | None:
        """Give the form in which this carrier's receipts last repeated an id, None if never
        in another than its own."""
        ...
