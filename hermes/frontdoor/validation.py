"""The layers a request passes, in order, cheap before dear; each one function, each refusing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec.structs import replace

from hermes.core.message import Message
from hermes.core.plan import ONE_SMS, Plan
from hermes.core.quiet import QuietHours, quiet_until, zones_of
from hermes.frontdoor.content import check_storable, check_words
from hermes.frontdoor.plan_request import Asked, PlanRules, is_plain, plan_of
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import ALPHANUMERIC, E164, SHORT_CODE, SendRequest, invalid

IDENTITY = "identity"
LONGEST_DELAY: Final = timedelta(days=30)
LONGEST_LIFE: Final = timedelta(days=7)


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


def check_recipient(to: str | None) -> None:
    """Layer schema: the recipient is E.164. Raises Problem."""
    if to is None:
        raise invalid("to", "required")
    if E164.fullmatch(to) is None:
        raise invalid("to", "must be E.164: a plus, then 7 to 15 digits, no blanks")


def check_sender(sender: str | None) -> None:
    """Layer schema: the sender is alphanumeric, a short code or E.164. Raises Problem."""
    kinds = (ALPHANUMERIC, SHORT_CODE, E164)
    if sender is not None and not any(kind.fullmatch(sender) for kind in kinds):
        raise invalid("from", "must be 1-11 letters and digits, a 3-15 digit code, or E.164")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request is held to, and what a view depends on.

    `max_body` in octets, `expires_after_s` the default life in seconds; `receiptless` carriers
    never tell of a delivery.
    """

    max_body: int
    expires_after_s: float
    max_segments: int
    plans: PlanRules = field(default_factory=PlanRules)
    quiet: QuietHours | None = None
    receiptless: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Times:
    """When a message goes and when it ends; `send_at` None is at once."""

    send_at: datetime | None
    expires_at: datetime


def times_of(request: SendRequest, now: datetime, expires_after_s: float) -> Times:
    """Layer schema: times carry a zone, lie ahead and do not contradict. Raises Problem."""
    send_at, expires_at = request.send_at, request.expires_at
    for name, at in (("send_at", send_at), ("expires_at", expires_at)):
        if at is not None and at.tzinfo is None:
            raise invalid(name, "must carry a time zone, such as Z")
    if send_at is not None and not now < send_at <= now + LONGEST_DELAY:
        raise invalid("send_at", f"must lie ahead, by {LONGEST_DELAY.days} days at most")
    begins = send_at or now
    if expires_at is None:
        return Times(send_at, begins + timedelta(seconds=expires_after_s))
    if not begins < expires_at <= begins + LONGEST_LIFE:
        of_what = "" if send_at is None else " of send_at"
        raise invalid("expires_at", f"must lie ahead{of_what}, by {LONGEST_LIFE.days} days at most")
    return Times(send_at, expires_at)


def after_quiet(
    request: SendRequest, message: Message, now: datetime, quiet: QuietHours | None
) -> Message:
    """Layer consent: marketing that would begin in quiet hours begins after them. Raises Problem.

    A life nobody asked for is as long after them as it would have been.
    """
    if quiet is None or message.traffic != "marketing":
        return message
    begins = message.send_at or now
    until = quiet_until(begins, quiet, zones_for(message))
    if until is None:
        return message
    if request.expires_at is None:
        return replace(message, send_at=until, expires_at=message.expires_at + (until - begins))
    if until >= message.expires_at:
        raise invalid("expires_at", "lies within the recipient's quiet hours")
    return replace(message, send_at=until)


def zones_for(message: Message) -> tuple[str, ...]:
    """Give the recipient's time zones, as far as they are known."""
    if message.plan.timezone is not None:
        return (message.plan.timezone,)
    steps = (step.to or message.to for step in message.plan.steps)
    return next((zones for to in steps if (zones := zones_of(to))), ())


def check_waits(plan: Plan, life_s: float) -> None:
    """Layer schema: a step that is waited for as long as the message lives is its last.

    Raises Problem.
    """
    for index, step in enumerate(plan.steps[:-1]):
        if step.wait_s is not None and step.wait_s >= life_s:
            rule = f"is not shorter than the message's life of {life_s:g} s: no step could follow"
            raise invalid(f"cascade[{index}].wait", rule)


def message_of(
    request: SendRequest, tenant: str, message_id: UUID, now: datetime, rules: Rules
) -> Message:
    """Run the layers schema, tenant policy, recipient, content and consent. Raises Problem."""
    plan, to, count = ONE_SMS, request.to, 1
    if is_plain(request) and rules.plans.default_of(tenant, request.traffic) is None:
        check_recipient(to)
        allowed = rules.plans.channels.get(tenant)
        if allowed is not None and "sms" not in allowed:
            raise invalid("channel", "this tenant may not use sms")
        if request.text is None:
            raise invalid("text", "required")
        count = check_words("text", request.text, rules.max_segments)
    else:
        plan, to, count = plan_of(Asked(request, tenant, rules.plans, rules.max_segments))
    assert to is not None
    check_sender(request.sender)
    check_storable("reference", request.reference)
    times = times_of(request, now, rules.expires_after_s)
    check_waits(plan, (times.expires_at - (times.send_at or now)).total_seconds())
    text = request.text if request.text is not None else own_text(plan)
    message = Message(
        id=message_id,
        tenant=tenant,
        to=to,
        text=text,
        plan=plan,
        accepted_at=now,
        expires_at=times.expires_at,
        send_at=times.send_at,
        traffic=request.traffic,
        sender=request.sender,
        segments=count,
        reference=request.reference,
    )
    return after_quiet(request, message, now, rules.quiet)


def own_text(plan: Plan) -> str:
    """Give the text of the first step that has its own."""
    return next(step.content.text for step in plan.steps if step.content and step.content.text)
