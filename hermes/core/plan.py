"""A plan: the ordered steps a message may take; one step here, more in a cascade."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from hermes.core.units import Channel, Money, Success


class Unsubscribe(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the recipient of a mail leaves: an https link that takes one POST (RFC 8058)."""

    url: str
    mailto: str | None = None


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step says instead of the message's text; all but `text` is for mail alone."""

    text: str | None = None
    subject: str | None = None
    html: str | None = None
    unsubscribe: Unsubscribe | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step: a channel, who it goes to, how long to wait, what counts as success.

    `wait_s` counts from the belt's acceptance of the job (`wait_from` dispatch) in seconds;
    None waits until the message expires. `to` and `content` stand in for the message's own.
    """

    channel: Channel
    to: str | None = None
    route: str | None = None
    wait_s: float | None = None
    wait_from: Literal["dispatch", "sent"] = "dispatch"
    success: Success = "delivered"
    on_full: Literal["wait", "next"] = "wait"
    content: Content | None = None


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """The steps of a message in order; at least one.

    `max_cost` bounds the price of all its attempts together, `timezone` is the recipient's (an
    IANA name; None: known by the number), which quiet hours are counted in.
    """

    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    max_cost: Money | None = None
    timezone: str | None = None

    @property
    def is_direct(self) -> bool:
        """Say whether the plan has one step and so never needs the cascade engine."""
        return len(self.steps) == 1

    def without_people(self) -> Plan:
        """Give the plan as an engine may know it: no address, no text."""
        steps = (replace(step, to=None, content=None) for step in self.steps)
        return replace(self, steps=tuple(steps), timezone=None)


ONE_SMS = Plan((Step("sms"),))
