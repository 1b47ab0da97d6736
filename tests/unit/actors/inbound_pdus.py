"""PDUs of a carrier as a bind stores them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from hermes.ports.inbound_store import Inbound
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode
from hermes.smpp.layout import LAYOUTS, Kind
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import Tlv

EMPTY = {Kind.text: "", Kind.octet: 0, Kind.message: b""}
BLANK: dict[str, object] = {name: EMPTY[kind] for name, kind in LAYOUTS[CommandId.deliver_sm]}


def deliver_row(
    number: int, carrier: str, received_at: datetime, tlvs: tuple[Tlv, ...] = (), **fields: object
) -> Inbound:
    """The row of a deliver_sm with these fields; `number` is its id."""
    return Inbound(
        id=UUID(int=number),
        carrier=carrier,
        bind="1",
        host="h1",
        received_at=received_at,
        raw=encode(Pdu(CommandId.deliver_sm, 0, 1, BLANK | fields, tlvs)),
        partition=0,
        kind="deliver_sm",
    )
