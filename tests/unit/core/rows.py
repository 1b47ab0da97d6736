"""Rows and events of one message for tests of the cores that fold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hermes.core.attempt import Attempt
from hermes.core.event import Event, EventKind, Source, event_id
from hermes.core.ids import attempt_id, encode_message_id
from hermes.core.outcome import MessageRow
from hermes.core.plan import ONE_SMS
from hermes.core.sweep import SweptMessage
from hermes.core.units import Reason

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPIRES: Final = NOW + timedelta(hours=24)
ID: Final = UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0001)
NAME: Final = encode_message_id(ID)
BIND: Final = Source(host="h1", actor="sim-1", boot="b1")


def attempt(**fields: Any) -> Attempt:
    """Make an attempt on the carrier sim; what is not given is as intake makes it."""
    known = {
        "message": ID,
        "step": 0,
        "n": 0,
        "tenant": "acme",
        "carrier": "sim",
        "expires_at": EXPIRES,
        "next_at": EXPIRES + timedelta(seconds=30),
        "next_action": "expire",
    }
    return Attempt(**{**known, **fields})


def row(**fields: Any) -> MessageRow:
    """Make a message that was taken in."""
    known = {
        "id": ID,
        "tenant": "acme",
        "traffic": "transactional",
        "success": "delivered",
        "expires_at": EXPIRES,
        "state": "processing",
    }
    return MessageRow(**{**known, **fields})


def swept(**fields: Any) -> SweptMessage:
    """Make a message as a sweep finds it, with its body."""
    known = {
        "id": ID,
        "tenant": "acme",
        "traffic": "transactional",
        "success": "delivered",
        "expires_at": EXPIRES,
        "state": "processing",
        "accepted_at": NOW,
        "to": "+491700000001",
        "text": "hello",
        "plan": ONE_SMS,
    }
    return SweptMessage(**{**known, **fields})


def event(kind: EventKind, *, n: int = 0, step: int = 0, **fields: Any) -> Event:
    """Make an event of a bind of the carrier sim."""
    name = attempt_id(NAME, step, n)
    known = {
        "id": event_id(name, kind, fields.get("segment"), repr(sorted(fields.items()))),
        "message": NAME,
        "step": step,
        "attempt_n": n,
        "kind": kind,
        "at": NOW,
        "source": BIND,
        "carrier": "sim",
    }
    return Event(**{**known, **fields})


def reason(code: str) -> Reason:
    """Make a reason with a text."""
    return Reason(code, f"because of {code}")
