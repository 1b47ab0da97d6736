"""The shape of `POST /v1/messages`, and how a wrong one is named: field and rule."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from hermes.core.units import PRIORITIES, Success, TrafficClass
from hermes.frontdoor.problem import Problem

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}")
SHORT_CODE = re.compile(r"[0-9]{3,15}")
PATH = re.compile(r"^(?P<rule>.*?)(?: - at `\$?\.?(?P<path>[^`]*)`)?$", re.DOTALL)
WORDS = {
    "class": PRIORITIES,
    "success": get_args(Success),
    "wait_from": ("dispatch", "sent"),
    "on_full": ("wait", "next"),
}
UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
MISSING = re.compile(r"Object missing required field `(.+)`")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a request holds: unknown fields are refused."""


class UnsubscribeRequest(Part, frozen=True):
    """Where the recipient of a mail leaves: `url` https, `mailto` an address."""

    url: Annotated[str, Meta(max_length=900)]
    mailto: str | None = None


class ContentRequest(Part, frozen=True):
    """What one step says instead of the message's own words; all but `text` for email alone."""

    text: str | None = None
    subject: Annotated[str, Meta(max_length=255)] | None = None
    html: str | None = None
    unsubscribe: UnsubscribeRequest | None = None


class StepRequest(Part, frozen=True):
    """One step of a cascade.

    `wait`: seconds, or a text such as "10s", from when the belt took the step or, with
    `wait_from` sent, from when it was sent. `success` is what counts as such, `on_full` whether
    to wait for room in a carrier's queue or go on to the next step.
    """

    channel: str
    to: str | None = None
    route: str | None = None
    wait: float | str | None = None
    wait_from: Literal["dispatch", "sent"] = "dispatch"
    success: Success | None = None
    on_full: Literal["wait", "next"] = "wait"
    content: ContentRequest | None = None


class MoneyRequest(Part, frozen=True):
    """A bound on the cost of all attempts: decimal text and ISO 4217 code."""

    amount: str
    currency: str


class SendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to send.

    `to` E.164 with a plus, or what its channel wants; `text` up to `message.max_segments` of the
    settings for an SMS; `from` alphanumeric (11), short code or E.164; `class` decides priority
    and what happens to an uncertain attempt; `send_at` and `expires_at` RFC 3339 with a zone.
    `to` and `text` may be left out where every step of `cascade` has its own. `channel` stands for
    a cascade of one step; `subject`, `html` and `unsubscribe` are for its mails; `timezone` is the
    recipient's.
    """

    to: str | None = None
    text: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    traffic: TrafficClass = msgspec.field(default="transactional", name="class")
    send_at: datetime | None = None
    expires_at: datetime | None = None
    channel: str | None = None
    cascade: list[StepRequest] | None = None
    subject: Annotated[str, Meta(max_length=255)] | None = None
    html: str | None = None
    unsubscribe: UnsubscribeRequest | None = None
    max_cost: MoneyRequest | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    reference: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


DECODER = msgspec.json.Decoder(SendRequest)


def parse(body: bytes) -> SendRequest:
    """Parse a request body. Raises Problem naming field and rule."""
    try:
        return DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise of_validation(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed", f"the body is not JSON: {error}", rule="json") from error


def of_validation(message: str) -> Problem:
    """Turn msgspec's sentence into a problem with the field and the rule."""
    found = PATH.match(message)
    rule, path = (found["rule"], found["path"] or "") if found else (message, "")
    for pattern, words in ((UNKNOWN, "unknown field"), (MISSING, "required")):
        named = pattern.match(rule)
        if named:
            path, rule = f"{path}.{named[1]}".lstrip("."), words
    if rule.startswith("Invalid enum value"):
        rule += f", expected one of {', '.join(WORDS[path.rpartition('.')[2]])}"
    field = path or "body"
    return Problem("invalid", f"{field}: {rule}", field=field, rule=rule)


def invalid(field: str, rule: str) -> Problem:
    """Make the problem of one field that breaks one rule."""
    return Problem("invalid", f"{field}: {rule}", field=field, rule=rule)


def digest(body: bytes) -> bytes:
    """Give the digest a request is recognised by when its key comes again, 16 octets."""
    return hashlib.blake2b(body, digest_size=16).digest()
