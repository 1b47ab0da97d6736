"""What a stage core decides: messages to send, callbacks to run, facts to report, as values.

The shell carries effects out in the order they came. A callback (`Handle*`) may feed the core
again at once; the effects of that call are carried out **after** those already decided, first in,
first out. `carry_out` is that loop. Carried out nested instead, new events would overtake older
ones, and an ask would leave before the work it stands for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Event: TypeAlias = Any
"""One event: opaque to every stage and dispatcher (a selector or a hash alone looks into it)."""

Events: TypeAlias = tuple[Event, ...]

Tag: TypeAlias = Hashable
"""A subscription's unique id, made by the consumer's shell and never used again."""

Process: TypeAlias = Hashable
"""A peer as its shell knows it."""

Reason: TypeAlias = Hashable
"""Why a subscription or a stage ends: a word, or a pair such as `("shutdown", "drained")`."""

Options: TypeAlias = Mapping[str, Any]
"""Subscription options by name: `max_demand`, `min_demand`, `cancel` and the dispatcher's own."""

Replaces: TypeAlias = tuple[Tag, Reason] | None
"""The subscription a new one takes the place of, and the reason it is cancelled with."""

Kind: TypeAlias = Literal["cancel", "down"]

UNKNOWN_SUBSCRIPTION = "unknown_subscription"
DUPLICATED_SUBSCRIPTION = "duplicated_subscription"
ALREADY_SUBSCRIBED = "already_subscribed"
NOPROC = "noproc"
BAD_OPTIONS = "bad_opts"


@dataclass(frozen=True, slots=True)
class SendSubscribe:
    """To a producer. Watch its process first, then send, then carry out what follows."""

    producer: Process
    tag: Tag
    options: Options
    replaces: Replaces = None


@dataclass(frozen=True, slots=True)
class SendAsk:
    """To a producer: `count` >= 1 more events may come."""

    producer: Process
    tag: Tag
    count: int


@dataclass(frozen=True, slots=True)
class SendCancel:
    """To a producer: end this subscription. It confirms with Cancelled."""

    producer: Process
    tag: Tag
    reason: Reason


@dataclass(frozen=True, slots=True)
class SendEvents:
    """To a consumer; `events` is never empty."""

    consumer: Process
    tag: Tag
    events: Events


@dataclass(frozen=True, slots=True)
class SendCancelled:
    """To a consumer: the subscription is over, or never was."""

    consumer: Process
    tag: Tag
    reason: Reason


@dataclass(frozen=True, slots=True)
class HandleSubscribe:
    """A producer has a new consumer: watch its process. Comes before any of its events."""

    consumer: Process
    tag: Tag
    options: Options


@dataclass(frozen=True, slots=True)
class HandleDemand:
    """Produce `count` >= 1 more events and give them to `emit`, now or later, in any portions."""

    count: int


@dataclass(frozen=True, slots=True)
class HandleEvents:
    """Work on these events, then call `handled` once; the next batch comes only after that."""

    producer: Process
    tag: Tag
    events: Events


@dataclass(frozen=True, slots=True)
class HandleCancel:
    """A subscription has ended; the core has forgotten it. `role` is what the other side was."""

    role: Literal["consumer", "producer"]
    kind: Kind
    reason: Reason
    process: Process
    tag: Tag


@dataclass(frozen=True, slots=True)
class RefuseSubscription:
    """The local call to subscribe was refused and nothing was sent; `problem` is a sentence."""

    tag: Tag
    reason: Reason
    problem: str


@dataclass(frozen=True, slots=True)
class ReportDiscarded:
    """`count` events are lost: the buffer was full, or a partition's consumer left its queue."""

    count: int
    cause: Literal["buffer_full", "partition_cancelled"] = "buffer_full"


@dataclass(frozen=True, slots=True)
class Warn:
    """Log this sentence; nothing else follows from it."""

    problem: str


@dataclass(frozen=True, slots=True)
class StopStage:
    """End this process with `reason`. The core has forgotten every peer already."""

    reason: Reason


Effect: TypeAlias = (
    SendSubscribe
    | SendAsk
    | SendCancel
    | SendEvents
    | SendCancelled
    | HandleSubscribe
    | HandleDemand
    | HandleEvents
    | HandleCancel
    | RefuseSubscription
    | ReportDiscarded
    | Warn
    | StopStage
)

Effects: TypeAlias = tuple[Effect, ...]


def carry_out(effects: Iterable[Effect], perform: Callable[[Effect], Iterable[Effect]]) -> None:
    """Perform effects first in, first out; those that `perform` returns queue behind the rest.

    `perform` returns what the core said when it was fed (`core.emit(...)`, `core.handled(...)`),
    or nothing. A shell that receives a message meanwhile must not start a second loop.
    """
    queue = deque(effects)
    while queue:
        queue.extend(perform(queue.popleft()))
