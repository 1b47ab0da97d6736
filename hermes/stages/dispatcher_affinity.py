"""The affinity dispatcher: by demand, but events of one key stay with one consumer.

Two consumers that work at once would finish events of one key in any order. The first event of a
key goes to who asked for most; later ones wait for that consumer while it has not asked.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from hermes.stages.dispatcher import NOTHING_NEW, Dispatched
from hermes.stages.effects import SendEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from hermes.stages.effects import Event, Events, Options, Process, Tag

MOST_KEYS: Final = 10_000
MOST_WAITING: Final = 100


class AffinityDispatcher:
    """`key_of` gives the key of an event. The 10,000 keys seen last are remembered.

    Once `most_waiting` events wait for their consumers nothing more is asked for: the rest of what
    upstream has may all be theirs.
    """

    def __init__(
        self, key_of: Callable[[Event], Hashable], most_waiting: int = MOST_WAITING
    ) -> None:
        self.demands: dict[Tag, int] = {}
        self._key_of, self._most_waiting = key_of, most_waiting
        self._processes: dict[Tag, Process] = {}
        self._homes: OrderedDict[Hashable, Tag] = OrderedDict()
        self._waiting: dict[Tag, deque[Event]] = {}
        self._homeless: deque[Event] = deque()

    @property
    def capacity(self) -> int:
        """What may be asked for: nothing while too much waits."""
        if self.waiting >= self._most_waiting:
            return 0
        return sum(self.demands.values())

    @property
    def waiting(self) -> int:
        """Events held here."""
        return len(self._homeless) + sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[Event]:
        yield from self._homeless
        for events in self._waiting.values():
            yield from events

    def take_waiting(self) -> list[Event]:
        """Give what is held here, and hold nothing any more."""
        events = list(self)
        self._homeless.clear()
        for waiting in self._waiting.values():
            waiting.clear()
        return events

    def subscribe(self, process: Process, tag: Tag, _options: Options, /) -> Dispatched:
        self._processes[tag] = process
        self.demands[tag] = 0
        self._waiting[tag] = deque()
        return NOTHING_NEW

    def ask(self, tag: Tag, count: int) -> Dispatched:
        self.demands[tag] += count
        sends = self._send_waiting(tag)
        homeless = tuple(self._homeless)
        self._homeless.clear()
        return Dispatched(count, effects=(*sends, *self.dispatch(homeless).effects))

    def cancel(self, tag: Tag) -> Dispatched:
        """What waited for this consumer goes to another, in its order."""
        del self._processes[tag], self.demands[tag]
        moved = tuple(self._waiting.pop(tag))
        for key in {self._key_of(event) for event in moved}:
            self._homes.pop(key, None)  # it may be forgotten already
        return Dispatched(effects=self.dispatch(moved).effects)

    def dispatch(self, events: Events) -> Dispatched:
        """Take every event: it is sent, or waits for the consumer of its key."""
        if not self._processes:
            self._homeless.extend(events)
            return NOTHING_NEW
        sent: dict[Tag, list[Event]] = {}
        has_waited = False
        for event in events:
            tag = self._home_of(event)
            if self.demands[tag] > 0 and not self._waiting[tag]:
                self.demands[tag] -= 1
                sent.setdefault(tag, []).append(event)
            else:
                self._waiting[tag].append(event)
                has_waited = True
        sends = tuple(
            SendEvents(self._processes[tag], tag, tuple(part)) for tag, part in sent.items()
        )
        # those that wait met nobody's demand, so as much is to be asked for again
        refused = ((next(iter(self._processes)), 0),) if has_waited else ()
        return Dispatched(effects=sends, refused=refused)

    def _home_of(self, event: Event) -> Tag:
        """Give the consumer of an event's key; a new one has asked for most."""
        key = self._key_of(event)
        tag = self._homes.get(key)
        if tag is None or tag not in self._processes:
            tag = max(self.demands, key=lambda one: self.demands[one] - len(self._waiting[one]))
            self._homes[key] = tag
            if len(self._homes) > MOST_KEYS:
                self._homes.popitem(last=False)
        self._homes.move_to_end(key)
        return tag

    def _send_waiting(self, tag: Tag) -> tuple[SendEvents, ...]:
        waiting = self._waiting[tag]
        count = min(self.demands[tag], len(waiting))
        if not count:
            return ()
        self.demands[tag] -= count
        part = tuple(waiting.popleft() for _ in range(count))
        return (SendEvents(self._processes[tag], tag, part),)
