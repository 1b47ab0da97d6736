"""The layers a request passes, in order, cheap before dear; each one function, each refusing."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hermes.core.message import Message
from hermes.core.plan import ONE_SMS
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import ALPHANUMERIC, E164, SHORT_CODE, SendRequest, invalid
from hermes.smpp.segment import MAX_SEGMENTS, TextTooLong, segments

IDENTITY = "identity"


async def read_body(request: web.Request, limit: int) -> bytes:
    """Layer transport: media type, no coding, and size (`limit` in bytes). Raises Problem."""
    if request.content_type != "application/json":
        raise Problem(
            "media-type",
            f"got {request.content_type}, expected application/json",
            field="Content-Type",
            rule="application/json",
        )
    if request.headers.get("Content-Encoding", IDENTITY).lower() != IDENTITY:
        raise Problem(
            "media-type",
            "the body must not be compressed",
            field="Content-Encoding",
            rule=IDENTITY,
            headers={"Accept-Encoding": IDENTITY},
        )
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        detail = f"the body is over the limit of {limit} bytes"
        raise Problem("too-large", detail, field="body", rule=f"{limit} bytes") from error
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
        detail = "the body ended early, or its chunks are broken"
        raise Problem("malformed", detail, field="body", rule="whole") from error


def check_recipient(to: str) -> None:
    """Layer schema: the recipient is E.164. Raises Problem."""
    if E164.fullmatch(to) is None:
        raise invalid("to", "must be E.164: a plus, then 7 to 15 digits, no blanks")


def check_sender(sender: str | None) -> None:
    """Layer schema: the sender is alphanumeric, a short code or E.164. Raises Problem."""
    kinds = (ALPHANUMERIC, SHORT_CODE, E164)
    if sender is not None and not any(kind.fullmatch(sender) for kind in kinds):
        raise invalid("from", "must be 1-11 letters and digits, a 3-15 digit code, or E.164")


def count_text(text: str, max_segments: int) -> int:
    """Layer content: the text is there and fits; gives its segments. Raises Problem."""
    if not text.strip():
        raise invalid("text", "must not be empty")
    check_storable("text", text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid("text", "holds half a surrogate pair, which is no character") from error
    try:
        count = len(segments(text, 0))
    except TextTooLong as error:
        raise invalid(
            "text", f"needs over {MAX_SEGMENTS} segments, the limit is {max_segments}"
        ) from error
    if count > max_segments:
        raise invalid("text", f"needs {count} segments, the limit is {max_segments}")
    return count


def check_storable(field: str, text: str | None) -> None:
    """Layer content: no NUL, for the ledger's refusal would quote its surroundings in a log.

    Raises Problem.
    """
    if text is not None and "\0" in text:
        raise invalid(field, "must not hold the character U+0000")


def check_expiry(expires_at: datetime | None, now: datetime, after_s: float) -> datetime:
    """Layer schema: the expiry lies ahead and within a week; gives it. Raises Problem."""
    if expires_at is None:
        return now + timedelta(seconds=after_s)
    if expires_at.tzinfo is None:
        raise invalid("expires_at", "must carry a time zone, such as Z")
    if not now < expires_at <= now + timedelta(days=7):
        raise invalid("expires_at", "must lie ahead, by 7 days at most")
    return expires_at


def message_of(
    request: SendRequest, tenant: str, message_id: UUID, now: datetime, limits: tuple[float, int]
) -> Message:
    """Run the layers schema and content; give the message. Raises Problem.

    `limits` = (default expiry in seconds, most segments of a text).
    """
    expires_after, max_segments = limits
    check_recipient(request.to)
    check_sender(request.sender)
    check_storable("reference", request.reference)
    return Message(
        id=message_id,
        tenant=tenant,
        to=request.to,
        text=request.text,
        plan=ONE_SMS,
        accepted_at=now,
        expires_at=check_expiry(request.expires_at, now, expires_after),
        traffic=request.traffic,
        sender=request.sender,
        segments=count_text(request.text, max_segments),
        reference=request.reference,
    )
