"""A message as the front door accepts it and as INTAKE carries it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from hermes.core.plan import Plan
from hermes.core.units import Moment, SegmentCount, TrafficClass
from hermes.core.wire import check_version, read

INTAKE_VERSION = 1
READABLE = (0, 1)


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An accepted message with its body: the row of the ledger and the payload of INTAKE.

    `to` is E.164 with a plus, `sender` alphanumeric, short code or E.164 (None: carrier default),
    `segments` the estimate the front door priced and admitted, times are aware UTC.
    """

    id: UUID
    tenant: str
    to: str
    text: str
    plan: Plan
    accepted_at: Moment
    expires_at: Moment
    traffic: TrafficClass = "transactional"
    sender: str | None = None
    segments: SegmentCount = 1
    send_at: Moment | None = None
    reference: str | None = None
    traceparent: str | None = None
    # a factory, because a default would be left out on the wire
    v: int = msgspec.field(default_factory=lambda: INTAKE_VERSION)


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """Encode a message for INTAKE."""
    return ENCODER.encode(message)


def decode_message(data: bytes) -> Message:
    """Decode a message from INTAKE. Raises Unreadable."""
    message = read(DECODER, "intake message", data)
    check_version("intake message", message.v, READABLE)
    return message
