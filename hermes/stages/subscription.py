"""Subscription options, and what a consumer remembers of each producer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from hermes.core.errors import ConfigError
from hermes.stages.effects import ALREADY_SUBSCRIBED

if TYPE_CHECKING:
    from hermes.stages.effects import Options, Process, Reason

CancelMode: TypeAlias = Literal["permanent", "transient", "temporary"]

CANCEL_MODES = ("permanent", "transient", "temporary")
DEFAULT_MAX_DEMAND = 1000


class BadOptions(ConfigError):
    """A stage or a subscription was given an option it cannot work with."""


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """The options of a subscription that are the consumer's own, checked."""

    max_demand: int = DEFAULT_MAX_DEMAND
    min_demand: int = DEFAULT_MAX_DEMAND // 2
    cancel: CancelMode = "permanent"

    @classmethod
    def checked(cls, options: Options) -> SubscriptionOptions:
        """Defaults filled in; other names are the dispatcher's. Raises BadOptions."""
        max_demand = _integer(options, "max_demand", DEFAULT_MAX_DEMAND, at_least=1)
        min_demand = _integer(
            options, "min_demand", max_demand // 2, at_least=0, at_most=max_demand - 1
        )
        cancel = options.get("cancel", "permanent")
        if cancel not in CANCEL_MODES:
            raise BadOptions(f"expected cancel to be one of {CANCEL_MODES}, got: {cancel!r}")
        return cls(max_demand, min_demand, cast("CancelMode", cancel))


def _integer(
    options: Options, name: str, default: int, *, at_least: int, at_most: int | None = None
) -> int:
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadOptions(f"expected {name} to be an integer, got: {value!r}")
    if value < at_least:
        raise BadOptions(f"expected {name} to be {at_least} or more, got: {value}")
    if at_most is not None and value > at_most:
        raise BadOptions(f"expected {name} to be {at_most} or less, got: {value}")
    return value


@dataclass(slots=True)
class Subscription:
    """A consumer's side of one subscription. `demand` is asked and not delivered."""

    producer: Process
    options: SubscriptionOptions
    manual: bool
    demand: int


def is_clean(reason: Reason) -> bool:
    """Is this an ordinary end: normal, shutdown, or (shutdown, anything)?"""
    if isinstance(reason, tuple):
        return len(reason) == 2 and reason[0] == "shutdown"
    return reason in ("normal", "shutdown")


def stops_consumer(cancel: CancelMode, reason: Reason) -> bool:
    """Does the end of a subscription for this reason end its consumer?"""
    if reason == ALREADY_SUBSCRIBED:
        return False
    match cancel:
        case "permanent":
            return True
        case "transient":
            return not is_clean(reason)
        case "temporary":
            return False
