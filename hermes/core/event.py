"""Events: every change of an attempt, with its reason; repeats carry the same id."""

from __future__ import annotations

from typing import Literal, NamedTuple
from uuid import UUID, uuid5

import msgspec

from hermes.core.errors import Unreadable
from hermes.core.units import Moment, Money, Reason
from hermes.core.wire import check_version, read

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
    "superseded",
    "complaint",
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
    at: Moment
    source: Source
    # a factory, because a default would be left out on the wire
    v: int = msgspec.field(default_factory=lambda: EVENT_VERSION)
    segment: int | None = None
    segments: int = 1
    reason: Reason | None = None
    carrier: str | None = None
    carrier_message_id: str | None = None
    money: Money | None = None
    retry_at: Moment | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What one message on EVENTS carries: up to 100 events."""

    events: tuple[Event, ...]
    v: int = EVENT_VERSION


def event_id(attempt: str, kind: str, segment: int | None, detail: str = "") -> UUID:
    """Give the id of an event: the same fact told twice has the same id."""
    return uuid5(NAMESPACE, f"{attempt}|{kind}|{'' if segment is None else segment}|{detail}")


class SealedEnvelope(msgspec.Struct, frozen=True):
    """An envelope whose events are not looked into."""

    events: tuple[msgspec.Raw, ...]
    v: int = EVENT_VERSION


class BadPart(NamedTuple):
    """An event of an envelope that cannot be read; `envelope` holds it alone, as it came."""

    place: int
    envelope: bytes
    error: Unreadable


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Envelope)
SEALED = msgspec.json.Decoder(SealedEnvelope)
EVENT = msgspec.json.Decoder(Event)


def encode_envelope(events: tuple[Event, ...]) -> bytes:
    """Encode up to 100 events for the belt."""
    return ENCODER.encode(Envelope(events))


def decode_envelope(data: bytes) -> tuple[Event, ...]:
    """Decode an envelope. Raises Unreadable on anything but a version this reader knows."""
    envelope = read(DECODER, "event envelope", data)
    check_version("event envelope", envelope.v, READABLE)
    for event in envelope.events:
        check_version("event", event.v, READABLE)
    return envelope.events


def split_envelope(data: bytes) -> tuple[tuple[Event, ...], list[BadPart]]:
    """Decode the events that can be read, and give those that cannot, each by itself.

    Raises Unreadable where it is no envelope, or one of a version this reader does not know.
    """
    try:
        return decode_envelope(data), []
    except Unreadable as error:
        envelope = read(SEALED, "event envelope", data)
        check_version("event envelope", envelope.v, READABLE)
        if len(envelope.events) > MAX_ENVELOPE:
            raise Unreadable("event envelope", error.why) from error
    good: list[Event] = []
    bad: list[BadPart] = []
    for place, raw in enumerate(envelope.events):
        try:
            event = read(EVENT, "event", bytes(raw))
            check_version("event", event.v, READABLE)
            good.append(event)
        except Unreadable as error:
            alone = ENCODER.encode(SealedEnvelope((raw,), envelope.v))
            bad.append(BadPart(place, alone, error))
    return tuple(good), bad
