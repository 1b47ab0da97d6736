"""The kinds of dead letters: of a whole delivery, an event in one, a claim, a row of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from hermes.core.dead_letter import CLAIMS, LEDGER, DeadLetter, ids_in
from hermes.ports.clock_store import SetAside
from hermes.ports.stream import EVENTS, Delivery


class Named(NamedTuple):
    """A letter and the id under which the belt knows a repeat of it."""

    name: str
    letter: DeadLetter


def of_delivery(delivery: Delivery, why: str, at: datetime) -> Named:
    """Make the letter of a job, an intake message or a whole envelope, which it keeps."""
    message, attempt = ids_in(delivery.data)
    letter = DeadLetter(
        stream=delivery.stream,
        subject=delivery.subject,
        reason=why,
        at=at,
        seq=delivery.seq,
        num_delivered=delivery.num_delivered,
        message=message,
        attempt=attempt,
        envelope=delivery.data if delivery.stream == EVENTS else None,
    )
    return Named(f"{delivery.stream}-{delivery.seq}", letter)


def of_event(
    delivery: Delivery, why: str, at: datetime, envelope: bytes, event: UUID | int
) -> Named:
    """Make the letter of one event, alone in `envelope`: its id, or its place if it has none."""
    name, letter = of_delivery(delivery, why, at)
    message, _ = ids_in(envelope)
    known = event if isinstance(event, UUID) else None
    return Named(
        f"{name}-{event}", replace(letter, message=message, event=known, envelope=envelope)
    )


def of_claim(key: str, attempt: str, why: str, at: datetime, num_delivered: int) -> Named:
    """Make the letter of a claim: its attempt comes back by the ledger clock."""
    letter = DeadLetter(
        stream=CLAIMS,
        subject=key,
        reason=why,
        at=at,
        num_delivered=num_delivered,
        message=attempt.partition(".")[0],
        attempt=attempt,
    )
    return Named(f"{CLAIMS}-{attempt}", letter)


def of_row(row: SetAside, at: datetime) -> Named:
    """Make the letter of a row whose clock is stopped."""
    letter = DeadLetter(
        stream=LEDGER,
        subject=row.table,
        reason=row.why,
        at=at,
        message=row.name.partition(".")[0],
        attempt=row.name if row.table == "attempt" else None,
        action=row.action,
    )
    # each sweep that finds it is an occurrence of its own: it may be started and stopped again
    return Named(f"{LEDGER}-{row.name}-{at.timestamp()}", letter)
