"""The layers a request passes, in order, cheap before dear; each one function, each refusing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec.structs import replace

from hermes.core.message import Message, encode_message
from hermes.core.plan import ONE_SMS, Plan
from hermes.core.quiet import NEVER, QuietHours, quiet_until, zones_of
from hermes.frontdoor.content import check_storable, check_words
from hermes.frontdoor.plan_request import EXPECTED, Asked, PlanRules, is_plain, plan_of
from hermes.frontdoor.problem import Problem
from hermes.frontdoor.schema import (
    ALPHANUMERIC,
    E164,
    SHORT_CODE,
    SendRequest,
    StepRequest,
    invalid,
)

IDENTITY = "identity"
LONGEST_DELAY: Final = timedelta(days=30)
LONGEST_LIFE: Final = timedelta(days=7)
MOST_OCTETS: Final = 900_000
"""The belt takes messages of 1 MB, headers included."""


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


def check_recipient(to: str | None) -> str:
    """Layer schema: the recipient is E.164; gives it. Raises Problem."""
    if to is None:
        raise invalid("to", "required")
    if E164.fullmatch(to) is None:
        raise invalid("to", EXPECTED["e164"])
    return to


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


def times_of(
    request: SendRequest, now: datetime, expires_after_s: float
) -> tuple[datetime | None, datetime]:
    """Layer schema: times carry a zone, lie ahead and do not contradict. Raises Problem.

    Gives when a message starts (None: at once) and when it expires.
    """
    send_at, expires_at = request.send_at, request.expires_at
    for name, at in (("send_at", send_at), ("expires_at", expires_at)):
        if at is not None and at.tzinfo is None:
            raise invalid(name, "must carry a time zone, such as Z")
    if send_at is not None and not now < send_at <= now + LONGEST_DELAY:
        raise invalid("send_at", f"must lie ahead, by {LONGEST_DELAY.days} days at most")
    begins = send_at or now
    if expires_at is None:
        return in_utc(send_at), begins + timedelta(seconds=expires_after_s)
    if not begins < expires_at <= begins + LONGEST_LIFE:
        of_what = "" if send_at is None else " of send_at"
        raise invalid("expires_at", f"must lie ahead{of_what}, by {LONGEST_LIFE.days} days at most")
    return in_utc(send_at), expires_at


def in_utc(at: datetime | None) -> datetime | None:
    """Give a moment as the ledger will show it."""
    return None if at is None else at.astimezone(UTC)


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
    if until == NEVER:
        rule = "is needed: in one or other time zone of this number it is always quiet hours"
        raise invalid("timezone", rule)
    if request.expires_at is None:
        return replace(message, send_at=until, expires_at=message.expires_at + (until - begins))
    if until >= message.expires_at:
        rule = f"lies within the recipient's quiet hours, which end at {until:%Y-%m-%dT%H:%MZ}"
        raise invalid("expires_at", rule)
    return replace(message, send_at=until)


def zones_for(message: Message) -> tuple[str, ...]:
    """Give the recipient's time zones, as far as they are known."""
    if message.plan.timezone is not None:
        return (message.plan.timezone,)
    steps = (step.to or message.to for step in message.plan.steps)
    return next((zones for to in steps if (zones := zones_of(to))), ())


def check_waits(asked: Sequence[StepRequest], message: Message) -> None:
    """Layer schema: a step that is waited for as long as the message lives is its last.

    All waits together may be longer than that. Raises Problem.
    """
    life_s = (message.expires_at - (message.send_at or message.accepted_at)).total_seconds()
    for index, step in enumerate(message.plan.steps[:-1]):
        if step.wait_s is not None and step.wait_s >= life_s:
            rule = f"is not shorter than the message's life of {life_s:g} s: no step could follow"
            if asked[index].wait is None:
                rule = f"is {step.wait_s:g} s where none is named, and {rule}"
            raise invalid(f"cascade[{index}].wait", rule)


def check_size(message: Message) -> None:
    """Layer content: the words of all steps together fit the belt. Raises Problem."""
    size = len(encode_message(message))
    if size > MOST_OCTETS:
        rule = f"needs {size} bytes with the words of each step, the limit is {MOST_OCTETS}"
        raise invalid("body", rule)


def message_of(
    request: SendRequest, tenant: str, message_id: UUID, now: datetime, rules: Rules
) -> Message:
    """Run the layers schema, tenant policy, recipient, content and consent. Raises Problem."""
    plan, to, count = ONE_SMS, request.to, 1
    if is_plain(request) and rules.plans.default_of(tenant, request.traffic) is None:
        to, count = plain_sms(request, tenant, rules)
    else:
        plan, to, count = plan_of(Asked(request, tenant, rules.plans, rules.max_segments))
    check_sender(request.sender)
    check_storable("reference", request.reference)
    send_at, expires_at = times_of(request, now, rules.expires_after_s)
    message = Message(
        id=message_id,
        tenant=tenant,
        to=to,
        text=request.text if request.text is not None else own_text(plan),
        plan=plan,
        accepted_at=now,
        expires_at=expires_at,
        send_at=send_at,
        traffic=request.traffic,
        sender=request.sender,
        segments=count,
        reference=request.reference,
    )
    message = after_quiet(request, message, now, rules.quiet)
    if request.cascade is not None:
        check_waits(request.cascade, message)
    if plan is not ONE_SMS:
        check_size(message)
    return message


def plain_sms(request: SendRequest, tenant: str, rules: Rules) -> tuple[str, int]:
    """Give recipient and segments of a request for one SMS. Raises Problem."""
    to = check_recipient(request.to)
    rules.plans.spec_of("sms", tenant, "channel")
    if request.text is None:
        raise invalid("text", "required")
    return to, check_words("text", request.text, rules.max_segments)


def own_text(plan: Plan) -> str:
    """Give the text of the first step that has its own."""
    return next(step.content.text for step in plan.steps if step.content and step.content.text)
