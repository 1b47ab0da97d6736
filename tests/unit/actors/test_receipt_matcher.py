"""A receipt whose id nobody knows finds its uncertain attempt only where there is no doubt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from actors.receipt_matcher import Matcher, read
from hermes.core.carrier import Carrier
from hermes.core.ids import attempt_id, encode_message_id
from hermes.ports.inbound_store import FoundAttempt, Inbound
from hermes.smpp.submit import reference_of
from hermes.smpp.tlv import Tlv, TlvTag
from hermes.testing.memory_claims import MemoryClaims
from hermes.testing.memory_inbound_store import MemoryInboundStore
from hermes.testing.memory_ledger import MemoryLedger
from hermes.testing.memory_receipt_store import MemoryReceiptStore
from tests.unit.actors.inbound_pdus import deliver_row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = [attempt_id(encode_message_id(UUID(int=n)), 0, 0) for n in (1, 2)]


class Uncertain(MemoryInboundStore):
    """Attempts to one number whose outcome is open."""

    def __init__(self, *segments: int) -> None:
        super().__init__(MemoryLedger(lambda: NOW))
        self.attempts = [
            FoundAttempt(
                attempt=name,
                tenant="t",
                segment=None,
                segments=count,
                expires_at=NOW + timedelta(hours=1),
            )
            for name, count in zip(NAMES, segments, strict=False)
        ]

    async def find_uncertain(
        self, carrier: str, recipients: Sequence[str]
    ) -> dict[str, list[FoundAttempt]]:
        """Give them."""
        return dict.fromkeys(recipients, self.attempts)


def receipt(reference: int | None = None) -> Inbound:
    """A final receipt with an id of nobody."""
    value = b"" if reference is None else reference.to_bytes(2, "big")
    tlvs = () if reference is None else (Tlv(TlvTag.user_message_reference, value),)
    text = b"id:unknown-1 stat:DELIVRD done date:2601011200 err:000 text:"
    return deliver_row(7, "a", NOW, tlvs, source_addr="4510", esm_class=4, short_message=text)


async def found(store: Uncertain, row: Inbound) -> tuple[str, int] | None:
    """Whose the receipt is: attempt and segment."""
    known = read(row, Carrier(id="a"))
    assert known is not None
    matcher = Matcher(MemoryReceiptStore(MemoryClaims(lambda: 0.0)), store)
    (target,) = await matcher.match("a", [known])
    return None if target is None else (target.attempt, target.segment)


async def test_the_only_uncertain_attempt_to_a_number_is_settled_by_its_receipt() -> None:
    assert await found(Uncertain(1), receipt()) == (NAMES[0], 0)


async def test_of_two_attempts_or_several_segments_none_is_guessed() -> None:
    assert await found(Uncertain(1, 1), receipt()) is None
    assert await found(Uncertain(3), receipt()) is None


async def test_the_reference_a_carrier_repeats_tells_attempt_and_segment() -> None:
    place = (reference_of(NAMES[1]) + 2) & 0xFFFF
    assert await found(Uncertain(3, 3), receipt(place)) == (NAMES[1], 2)


async def test_the_time_in_a_receipt_is_read_in_the_zone_of_its_carrier() -> None:
    for zone, said in (("UTC", "12:00"), ("Asia/Kolkata", "06:30")):
        known = read(receipt(), Carrier(id="a", tz=zone))
        assert known is not None
        assert known.note.done == f"2026-01-01T{said}:00+00:00"
        assert known.note.words == f"err 000, done 2026-01-01T{said}:00+00:00"
