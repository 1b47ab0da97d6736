"""What every dispatcher does: it keeps the demand of consumers and shares events among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hermes.core.errors import HermesError

if TYPE_CHECKING:
    from hermes.stages.effects import (
        Events,
        Options,
        Process,
        ReportDiscarded,
        SendEvents,
        Tag,
        Warn,
    )


class AlreadySubscribed(HermesError):
    """This process has a subscription here, and the dispatcher allows one per process."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The answer of a dispatcher to one operation.

    `demand`: new demand to be met from the buffer or from upstream (after subscribe, ask, cancel).
    `leftover`: events not taken, in order (after dispatch). `refused`: per consumer, how many
    events its selector refused; each is to be asked again on its behalf.
    """

    demand: int = 0
    leftover: Events = ()
    effects: tuple[SendEvents | ReportDiscarded | Warn, ...] = ()
    refused: tuple[tuple[Tag, int], ...] = ()


NOTHING_NEW = Dispatched()


class Dispatcher(Protocol):
    """State of the demand of all consumers of one producer. Tags are unique and known."""

    @property
    def capacity(self) -> int:
        """How many events `dispatch` would take now."""

    def subscribe(self, process: Process, tag: Tag, options: Options, /) -> Dispatched:
        """Raises AlreadySubscribed or BadOptions, and then knows nothing of `tag`."""

    def ask(self, tag: Tag, count: int) -> Dispatched:
        """`count` >= 1 more events may go to this consumer."""

    def cancel(self, tag: Tag) -> Dispatched:
        """Forget this consumer. May free demand that it held up."""

    def dispatch(self, events: Events) -> Dispatched:
        """Share events among the consumers as far as they asked."""
