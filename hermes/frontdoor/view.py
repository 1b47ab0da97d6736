"""A message as its tenant sees it: states, attempts, and the trail of events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hermes.core.attempt import Attempt
from hermes.core.ids import encode_message_id
from hermes.core.message import Message
from hermes.core.plan import ONE_SMS
from hermes.frontdoor.cascade_view import WaitsFor, attempts_of, step_states, waits_for
from hermes.ports.message_store import EventView, MessageView

QUIET = {
    "code": "quiet_hours",
    "text": "marketing rests until then in the recipient's time zone",
}


def accepted_body(message: Message, asked: datetime | None = None) -> dict[str, Any]:
    """Give the body of a 202; `asked` is the `send_at` of the request."""
    name = encode_message_id(message.id)
    return {
        "id": name,
        "state": "accepted",
        "segments": message.segments,
        "accepted_at": moment(message.accepted_at),
        **later_body(message, asked),
        "expires_at": moment(message.expires_at),
        "links": {"self": f"/v1/messages/{name}"},
    }


def later_body(message: Message, asked: datetime | None) -> dict[str, Any]:
    """Give when a message starts, and why if nobody asked for it; nothing if it starts at once."""
    if message.send_at is None:
        return {}
    told = {} if message.send_at == asked else {"reason": QUIET}
    return {"send_at": moment(message.send_at), **told}


def message_body(view: MessageView, receiptless: frozenset[str], now: datetime) -> dict[str, Any]:
    """Give the body of `GET /v1/messages/{id}`; `receiptless` carriers never tell of delivery."""
    found = waits_for(view, now)
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
        "send_at": moment(view.send_at),
        "expires_at": moment(view.expires_at),
        "done_at": moment(view.done_at),
        "waits_for": None if found is None else waits_body(found),
        **cascade_body(view, receiptless),
        "attempts": [attempt_body(attempt) for attempt in view.attempts],
        "events": [event_body(event) for event in view.events],
    }


def waits_body(found: WaitsFor) -> dict[str, Any]:
    """Give what a message waits for."""
    step = {} if found.step is None else {"step": found.step}
    return {"action": found.action, **step, "until": moment(found.until)}


def cascade_body(view: MessageView, receiptless: frozenset[str]) -> dict[str, Any]:
    """Give the steps of a plan of several, or of one that is no SMS; nothing for plain ones."""
    if view.plan is None or view.plan == ONE_SMS:
        return {}
    steps = zip(view.plan.steps, step_states(view, receiptless), strict=True)
    return {
        "cascade": [
            {
                "step": index,
                "channel": step.channel,
                "to": step.to or view.to,
                "wait": step.wait_s,
                "wait_from": step.wait_from,
                "success": step.success,
                "on_full": step.on_full,
                "state": state,
                "attempts": [attempt.id for attempt in attempts_of(view, index)],
            }
            for index, (step, state) in enumerate(steps)
        ]
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
