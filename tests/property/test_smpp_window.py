"""Every slot of a window is freed exactly once, whatever answers come and when."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hermes.smpp.window import Answered, LateAnswer, Window

SIZE = 4
TIMEOUT = 10.0


class WindowMachine(RuleBasedStateMachine):
    """A window beside a plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.window: Window[int] = Window(SIZE)
        self.now = 0.0
        self.queued = 0
        self.flying: dict[int, float] = {}
        self.late: dict[int, float] = {}
        self.taken = self.freed = self.sequence = 0

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        free = SIZE - self.queued - len(self.flying)
        assert self.window.take() == (free > 0)
        if free > 0:
            self.queued, self.taken = self.queued + 1, self.taken + 1

    @precondition(lambda self: self.queued > 0)
    @rule()
    def give_back(self) -> None:
        self.window.give_back()
        self.queued, self.freed = self.queued - 1, self.freed + 1

    @precondition(lambda self: self.queued > 0)
    @rule()
    def write(self) -> None:
        self.sequence += 1
        self.window.written(self.sequence, -self.sequence, self.now)
        self.queued -= 1
        self.flying[self.sequence] = self.now

    @precondition(lambda self: self.queued == 0)
    @rule()
    def nothing_is_written_or_given_back_that_was_not_taken(self) -> None:
        with pytest.raises(ValueError):
            self.window.give_back()
        with pytest.raises(ValueError):
            self.window.written(self.sequence + 1, 0, self.now)

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        sequence = data.draw(st.integers(1, self.sequence + 1))
        answer = self.window.answered(sequence, self.now)
        if sequence in self.flying:
            latency = self.now - self.flying.pop(sequence)
            assert answer == Answered(-sequence, latency)
            self.freed += 1
        elif sequence in self.late:
            assert answer == LateAnswer(-sequence, self.now - self.late.pop(sequence))
        else:
            assert answer is None

    @rule()
    def expire(self) -> None:
        due = [s for s, at in self.flying.items() if self.now - at >= TIMEOUT]
        assert self.window.expired(self.now, TIMEOUT) == [(s, -s) for s in due]
        for sequence in due:
            self.late[sequence] = self.flying.pop(sequence)
            self.freed += 1

    @rule()
    def end(self) -> None:
        assert self.window.end() == [(s, -s) for s in self.flying]
        self.freed += len(self.flying)
        self.flying.clear()
        self.late.clear()

    @invariant()
    def slots_add_up(self) -> None:
        assert self.window.queued == self.queued
        assert self.window.in_flight == len(self.flying)
        assert self.window.credit == SIZE - self.queued - len(self.flying)
        assert self.taken - self.freed == self.queued + len(self.flying)


TestWindow = WindowMachine.TestCase
TestWindow.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="window is 0, at least 1"):
        Window(0)
