"""The broadcast dispatcher: every event goes to all consumers, at the pace of the slowest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from hermes.stages.dispatcher import NOTHING_NEW, AlreadySubscribed, Dispatched
from hermes.stages.effects import SendEvents
from hermes.stages.subscription import BadOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from hermes.stages.effects import Event, Events, Options, Process, Tag

Selector: TypeAlias = "Callable[[Event], bool]"


@dataclass(slots=True)
class _Member:
    process: Process
    count: int  # demand beyond what all may take
    selector: Selector | None


class BroadcastDispatcher:
    """`waiting`: events all consumers may take now. `requested`: demanded upstream and not come.

    A consumer may subscribe with `selector=`, a function of one event; it gets only what that
    accepts. A process has one subscription at most.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.requested = 0
        self._members: dict[Tag, _Member] = {}
        self._processes: set[Process] = set()

    @property
    def capacity(self) -> int:
        return self.waiting

    @property
    def demands(self) -> dict[Tag, int]:
        """Per consumer: its demand beyond `waiting`."""
        return {tag: member.count for tag, member in self._members.items()}

    def subscribe(self, process: Process, tag: Tag, options: Options, /) -> Dispatched:
        selector = options.get("selector")
        if selector is not None and not callable(selector):
            raise BadOptions(f"expected selector to be a function of one event, got: {selector!r}")
        if process in self._processes:
            raise AlreadySubscribed(f"{process} is subscribed to this broadcast already")
        for member in self._members.values():
            member.count += self.waiting
        self.waiting = 0
        self._processes.add(process)
        self._members[tag] = _Member(process, 0, selector)
        return NOTHING_NEW

    def ask(self, tag: Tag, count: int) -> Dispatched:
        self._members[tag].count += count
        return self._sync()

    def cancel(self, tag: Tag) -> Dispatched:
        self._processes.remove(self._members.pop(tag).process)
        if not self._members:
            self.waiting = 0
            return NOTHING_NEW
        return self._sync()

    def dispatch(self, events: Events) -> Dispatched:
        now, leftover = events[: self.waiting], events[self.waiting :]
        if not now:
            return Dispatched(leftover=leftover)
        self.waiting -= len(now)
        self.requested -= len(now)
        sends, refused = [], []
        for tag, member in self._members.items():
            select = member.selector
            selected = now if select is None else tuple(event for event in now if select(event))
            if selected:
                sends.append(SendEvents(member.process, tag, selected))
            if len(selected) < len(now):
                refused.append((tag, len(now) - len(selected)))
        return Dispatched(leftover=leftover, effects=tuple(sends), refused=tuple(refused))

    def _sync(self) -> Dispatched:
        """Make what all of them want available to all, and demand what is not on its way."""
        common = min(member.count for member in self._members.values())
        if common:
            for member in self._members.values():
                member.count -= common
            self.waiting += common
        demand = max(0, self.waiting - self.requested)
        self.requested += demand
        return Dispatched(demand)
