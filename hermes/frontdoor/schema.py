"""The shape of `POST /v1/messages`, and how a wrong one is named: field and rule."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from hermes.core.units import PRIORITIES, TrafficClass
from hermes.frontdoor.problem import Problem

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ._&-]{1,11}")
SHORT_CODE = re.compile(r"[0-9]{3,15}")
PATH = re.compile(r"^(?P<rule>.*?)(?: - at `\$?\.?(?P<path>[^`]*)`)?$", re.DOTALL)
UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
MISSING = re.compile(r"Object missing required field `(.+)`")


class SendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message to send.

    `to` E.164 with a plus; `text` up to `message.max_segments` of the settings; `from`
    alphanumeric (11), short code or E.164; `class` decides priority and what happens to an
    uncertain attempt; `expires_at` RFC 3339 with a zone.
    """

    to: str
    text: str
    sender: str | None = msgspec.field(default=None, name="from")
    traffic: TrafficClass = msgspec.field(default="transactional", name="class")
    expires_at: datetime | None = None
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
    if rule.startswith("Invalid enum value"):  # `class` is the only one
        rule += f", expected one of {', '.join(PRIORITIES)}"
    field = path or "body"
    return Problem("invalid", f"{field}: {rule}", field=field, rule=rule)


def invalid(field: str, rule: str) -> Problem:
    """Make the problem of one field that breaks one rule."""
    return Problem("invalid", f"{field}: {rule}", field=field, rule=rule)


def digest(body: bytes) -> bytes:
    """Give the digest a request is recognised by when its key comes again, 16 octets."""
    return hashlib.blake2b(body, digest_size=16).digest()
