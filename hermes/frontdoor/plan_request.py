"""Layers schema, tenant policy, recipient and content of a plan: a request becomes its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hermes.core.cascade_text import parse_cascade
from hermes.core.channel import CHANNELS, AddressKind, ChannelSpec
from hermes.core.duration import parse_duration
from hermes.core.plan import Content, Plan, Step, Unsubscribe
from hermes.core.units import Channel, Money
from hermes.frontdoor.content import check_words
from hermes.frontdoor.schema import (
    E164,
    ContentRequest,
    MoneyRequest,
    SendRequest,
    StepRequest,
    UnsubscribeRequest,
    invalid,
)
from hermes.mail.address import BadAddress, parse_address
from hermes.routing.table import RouteTable
from hermes.settings.tree import CascadeDefault

MOST_STEPS: Final = 10
SHORTEST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 7 * 86_400.0
LONGEST_SUBJECT: Final = 78
LONGEST_TOKEN: Final = 4096
MOST_DIGITS: Final = 12
ANY: Final = "*"
EXPECTED: Final[Mapping[AddressKind, str]] = {
    "e164": "must be E.164: a plus, then 7 to 15 digits, no blanks",
    "email": "must be a mail address",
    "token": f"must be 1 to {LONGEST_TOKEN} printable characters without a blank",
}


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a host offers: carriers by channel, an engine or none, defaults, tenants' channels."""

    routes: RouteTable = field(default_factory=lambda: RouteTable(()))
    has_engine: bool = False
    default_wait_s: float = 300.0
    defaults: tuple[CascadeDefault, ...] = ()
    channels: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def default_of(self, tenant: str, traffic: str) -> CascadeDefault | None:
        """Give the most specific default plan, None where there is none."""
        fitting = [
            d for d in self.defaults if d.tenant in (tenant, ANY) and d.traffic in (traffic, None)
        ]
        order = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
        return min(
            fitting, key=lambda d: order[d.tenant != ANY, d.traffic is not None], default=None
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose plan is being made; `prefix` stands before the names of a step's fields."""

    request: SendRequest
    tenant: str
    rules: PlanRules
    max_segments: int

    def spec_of(self, channel: Channel, name: str) -> ChannelSpec:
        """Find a channel this tenant may use and some carrier serves. Raises Problem."""
        spec = CHANNELS.get(channel)
        if spec is None:
            raise invalid(name, f"no such channel; known: {', '.join(CHANNELS)}")
        allowed = self.rules.channels.get(self.tenant)
        if allowed is not None and channel not in allowed:
            theirs = ", ".join(sorted(allowed)) or "none"
            raise invalid(name, f"this tenant may not use {channel}; its channels: {theirs}")
        if not self.rules.routes.offers(channel):
            raise invalid(name, f"no carrier here serves {channel}")
        return spec


def is_plain(request: SendRequest) -> bool:
    """Say whether a request asks for nothing but one SMS."""
    extras = (request.channel, request.subject, request.html, request.unsubscribe)
    terms = (request.cascade, request.max_cost, request.timezone)
    return all(extra is None for extra in (*extras, *terms))


def plan_of(asked: Asked) -> tuple[Plan, str, int]:
    """Give a plan, the message's own recipient, and its segments. Raises Problem."""
    request = asked.request
    wanted, is_listed = steps_wanted(asked)
    if len(wanted) > 1 and not asked.rules.has_engine:
        raise invalid("cascade", "this host has no cascade engine: restate.enabled is false")
    named = [f"cascade[{i}]." if is_listed else "" for i in range(len(wanted))]
    to = request.to if request.to is not None else wanted[0].to
    steps, counts = [], [1]
    for one, prefix in zip(wanted, named, strict=True):
        step, count = step_of(asked, one, prefix, is_last=one is wanted[-1])
        steps.append(step if step.to != to else replace_to(step))
        counts.append(count)
    if not any(step.channel == "email" for step in steps):
        refuse_foreign(message_content(request), "", "email, and no step is one")
    plan = Plan(tuple(steps), max_cost=money(request.max_cost), timezone=zone(request.timezone))
    assert to is not None  # a step without one was refused
    return plan, to, max(counts)


def steps_wanted(asked: Asked) -> tuple[Sequence[StepRequest], bool]:
    """Give the steps, and whether the request itself lists them. Raises Problem."""
    request, rules = asked.request, asked.rules
    if request.cascade is not None:
        if request.channel is not None:
            raise invalid("channel", "stands for a cascade of one step; leave one of them out")
        if not 1 <= len(request.cascade) <= MOST_STEPS:
            rule = f"must hold 1 to {MOST_STEPS} steps, has {len(request.cascade)}"
            raise invalid("cascade", rule)
        return request.cascade, True
    if request.channel is not None:
        return [StepRequest(channel=request.channel)], False
    default = rules.default_of(asked.tenant, request.traffic)
    if default is not None:
        steps = [
            StepRequest(channel=channel, wait=wait)
            for channel, wait in parse_cascade(default.steps)
            if rules.routes.offers(channel)
            and request.to is not None
            and not misfit(request.to, CHANNELS[channel].address)
        ]
        if steps:
            return steps, False
    return [StepRequest(channel="sms")], False


def step_of(asked: Asked, one: StepRequest, prefix: str, *, is_last: bool) -> tuple[Step, int]:
    """Give one step and its segments. Raises Problem."""
    spec = asked.spec_of(one.channel, f"{prefix}channel")
    success = one.success or spec.success
    if success not in spec.reports:
        reports = ", ".join(spec.reports)
        raise invalid(f"{prefix}success", f"{spec.id} reports {reports}")
    if one.route is not None and one.route not in asked.rules.routes.carriers[spec.id]:
        known = ", ".join(asked.rules.routes.carriers[spec.id])
        raise invalid(f"{prefix}route", f"no carrier of that name serves {spec.id}; known: {known}")
    content, count = content_of(asked, one, spec, prefix)
    step = Step(
        channel=spec.id,
        to=recipient_of(asked.request, one, spec, prefix),
        route=one.route,
        wait_s=wait_of(one.wait, f"{prefix}wait", None if is_last else asked.rules.default_wait_s),
        wait_from=one.wait_from,
        success=success,
        on_full=one.on_full,
        content=content,
    )
    return step, count


def replace_to(step: Step) -> Step:
    """Give a step that goes to the message's own recipient."""
    fields = {name: getattr(step, name) for name in step.__struct_fields__}
    return Step(**fields | {"to": None})


def recipient_of(request: SendRequest, one: StepRequest, spec: ChannelSpec, prefix: str) -> str:
    """Give where a step goes. Raises Problem."""
    given = one.to if one.to is not None else request.to
    if given is None:
        raise invalid(f"{prefix}to", "required")
    if fault := misfit(given, spec.address):
        if one.to is None and prefix:
            fault = f"required, because the message's own `to` does not fit {spec.id}: it {fault}"
        raise invalid(f"{prefix}to", fault)
    return str(parse_address(given)) if spec.address == "email" else given


def misfit(address: str, kind: AddressKind) -> str:
    """Say what an address must be and is not, "" if it fits."""
    match kind:
        case "e164":
            return "" if E164.fullmatch(address) else EXPECTED[kind]
        case "token":
            printable = address.isascii() and address.isprintable() and " " not in address
            return "" if printable and 0 < len(address) <= LONGEST_TOKEN else EXPECTED[kind]
        case "email":
            try:
                parse_address(address)
            except BadAddress as error:
                return f"{EXPECTED[kind]}: {error.why}"
            return ""


def wait_of(wait: float | str | None, name: str, otherwise: float | None) -> float | None:
    """Give a wait in seconds. Raises Problem."""
    if wait is None:
        return otherwise
    try:
        seconds = parse_duration(wait)
    except ValueError as error:
        raise invalid(name, str(error)) from error
    if not SHORTEST_WAIT_S <= seconds <= LONGEST_WAIT_S:
        raise invalid(name, "must be between 1 second and 7 days")
    return seconds


def content_of(
    asked: Asked, one: StepRequest, spec: ChannelSpec, prefix: str
) -> tuple[Content | None, int]:
    """Give what a step says, as far as it is not the message's text, and its segments."""
    own, request = one.content or ContentRequest(), asked.request
    is_mail = spec.address == "email"
    if not is_mail:
        refuse_foreign(own, f"{prefix}content.", "email")
    name = f"{prefix}content.text" if own.text is not None else "text"
    text = own.text if own.text is not None else request.text
    if text is None:
        raise invalid(f"{prefix}content.text" if prefix else "text", "required")
    count = check_words(name, text, asked.max_segments if spec.id == "sms" else None)
    if not is_mail:
        return (None if own.text is None else Content(text=own.text)), count
    whole = message_content(request)
    subject = own.subject if own.subject is not None else whole.subject
    html = own.html if own.html is not None else whole.html
    leave = own.unsubscribe if own.unsubscribe is not None else whole.unsubscribe
    for part, words in (("subject", subject), ("html", html)):
        if words is not None:
            check_words(f"{prefix}content.{part}" if prefix else part, words, None)
    if subject is not None and any(ord(letter) < 32 for letter in subject):
        raise invalid(f"{prefix}content.subject" if prefix else "subject", "must be one line")
    return (
        Content(
            text=own.text,
            subject=subject if subject is not None else first_words(text),
            html=html,
            unsubscribe=unsubscribe_of(leave, f"{prefix}content." if prefix else ""),
        ),
        1,
    )


def unsubscribe_of(asked: UnsubscribeRequest | None, prefix: str) -> Unsubscribe | None:
    """Give where the recipient leaves. Raises Problem."""
    if asked is None:
        return None
    if not asked.url.startswith("https://") or not asked.url.isascii() or " " in asked.url:
        raise invalid(f"{prefix}unsubscribe.url", "must be an https link (RFC 8058)")
    if asked.mailto is not None and (fault := misfit(asked.mailto, "email")):
        raise invalid(f"{prefix}unsubscribe.mailto", fault)
    return Unsubscribe(asked.url, asked.mailto)


def refuse_foreign(content: ContentRequest, prefix: str, whose: str) -> None:
    """Refuse what only a mail has. Raises Problem."""
    for name in ("subject", "html", "unsubscribe"):
        if getattr(content, name) is not None:
            raise invalid(f"{prefix}{name}", f"belongs to {whose}")


def message_content(request: SendRequest) -> ContentRequest:
    """Give what the message itself says for its mails."""
    return ContentRequest(
        subject=request.subject, html=request.html, unsubscribe=request.unsubscribe
    )


def first_words(text: str) -> str:
    """Give a subject for a mail that has none: the first line, cut at a blank."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    line = "".join(letter for letter in line if ord(letter) >= 32)
    if len(line) <= LONGEST_SUBJECT:
        return line
    return line[:LONGEST_SUBJECT].rpartition(" ")[0] or line[:LONGEST_SUBJECT]


def money(asked: MoneyRequest | None) -> Money | None:
    """Give a bound on the cost. Raises Problem."""
    if asked is None:
        return None
    try:
        amount = Decimal(asked.amount)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0 or len(asked.amount) > MOST_DIGITS:
        raise invalid("max_cost.amount", 'must be a decimal text above zero, such as "0.05"')
    return Money(asked.amount, asked.currency)


def zone(name: str | None) -> str | None:
    """Give a time zone's name. Raises Problem."""
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid("timezone", "must be an IANA name, such as Europe/Berlin") from error
    return name
