"""Ids: message (`msg_` + UUIDv7 in base32), attempt (`<message>.<step>.<n>`), names."""

from __future__ import annotations

import re
from base64 import b32hexencode
from typing import NewType
from uuid import UUID

from hermes.core.errors import TenantError

MessageId = NewType("MessageId", str)
AttemptId = NewType("AttemptId", str)
TenantId = NewType("TenantId", str)
CarrierId = NewType("CarrierId", str)
BindId = NewType("BindId", str)
HostId = NewType("HostId", str)

NAME = re.compile(r"[a-z0-9-]{1,32}")
MESSAGE = re.compile(r"msg_[0-9a-hjkmnp-tv-z]{26}")
PREFIX = "msg_"

# Crockford's alphabet: no i, l, o, u; sorts like the number, so ids sort by time.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
TO_LETTERS = bytes.maketrans(DIGITS.encode(), ALPHABET.encode())
TO_DIGITS = str.maketrans(ALPHABET, DIGITS)


class BadId(TenantError):
    """The text is not an id of this kind."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind, self.text = kind, text
        super().__init__(f"not a {kind} id: {text[:64]!r}")


def is_name(text: str) -> bool:
    """Say whether `text` is a tenant, carrier, bind, host or lane id."""
    return NAME.fullmatch(text) is not None


def encode_message_id(value: UUID) -> MessageId:
    """Give the outside form of a message id: `msg_` and 26 base32 letters."""
    # 130 bits right-aligned in 20 octets: base32hex gives six zeros, then our 26 letters
    letters = b32hexencode(value.int.to_bytes(20, "big"))[6:].translate(TO_LETTERS)
    return MessageId(PREFIX + letters.decode())


def decode_message_id(text: str) -> UUID:
    """Give the ledger form of a message id. Raises BadId."""
    if MESSAGE.fullmatch(text) is None:
        raise BadId("message", text)
    number = int(text[4:].translate(TO_DIGITS), 32)
    if number >> 128:
        raise BadId("message", text)
    return UUID(int=number)


def attempt_id(message: str, step: int, n: int) -> AttemptId:
    """Join message, step (from 0) and resend number n (from 0) into an attempt id."""
    return AttemptId(f"{message}.{step}.{n}")


def split_attempt_id(text: str) -> tuple[MessageId, int, int]:
    """Split an attempt id into message, step and n. Raises BadId."""
    message, _, rest = text.partition(".")
    step, _, n = rest.partition(".")
    if MESSAGE.fullmatch(message) is None or not (step.isdecimal() and n.isdecimal()):
        raise BadId("attempt", text)
    return MessageId(message), int(step), int(n)


def lane_of(tenant: str, lanes: int = 8) -> int:
    """Give the lane of a tenant on a carrier's belt: stable on every host and version."""
    number = 2166136261
    for octet in tenant.encode():
        number = (number ^ octet) * 16777619 & 0xFFFFFFFF
    return number % lanes
