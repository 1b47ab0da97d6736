"""Layers schema, tenant policy, recipient and content of a plan: a request becomes its steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from hermes.core.cascade_text import MOST_STEPS, WAIT_RULE, is_wait, parse_cascade
from hermes.core.channel import CHANNELS, AddressKind, ChannelSpec
from hermes.core.duration import parse_duration
from hermes.core.plan import ONE_SMS, Plan, Step
from hermes.core.units import Channel, Money
from hermes.frontdoor.content import content_of, refuse_mail_words
from hermes.frontdoor.schema import E164, MoneyRequest, SendRequest, StepRequest, invalid
from hermes.mail.address import BadAddress, parse_address
from hermes.routing.table import RouteTable
from hermes.settings.tree import CascadeDefault

LONGEST_TOKEN: Final = 4096
ANY: Final = "*"
AMOUNT: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
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
        if not self.defaults:
            return None
        fitting = [
            d for d in self.defaults if d.tenant in (tenant, ANY) and d.traffic in (traffic, None)
        ]
        order = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}
        return min(
            fitting, key=lambda d: order[d.tenant != ANY, d.traffic is not None], default=None
        )

    def allows(self, tenant: str, channel: Channel) -> bool:
        """Say whether a tenant may use a channel."""
        allowed = self.channels.get(tenant)
        return allowed is None or channel in allowed

    def spec_of(self, channel: Channel, tenant: str, name: str) -> ChannelSpec:
        """Find a channel this tenant may use and some carrier serves. Raises Problem."""
        spec = CHANNELS.get(channel)
        if spec is None:
            raise invalid(name, f"no such channel; known: {', '.join(CHANNELS)}")
        if not self.allows(tenant, channel):
            theirs = ", ".join(sorted(self.channels[tenant])) or "none"
            raise invalid(name, f"this tenant may not use {channel}; its channels: {theirs}")
        if not self.routes.offers(channel):
            raise invalid(name, f"no carrier here serves {channel}")
        return spec


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose plan is being made."""

    request: SendRequest
    tenant: str
    rules: PlanRules
    max_segments: int


def is_plain(request: SendRequest) -> bool:
    """Say whether a request asks for nothing but one SMS."""
    return (
        request.cascade is None
        and request.channel is None
        and request.subject is None
        and request.html is None
        and request.unsubscribe is None
        and request.max_cost is None
        and request.timezone is None
    )


def plan_of(asked: Asked) -> tuple[Plan, str, int]:
    """Give a plan, the message's own recipient, and its segments. Raises Problem."""
    request = asked.request
    wanted, is_listed = steps_wanted(asked)
    if len(wanted) > 1 and not asked.rules.has_engine:
        raise invalid("cascade", "this host has no cascade engine: restate.enabled is false")
    steps, counts = [], [1]
    for index, one in enumerate(wanted):
        prefix = f"cascade[{index}]." if is_listed else ""
        step, count = step_of(asked, one, prefix, is_last=index == len(wanted) - 1)
        steps.append(step)
        counts.append(count)
    if not any(CHANNELS[step.channel].address == "email" for step in steps):
        refuse_mail_words(request, "", "belongs to email, and no step is one")
    to = own_recipient(request, wanted, steps)
    steps = [replace(step, to=None) if step.to == to else step for step in steps]
    if len(steps) == 1:  # there is nothing to go on to
        steps = [replace(steps[0], wait_s=None)]
    plan = Plan(tuple(steps), max_cost=money(request.max_cost), timezone=zone(request.timezone))
    return (ONE_SMS if plan == ONE_SMS else plan), to, max(counts)


def steps_wanted(asked: Asked) -> tuple[Sequence[StepRequest], bool]:
    """Give the steps, and whether the request itself lists them. Raises Problem."""
    request = asked.request
    if request.cascade is not None:
        if request.channel is not None:
            raise invalid("channel", "stands for a cascade of one step; leave one of them out")
        if not 1 <= len(request.cascade) <= MOST_STEPS:
            rule = f"must hold 1 to {MOST_STEPS} steps, has {len(request.cascade)}"
            raise invalid("cascade", rule)
        return request.cascade, True
    if request.channel is not None:
        return [StepRequest(channel=request.channel)], False
    return default_steps(asked) or [StepRequest(channel="sms")], False


def default_steps(asked: Asked) -> list[StepRequest]:
    """Give those steps of the tenant's default plan that can be for this recipient."""
    rules, to = asked.rules, asked.request.to
    default = rules.default_of(asked.tenant, asked.request.traffic)
    if default is None or to is None:
        return []
    return [
        StepRequest(channel=channel, wait=wait)
        for channel, wait in parse_cascade(default.steps)
        if rules.routes.offers(channel)
        and rules.allows(asked.tenant, channel)
        and not misfit(to, CHANNELS[channel].address)
    ]


def step_of(asked: Asked, one: StepRequest, prefix: str, *, is_last: bool) -> tuple[Step, int]:
    """Give one step and its segments. Raises Problem."""
    spec = asked.rules.spec_of(one.channel, asked.tenant, f"{prefix}channel")
    success = one.success or spec.success
    if success not in spec.reports:
        reports = ", ".join(spec.reports)
        raise invalid(f"{prefix}success", f"{spec.id} reports {reports}")
    if one.route is not None and one.route not in asked.rules.routes.carriers[spec.id]:
        known = ", ".join(asked.rules.routes.carriers[spec.id])
        raise invalid(f"{prefix}route", f"no carrier of that name serves {spec.id}; known: {known}")
    to = recipient_of(asked.request, one, spec, prefix)
    content, count = content_of(asked.request, one.content, spec, prefix, asked.max_segments)
    step = Step(
        channel=spec.id,
        to=to,
        route=one.route,
        wait_s=wait_of(one.wait, f"{prefix}wait", None if is_last else asked.rules.default_wait_s),
        wait_from=one.wait_from,
        success=success,
        on_full=one.on_full,
        content=content,
    )
    return step, count


def own_recipient(
    request: SendRequest, wanted: Sequence[StepRequest], steps: Sequence[Step]
) -> str:
    """Give the message's own recipient, as those steps write it that go there. Raises Problem."""
    used = (step.to for step, one in zip(steps, wanted, strict=True) if one.to is None)
    to = next(used, None) or request.to or steps[0].to
    assert to is not None  # a step without one was refused
    if request.to is not None and all(misfit(to, kind) for kind in EXPECTED):
        raise invalid("to", "must be E.164, a mail address or a token")
    return to


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
    if not is_wait(seconds):
        raise invalid(name, WAIT_RULE)
    return seconds


def money(asked: MoneyRequest | None) -> Money | None:
    """Give a bound on the cost. Raises Problem."""
    if asked is None:
        return None
    if AMOUNT.fullmatch(asked.amount) is None or not Decimal(asked.amount):
        raise invalid("max_cost.amount", 'must be a decimal text above zero, such as "0.05"')
    if CURRENCY.fullmatch(asked.currency) is None:
        raise invalid("max_cost.currency", "must be three capital letters (ISO 4217), such as EUR")
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
