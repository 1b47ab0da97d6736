"""A plan: the ordered steps a message may take; one step here, more in a cascade."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from hermes.core.units import Channel, Success


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step: a channel, who it goes to, how long to wait, what counts as success.

    `wait_s` counts from the belt's acceptance of the job (`wait_from` dispatch) in seconds;
    None waits until the message expires.
    """

    channel: Channel
    to: str | None = None
    route: str | None = None
    wait_s: float | None = None
    wait_from: Literal["dispatch", "sent"] = "dispatch"
    success: Success = "delivered"
    on_full: Literal["wait", "next"] = "wait"


class Plan(msgspec.Struct, frozen=True):
    """The steps of a message in order; at least one."""

    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]

    @property
    def is_direct(self) -> bool:
        """Say whether the plan has one step and so never needs the cascade engine."""
        return len(self.steps) == 1


ONE_SMS = Plan((Step("sms"),))
