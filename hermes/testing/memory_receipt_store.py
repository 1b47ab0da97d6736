"""Correlation of responses and receipts in this process; nothing expires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hermes.core.number_match import addresses_agree, digits
from hermes.ports.claims import Claims, Settled
from hermes.ports.receipt_store import Accepted, OrphanMatch, Receipt, Settlement, Target
from hermes.smpp.message_id import IdForm, IdKey, forms


@dataclass(slots=True)
class Carrier:
    """What is known of one carrier: targets by every notation of their id, orphans in order."""

    targets: dict[str, Target] = field(default_factory=dict)
    orphans: list[Receipt] = field(default_factory=list)
    learned: IdForm | None = None


class MemoryReceiptStore:
    """Implements ReceiptStore; `claims` takes the outcomes of `settle_accepted`."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._carriers: dict[str, Carrier] = {}

    async def accepted(self, carrier: str, items: Sequence[Accepted]) -> list[OrphanMatch]:
        """See `ReceiptStore.accepted`."""
        known = self._carriers.setdefault(carrier, Carrier())
        found: list[OrphanMatch] = []
        for target, _ in items:
            if not target.carrier_message_id:
                continue
            known.targets[target.carrier_message_id] = target
            for receipt in tuple(known.orphans):
                form = match_form(receipt, target)
                if form is not None:
                    known.learned = known.learned if form is IdForm.AS_IS else form
                    known.orphans.remove(receipt)
                    found.append(OrphanMatch(receipt.inbound, target))
        return found

    async def settle_accepted(self, carrier: str, items: Sequence[Settlement]) -> list[OrphanMatch]:
        """See `ReceiptStore.settle_accepted`."""
        await self._claims.settle(carrier, [Settled(*item[:4]) for item in items])
        return await self.accepted(
            carrier, [item.accepted for item in items if item.accepted is not None]
        )

    async def receipt(self, carrier: str, items: Sequence[Receipt]) -> list[Target | None]:
        """See `ReceiptStore.receipt`."""
        known = self._carriers.setdefault(carrier, Carrier())
        return [self._match(known, receipt) for receipt in items]

    async def learned_form(self, carrier: str) -> IdForm | None:
        """See `ReceiptStore.learned_form`."""
        return self._carriers.get(carrier, Carrier()).learned

    def _match(self, known: Carrier, receipt: Receipt) -> Target | None:
        exact = known.targets.get(receipt.id)
        if exact is not None:
            return exact
        for target in known.targets.values():
            form = match_form(receipt, target)
            if form is not None:
                known.learned = form
                return target
        if receipt.id and receipt not in known.orphans:
            known.orphans.append(receipt)
        return None


def match_form(receipt: Receipt, target: Target) -> IdForm | None:
    """Give the form in which a receipt repeats a target's id, None if it is not this one's."""
    if receipt.id == target.carrier_message_id:
        return IdForm.AS_IS
    submitted = digits(target.source), digits(target.destination)
    if not addresses_agree(submitted, (digits(receipt.source), digits(receipt.destination))):
        return None
    own = {key.key for key in forms(target.carrier_message_id) if is_kept(key)}
    form = next((key.form for key in forms(receipt.id) if key.key in own), None)
    return IdForm.ZEROS if form is IdForm.AS_IS else form


def is_kept(key: IdKey) -> bool:
    """Say whether a response is kept under such a key: converted numbers are looked up only."""
    return key.form in (IdForm.AS_IS, IdForm.CASE, IdForm.ZEROS)
