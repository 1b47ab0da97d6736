"""Finds whose a receipt is: in memory, then in the ledger by id, then among uncertain attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from hermes.core.carrier import Carrier
from hermes.core.number_match import addresses_agree, digits
from hermes.core.receipt import ReceiptNote
from hermes.ports.inbound_store import FoundAttempt, Inbound, InboundStore
from hermes.ports.receipt_store import Receipt, ReceiptStore, Target
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.message_id import forms
from hermes.smpp.receipt_text import is_receipt, moment, parse_receipt
from hermes.smpp.submit import reference_of
from hermes.smpp.tlv import TlvTag


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """A stored PDU that is a receipt; `reference` is the user_message_reference it carries."""

    row: Inbound
    receipt: Receipt
    note: ReceiptNote
    reference: int | None


def read(row: Inbound, carrier: Carrier | None) -> ReadReceipt | None:
    """Read a raw PDU; None for anything but a receipt. Never raises, whatever it is."""
    pdu, _ = decode_tolerant(row.raw)
    by_text = carrier is not None and carrier.receipt_in_text
    if not is_receipt(pdu, by_text=by_text):
        return None
    parsed = parse_receipt(pdu)
    done = moment(parsed.done, UTC if carrier is None else ZoneInfo(carrier.tz))
    said = "" if done is None else done.astimezone(UTC).isoformat()
    note = ReceiptNote(str(row.id), parsed.stat, parsed.err.replace(" ", "_"), said)
    tlv = pdu.tlv(TlvTag.user_message_reference)
    reference = None if tlv is None else int.from_bytes(tlv, "big")
    source, destination = (str(pdu.fields.get(k, "")) for k in ("source_addr", "destination_addr"))
    receipt = Receipt(parsed.id, source, destination, str(note), parsed.final)
    return ReadReceipt(row, receipt, note, reference)


class Matcher:
    """Every step is one call for the whole batch, asked only for what the step before missed."""

    def __init__(self, receipts: ReceiptStore, store: InboundStore) -> None:
        self.receipts, self.store = receipts, store

    async def match(self, carrier: str, reads: Sequence[ReadReceipt]) -> list[Target | None]:
        """Give whose each receipt of a carrier is; None: nobody's yet. Raises StoreUnavailable."""
        targets = await self.receipts.receipt(carrier, [known.receipt for known in reads])
        if any(target is None for target in targets):
            return await self.match_in_ledger(carrier, reads, targets)
        return targets

    async def match_in_ledger(
        self, carrier: str, reads: Sequence[ReadReceipt], targets: list[Target | None]
    ) -> list[Target | None]:
        """Fill in what memory does not know."""
        missed = [r.receipt for r, target in zip(reads, targets, strict=True) if target is None]
        keys = {key.key for receipt in missed for key in forms(receipt.id)}
        by_id = await self.store.find_attempt(carrier, sorted(keys)) if keys else {}
        numbers = {f"+{digits(receipt.source)}" for receipt in missed if receipt.is_final}
        by_number = await self.store.find_uncertain(carrier, sorted(numbers)) if numbers else {}
        return [
            target or of_id(known.receipt, by_id) or of_number(known, by_number)
            for known, target in zip(reads, targets, strict=True)
        ]


def of_id(receipt: Receipt, found: dict[str, FoundAttempt]) -> Target | None:
    """Give the target the ledger knows by a form of the id; other forms need the addresses too."""
    for key in forms(receipt.id):
        attempt = found.get(key.key)
        if attempt is None:
            continue
        submitted = (digits(attempt.sender or ""), digits(attempt.to or ""))
        received = (digits(receipt.source), digits(receipt.destination))
        if not key.needs_address_check or addresses_agree(submitted, received):
            return target_of(receipt, attempt)
    return None


def of_number(known: ReadReceipt, found: dict[str, list[FoundAttempt]]) -> Target | None:
    """Give the uncertain attempt to the number a receipt comes from.

    By the user_message_reference it carries, which tells the segment too; without one there must be
    just one attempt, of one segment.
    """
    receipt = known.receipt
    if not receipt.is_final:
        return None
    attempts = found.get(f"+{digits(receipt.source)}", [])
    if known.reference is not None:
        for attempt in attempts:
            segment = (known.reference - reference_of(attempt.attempt)) & 0xFFFF
            if segment < attempt.segments:
                return target_of(receipt, replace(attempt, segment=segment))
    if len(attempts) == 1 and attempts[0].segments == 1:
        return target_of(receipt, attempts[0])
    return None


def target_of(receipt: Receipt, found: FoundAttempt) -> Target:
    """Make a target of what the ledger knows."""
    return Target(
        receipt.id,
        receipt.destination,
        receipt.source,
        found.attempt,
        found.tenant,
        segment=found.segment or 0,
        segments=found.segments,
    )
