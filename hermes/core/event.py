"""Events: every change of an attempt, with its reason; repeats carry the same id."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

import msgspec

from hermes.core.errors import Unreadable
from hermes.core.units import Money, Reason

EVENT_VERSION = 1
READABLE = (0, 1)
NAMESPACE = UUID("6f6d9c1e-5b0a-5e0e-9a55-4865726d6573")
MAX_ENVELOPE = 100

EventKind = Literal[
    "queued",
    "submitting",
    "sent",
    "uncertain",
    "possible_duplicate",
    "deferred",
    "enroute",
    "delivered",
    "undelivered",
    "rejected",
    "failed",
    "expired",
    "cancelled",
    "unknown",
    "inbound",
    "parked",
]


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who saw it: host, actor and the boot (incarnation) of that actor."""

    host: str
    actor: str
    boot: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One fact about one attempt. Never carries text or addresses.

    `at` is the ledger's or the host's UTC time; `retry_at` belongs to `deferred`.
    """

    id: UUID
    message: str
    step: int
    attempt_n: int
    kind: EventKind
    at: datetime
    source: Source
    v: int = EVENT_VERSION
    segment: int | None = None
    segments: int = 1
    reason: Reason | None = None
    carrier: str | None = None
    carrier_message_id: str | None = None
    money: Money | None = None
    retry_at: datetime | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What one message on EVENTS carries: up to 100 events."""

    events: tuple[Event, ...]
    v: int = EVENT_VERSION


def event_id(attempt: str, kind: str, segment: int | None, detail: str = "") -> UUID:
    """Give the id of an event: the same fact told twice has the same id."""
    return uuid5(NAMESPACE, f"{attempt}|{kind}|{'' if segment is None else segment}|{detail}")


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Envelope)


def encode_envelope(events: tuple[Event, ...]) -> bytes:
    """Encode up to 100 events for the belt."""
    return ENCODER.encode(Envelope(events))


def decode_envelope(data: bytes) -> tuple[Event, ...]:
    """Decode an envelope. Raises Unreadable on anything but a version this reader knows."""
    try:
        envelope = DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("event envelope", str(error)) from error
    if envelope.v not in READABLE:
        raise Unreadable("event envelope", f"version {envelope.v}, this reader knows {READABLE}")
    return envelope.events
