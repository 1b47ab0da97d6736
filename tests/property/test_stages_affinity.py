"""Events of one key stay with one consumer, in order, and none is lost."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.stages.dispatcher_affinity import AffinityDispatcher
from hermes.stages.effects import Effects, HandleDemand, SendEvents
from hermes.stages.producer import Producer

TAGS = ("one", "two", "three")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("subscribe"), st.sampled_from(TAGS), st.just(0)),
        st.tuples(st.just("ask"), st.sampled_from(TAGS), st.integers(1, 5)),
        st.tuples(st.just("cancel"), st.sampled_from(TAGS), st.just(0)),
        st.tuples(st.just("supply"), st.just(""), st.integers(1, 8)),
    ),
    max_size=60,
)


class World:
    """A producer whose upstream has events without end: (key, number) in a fixed mix of keys."""

    def __init__(self, keys: list[int], most_waiting: int = 6) -> None:
        self.dispatcher = AffinityDispatcher(lambda event: event[0], most_waiting)
        self.producer = Producer(self.dispatcher, buffer_size=None)
        self.keys, self.made, self.wanted, self.asked = keys, 0, 0, 0
        self.sent: list[tuple[str, Any]] = []

    def obey(self, effects: Effects) -> None:
        """Note what is sent and demanded."""
        for effect in effects:
            match effect:
                case SendEvents(tag=tag, events=events):
                    self.sent += [(str(tag), event) for event in events]
                case HandleDemand(count=count):
                    self.wanted += count
                case _:
                    pass

    def supply(self, count: int) -> None:
        """Upstream gives as much as was asked, some of it."""
        count = min(count, self.wanted)
        self.wanted -= count
        events = [(self.keys[n % len(self.keys)], n) for n in range(self.made, self.made + count)]
        self.made += count
        self.obey(self.producer.emit(events))

    def do(self, name: str, tag: str, count: int) -> None:
        """Take one step, if it can be taken."""
        known = tag in self.producer.consumers
        if name == "subscribe" and not known:
            self.obey(self.producer.on_subscribe(tag, tag, {}))
        elif name == "ask" and known:
            self.asked += count
            self.obey(self.producer.on_ask(tag, tag, count))
        elif name == "cancel" and known:
            self.obey(self.producer.on_cancel(tag, "down"))
        elif name == "supply":
            self.supply(count)

    def held(self) -> list[Any]:
        """What came and was not sent."""
        return [*self.producer.buffer.events, *self.dispatcher]


@settings(max_examples=500, deadline=None)
@given(STEPS, st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_nothing_is_lost_doubled_or_reordered_within_a_key(
    steps: list[tuple[str, str, int]], keys: list[int]
) -> None:
    world = World(keys)
    for step in steps:
        world.do(*step)
        sent = [event for _, event in world.sent]
        assert sorted([*sent, *world.held()], key=lambda e: e[1]) == [
            (keys[n % len(keys)], n) for n in range(world.made)
        ]
        assert len(sent) <= world.asked
    by_key: dict[int, list[int]] = defaultdict(list)
    for _, (key, number) in world.sent:
        by_key[key].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


@settings(max_examples=300, deadline=None)
@given(STEPS.map(lambda steps: [s for s in steps if s[0] != "cancel"]), st.integers(1, 12))
def test_while_no_consumer_leaves_a_key_has_one(
    steps: list[tuple[str, str, int]], keys: int
) -> None:
    world = World(list(range(keys)))
    for step in steps:
        world.do(*step)
    homes: dict[int, set[str]] = defaultdict(set)
    for tag, (key, _) in world.sent:
        homes[key].add(tag)
    assert all(len(tags) == 1 for tags in homes.values())


def test_one_busy_key_makes_a_producer_take_no_more_than_its_bound() -> None:
    world = World([7])
    for tag in TAGS:
        world.do("subscribe", tag, 0)
        world.do("ask", tag, 5)
    for _ in range(50):
        world.supply(100)
    assert len({tag for tag, _ in world.sent}) == 1
    assert len(world.sent) == 5
    assert len(world.held()) <= 6 + 10


def test_other_keys_fill_the_demand_that_a_busy_key_leaves_open() -> None:
    world = World([7, 7, 7, *range(20, 40)])
    for tag in TAGS:
        world.do("subscribe", tag, 0)
        world.do("ask", tag, 4)
    for _ in range(20):
        world.supply(4)
    assert len(world.sent) >= 11


def test_what_waited_for_a_consumer_that_leaves_goes_to_the_others() -> None:
    world = World([7])
    for tag in TAGS[:2]:
        world.do("subscribe", tag, 0)
        world.do("ask", tag, 2)
    world.supply(4)
    (busy,) = {tag for tag, _ in world.sent}
    (other,) = set(TAGS[:2]) - {busy}
    assert len(world.held()) == 2
    world.do("cancel", busy, 0)
    assert [tag for tag, _ in world.sent] == [busy, busy, other, other]
    assert world.held() == []
