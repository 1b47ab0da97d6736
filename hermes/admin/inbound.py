"""What came from carriers, behind the admin API: messages from handsets, receipts of nobody."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from hermes.admin.answer import as_json, guarded, number
from hermes.ports.inbound_store import Inbound, InboundStore
from hermes.ports.mo_store import MoStore
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.receipt_text import parse_receipt

PAGE = 50
LONGEST_PAGE = 1000


class OrphanReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt whose message is not known: `id` as the carrier wrote it, `source` the handset."""

    received_at: datetime
    carrier: str
    bind: str
    id: str
    source: str
    stat: str
    err: str


def add_inbound_routes(app: web.Application, mo: MoStore, inbound: InboundStore) -> None:
    """Add `/v1/inbound` and `/v1/orphans`, both with `?limit=`, newest first."""

    async def messages(request: web.Request) -> web.Response:
        return as_json({"inbound": await mo.latest(limit_of(request))})

    async def orphans(request: web.Request) -> web.Response:
        rows = await inbound.orphans(limit_of(request))
        return as_json({"orphans": [orphan_of(row) for row in rows]})

    app.router.add_get("/v1/inbound", guarded(messages))
    app.router.add_get("/v1/orphans", guarded(orphans))


def limit_of(request: web.Request) -> int:
    """Give how many to show. Raises HTTPBadRequest."""
    return max(1, min(number(request, "limit", PAGE), LONGEST_PAGE))


def orphan_of(row: Inbound) -> OrphanReceipt:
    """Read a receipt nobody was found for."""
    pdu, _ = decode_tolerant(row.raw)
    receipt = parse_receipt(pdu)
    return OrphanReceipt(
        received_at=row.received_at,
        carrier=row.carrier,
        bind=row.bind,
        id=receipt.id,
        source=pdu.text("source_addr"),
        stat=receipt.stat,
        err=receipt.err,
    )
