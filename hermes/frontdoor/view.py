"""A message as its tenant sees it: states, attempts, and the trail of events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hermes.core.attempt import Attempt
from hermes.core.ids import encode_message_id
from hermes.core.message import Message
from hermes.ports.message_store import EventView, MessageView


def accepted_body(message: Message) -> dict[str, Any]:
    """Give the body of a 202."""
    name = encode_message_id(message.id)
    return {
        "id": name,
        "state": "accepted",
        "segments": message.segments,
        "accepted_at": moment(message.accepted_at),
        "expires_at": moment(message.expires_at),
        "links": {"self": f"/v1/messages/{name}"},
    }


def message_body(view: MessageView) -> dict[str, Any]:
    """Give the body of `GET /v1/messages/{id}`."""
    return {
        "id": encode_message_id(view.id),
        "state": view.state,
        "reason": reason_of(view.reason_code, view.reason_text),
        "to": view.to,
        "from": view.sender,
        "class": view.traffic,
        "segments": view.segments,
        "reference": view.reference,
        "possible_duplicate": view.possible_duplicate,
        "accepted_at": moment(view.accepted_at),
        "expires_at": moment(view.expires_at),
        "done_at": moment(view.done_at),
        "waits_for": None
        if view.next_action is None
        else {"action": view.next_action, "until": moment(view.next_at)},
        "attempts": [attempt_body(attempt) for attempt in view.attempts],
        "events": [event_body(event) for event in view.events],
    }


def attempt_body(attempt: Attempt) -> dict[str, Any]:
    """Give one attempt."""
    return {
        "id": attempt.id,
        "step": attempt.step,
        "n": attempt.n,
        "state": attempt.state.word,
        "carrier": attempt.carrier,
        "carrier_message_ids": [i for i in attempt.segment_ids or () if i is not None],
        "possible_duplicate": attempt.possible_duplicate,
        "queued_at": moment(attempt.queued_at),
        "sent_at": moment(attempt.sent_at),
        "done_at": moment(attempt.done_at),
        "reason": reason_of(attempt.reason_code, attempt.reason_text),
        "waits_for": None
        if attempt.next_action is None
        else {"action": attempt.next_action, "until": moment(attempt.next_at)},
    }


def event_body(event: EventView) -> dict[str, Any]:
    """Give one line of the trail."""
    return {
        "at": moment(event.at),
        "kind": event.kind,
        "step": event.step,
        "n": event.n,
        "segment": event.segment,
        "carrier": event.carrier,
        "carrier_message_id": event.carrier_message_id,
        "reason": reason_of(event.reason_code, event.reason_text),
        "source": f"{event.host}/{event.actor}",
    }


def reason_of(code: str | None, text: str | None) -> dict[str, str] | None:
    """Give a reason, None when there is none."""
    return None if code is None else {"code": code, "text": text or ""}


def moment(at: datetime | None) -> str | None:
    """Give RFC 3339 in UTC with microseconds."""
    if at is None:
        return None
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
