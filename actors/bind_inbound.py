"""A bind's inbound side: raw PDUs into the ledger in batches, then their answers, then receipts."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from uuid_utils.compat import uuid7

from hermes import crash
from hermes.core.errors import StoreUnavailable
from hermes.ports.inbound_store import Inbound as InboundRow
from hermes.ports.inbound_store import InboundStore
from hermes.ports.link import Inbound, Link
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.receipt_text import is_receipt, parse_receipt

STORED = 0x00
TEMPORARY = 0x64
ANSWER_WITHIN = 2.0
"""Seconds after which a PDU that is not stored is refused for now."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose PDUs these are, and among how many receipt stages they are shared."""

    carrier: str
    bind: str
    host: str
    partitions: int


def partition_of(frame: bytes, place: Place) -> int:
    """Give the receipt stage of a PDU: receipts of one id, and parts of one MO, go to the same."""
    if place.partitions == 1:
        return 0
    pdu, _ = decode_tolerant(frame)
    if is_receipt(pdu):
        key = parse_receipt(pdu).id
    else:
        key = f"{pdu.text('source_addr')} {pdu.text('destination_addr')}"
    return zlib.crc32(f"{place.carrier} {key}".encode()) % place.partitions


class InboundSide:
    """deliver_sm is answered 0 once it is in the ledger.

    It is answered 0x64 when that fails or takes too long, or too many wait.
    """

    def __init__(
        self,
        place: Place,
        store: InboundStore,
        emit: Callable[[list[InboundRow]], None],
        clock: Callable[[], datetime],
        limits: tuple[int, int, float],
    ) -> None:
        """`limits` = most unanswered, batch items, batch seconds."""
        self.place, self.store, self.emit, self.clock = place, store, emit, clock
        self.max_unanswered, self.items, self.wait = limits
        self.waiting: deque[tuple[Inbound, Link]] = deque()
        self.unanswered = 0
        self.refused = 0
        self.came = asyncio.Event()

    def on_deliver(self, inbound: Inbound, link: Link) -> None:
        """A PDU came: queue it, or ask the carrier to send it again later."""
        if self.unanswered >= self.max_unanswered:
            self.refused += 1
            link.answer(inbound, TEMPORARY)
            return
        self.unanswered += 1
        self.waiting.append((inbound, link))
        self.came.set()

    async def store_forever(self) -> None:
        """Store what comes, fifty or ten milliseconds at a time."""
        while True:
            await self.came.wait()
            if len(self.waiting) < self.items:
                await asyncio.sleep(self.wait)
            batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), 4 * self.items))]
            if not self.waiting:
                self.came.clear()
            await self.store_batch(batch)

    async def store_batch(self, batch: list[tuple[Inbound, Link]]) -> None:
        """Commit a batch and answer it."""
        now = self.clock()
        rows = [self.row(inbound, now) for inbound, _ in batch]
        try:
            async with asyncio.timeout_at(batch[0][0].received + ANSWER_WITHIN):
                await self.store.append(rows)
        except (StoreUnavailable, TimeoutError):
            self.refused += len(batch)
            self.answer(batch, TEMPORARY)
            return
        crash.at("after_inbound", len(batch))
        self.answer(batch, STORED)
        self.emit(rows)

    def answer(self, batch: list[tuple[Inbound, Link]], status: int) -> None:
        """Answer each with its own sequence number."""
        self.unanswered -= len(batch)
        crash.at("before_deliver_resp", len(batch))
        for inbound, link in batch:
            link.answer(inbound, status)

    def row(self, inbound: Inbound, now: datetime) -> InboundRow:
        """Make the ledger's row of a PDU."""
        return InboundRow(
            id=uuid7(),
            carrier=self.place.carrier,
            bind=self.place.bind,
            host=self.place.host,
            received_at=now,
            raw=inbound.frame,
            partition=partition_of(inbound.frame, self.place),
            kind="data_sm" if inbound.command_id == 0x103 else "deliver_sm",
        )
