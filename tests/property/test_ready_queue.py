"""The ready queue keeps order per pair, priority between classes, and loses nothing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.core.ready import ReadyQueue, next_ask, ready_target
from hermes.core.units import PRIORITIES, TrafficClass


@dataclass(frozen=True)
class Held:
    """A job as the queue sees it."""

    number: int
    traffic: TrafficClass
    pair: int
    has_begun = False

    @property
    def owner(self) -> Hashable:
        """A job of one part."""
        return self


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(PRIORITIES), st.integers(0, 4)),
        st.tuples(st.just("take"), st.integers(0, 6), st.just(0)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("throttle"), st.integers(0, 9), st.just(0)),
    ),
    max_size=80,
)


@settings(max_examples=500, deadline=None)
@given(OPERATIONS)
def test_nothing_later_of_a_pair_goes_while_an_earlier_one_is_unanswered(
    operations: list[tuple[str, int | str, int]],
) -> None:
    queue: ReadyQueue[Held] = ReadyQueue()
    out: list[Held] = []
    done: list[Held] = []
    put = 0
    for name, argument, pair in operations:
        if name == "put":
            assert argument in PRIORITIES
            queue.put(Held(put, argument, pair))
            put += 1
        elif name == "take":
            assert isinstance(argument, int)
            taken = queue.take(argument)
            assert len(taken) <= argument
            out.extend(taken)
            pairs = [job.pair for job in out]
            assert len(pairs) == len(set(pairs))
        elif out:
            assert isinstance(argument, int)
            job = out.pop(argument % len(out))
            if name == "answer":
                queue.free(job)
                done.append(job)
            else:
                queue.put_back([job])
        assert len(queue) + len(out) + len(done) == put
    for pair in range(5):
        for traffic in PRIORITIES:
            numbers = [j.number for j in done if j.pair == pair and j.traffic == traffic]
            assert all(a < b for a, b in pairwise(numbers))


@given(st.lists(st.sampled_from(PRIORITIES), max_size=20), st.integers(0, 20))
def test_higher_priority_goes_first(classes: list[TrafficClass], count: int) -> None:
    queue: ReadyQueue[Held] = ReadyQueue()
    for number, traffic in enumerate(classes):
        queue.put(Held(number, traffic, number))
    ranks = [PRIORITIES.index(job.traffic) for job in queue.take(count)]
    assert ranks == sorted(ranks)
    assert len(queue.hand_back()) == max(0, len(classes) - count)


@given(
    st.integers(1, 200),
    st.floats(0, 5000),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_demand_never_exceeds_window_plus_ready(
    window: int, rate: float, in_flight: int, held: int, asked: int
) -> None:
    ready = ready_target(rate, window, 0.1)
    assert 1 <= ready <= window
    ask = next_ask(window=window, ready=ready, in_flight=in_flight, held=held, asked=asked)
    assert ask == 0 or in_flight + held + asked + ask == window + ready
