"""The decisions of a port: start, readiness, back-off, replacement, stop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.port_core import (
    FIRST_PROBE_S,
    AnnounceReady,
    Effect,
    Kill,
    Port,
    PortPhase,
    PortTimes,
    Probe,
    RefuseStart,
    ReportDone,
    ReportHealth,
    Spawn,
    Terminate,
)

ROUNDING = 1e-6
TIMES = PortTimes(probe_every_s=2.0, stop_timeout_s=5.0, steady_after_s=30.0)


def spawned(now: float = 0.0, times: PortTimes = TIMES) -> Port:
    port, effects = Port(times).begin(now)
    assert effects == (Spawn(1),)
    port, effects = port.on_spawned(now, 71)
    assert effects == ()
    return port


def up(now: float = 0.0, times: PortTimes = TIMES) -> Port:
    return spawned(now, times).on_probe(now, 1, ready=True)[0]


def restarted(port: Port, now: float) -> tuple[Port, float]:
    """Let the process end at once; return the port with its next process, and the wait."""
    waiting, _ = port.on_exit(now, port.run, 1)
    assert waiting.phase is PortPhase.WAITING
    assert waiting.wake_at is not None
    spawning, effects = waiting.on_wake(waiting.wake_at)
    assert effects == (Spawn(port.run + 1),)
    return spawning.on_spawned(waiting.wake_at, 71 + port.run)[0], waiting.wake_at - now


def test_first_readiness_starts_the_port_and_later_ones_do_not() -> None:
    port, effects = spawned().on_probe(0.1, 1, ready=True)
    assert effects == (AnnounceReady(), ReportHealth(healthy=True))
    assert port.on_probe(2.1, 1, ready=True)[1] == ()
    assert port.on_probe(2.1, 1, ready=False)[1] == (ReportHealth(healthy=False),)


def test_second_process_that_is_ready_is_reported_but_not_announced() -> None:
    port, _ = restarted(up(), 1.0)
    assert port.on_probe(2.0, 2, ready=True)[1] == (ReportHealth(healthy=True),)


def test_start_is_found_ready_after_at_most_a_quarter_more_than_it_took() -> None:
    port, now = spawned(), 0.0
    while now < 20.0:
        assert port.wake_at is not None
        longest = max(FIRST_PROBE_S, min(now / 4, TIMES.probe_every_s))
        assert port.wake_at - now <= longest + ROUNDING
        now = port.wake_at
        port, effects = port.on_wake(now)
        assert effects == (Probe(1),)
        assert port.wake_at is None  # one probe at a time
        port, _ = port.on_probe(now, 1, ready=False)
        assert port.phase is PortPhase.STARTING


def test_backoff_doubles_from_first_to_max_while_no_process_lasts() -> None:
    port, waits = spawned(), []
    for _ in range(8):
        port, wait = restarted(port, now=100.0)
        waits.append(wait)
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    assert port.restarts == 8


def test_backoff_begins_again_after_a_steady_time_of_readiness() -> None:
    port = spawned()
    for _ in range(4):
        port, _ = restarted(port, 0.0)
    port, _ = port.on_probe(10.0, port.run, ready=True)
    port, _ = port.on_probe(39.9, port.run, ready=True)
    assert restarted(port, 39.9)[1] == pytest.approx(3.2)
    port, _ = port.on_probe(40.0, port.run, ready=True)
    assert restarted(port, 40.0)[1] == pytest.approx(0.2)


def test_readiness_with_breaks_is_not_steady() -> None:
    port, _ = restarted(up(), 0.0)
    for now, ready in [(1.0, True), (20.0, False), (22.0, True), (51.0, True)]:
        port, _ = port.on_probe(now, 2, ready=ready)
    assert restarted(port, 51.0)[1] == pytest.approx(0.4)


def test_process_that_cannot_be_made_refuses_the_first_start_only() -> None:
    port, _ = Port(TIMES).begin(0.0)
    assert port.on_spawn_failed(0.0, "no such file")[1] == (RefuseStart("no such file"),)
    again, _ = up().on_exit(1.0, 1, -9)
    again, _ = again.on_wake(1.2)
    again, effects = again.on_spawn_failed(1.2, "no such file")
    assert (again.phase, effects) == (PortPhase.WAITING, ())


def test_unreadiness_alone_never_ends_a_process_without_a_limit() -> None:
    port = up()
    for step in range(1, 1000):
        port, effects = port.on_probe(2.0 * step, 1, ready=False)
        assert Terminate() not in effects


def test_process_that_is_unready_for_the_limit_is_replaced() -> None:
    port = up(times=replace(TIMES, replace_unhealthy_after_s=6.0))
    port, effects = port.on_probe(2.0, 1, ready=False)
    assert effects == (ReportHealth(healthy=False),)
    port, effects = port.on_probe(7.9, 1, ready=False)
    assert effects == ()
    port, effects = port.on_probe(8.0, 1, ready=False)
    assert effects == (Terminate(),)
    assert (port.phase, port.wake_at) == (PortPhase.ENDING, 13.0)
    port, _ = port.on_exit(9.0, 1, 0)
    assert port.phase is PortPhase.WAITING


def test_process_that_takes_long_to_be_ready_is_left_alone() -> None:
    port, _ = Port(replace(TIMES, replace_unhealthy_after_s=6.0)).begin(0.0)
    port, _ = port.on_spawned(0.0, 71)
    for step in range(1, 100):
        port, effects = port.on_probe(2.0 * step, 1, ready=False)
        assert effects == ()


def test_stop_sends_the_stop_signal_then_kills_after_the_timeout() -> None:
    port, effects = up().on_stop(1.0, 60.0)
    assert effects == (Terminate(),)
    assert port.on_wake(5.9)[1] == ()
    port, effects = port.on_wake(6.0)
    assert effects == (Kill(),)
    port, effects = port.on_exit(6.1, 1, -9)
    assert effects == (ReportHealth(healthy=False), ReportDone())
    assert (port.phase, port.pid, port.last_exit) == (PortPhase.DONE, None, -9)


def test_stop_kills_before_its_deadline_if_that_is_sooner() -> None:
    assert up().on_stop(1.0, 2.0)[0].wake_at == pytest.approx(2.6)


def test_stop_while_the_process_is_being_made_ends_it_as_soon_as_it_exists() -> None:
    port, _ = Port(TIMES).begin(0.0)
    port, effects = port.on_stop(0.1, 60.0)
    assert effects == ()
    port, effects = port.on_spawned(0.2, 71)
    assert effects == (Terminate(),)
    assert port.wake_at == pytest.approx(5.1)


@pytest.mark.parametrize("port", [Port(TIMES), up().on_exit(1.0, 1, 1)[0]])
def test_stop_without_a_process_is_done_at_once(port: Port) -> None:
    assert port.on_stop(2.0, 60.0)[1] == (ReportDone(),)


def test_news_of_a_former_process_changes_nothing() -> None:
    port, _ = restarted(up(), 1.0)
    assert port.on_exit(2.0, 1, 0) == (port, ())
    assert port.on_probe(2.0, 1, ready=True) == (port, ())


class PortWorld(RuleBasedStateMachine):
    """A port in a world where processes start, answer and die at will."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.port = Port(replace(TIMES, replace_unhealthy_after_s=7.0))
        self.to_spawn: int | None = None
        self.living: int | None = None
        self.probing: list[int] = []
        self.spawns = self.announced = self.done = 0
        self.signalled = self.killed = False
        self.stop_asked = self.refused = False

    def obey(self, step: tuple[Port, tuple[Effect, ...]]) -> None:
        self.port, effects = step
        for effect in effects:
            match effect:
                case Spawn(run):
                    assert self.living is None
                    assert self.to_spawn is None
                    assert not self.stop_asked
                    self.spawns += 1
                    assert run == self.spawns
                    self.to_spawn = run
                case Probe(run):
                    assert run == self.living
                    assert run not in self.probing
                    self.probing.append(run)
                case Terminate():
                    assert self.living is not None
                    assert not self.signalled
                    self.signalled = True
                case Kill():
                    assert self.signalled
                    assert not self.killed
                    self.killed = True
                case AnnounceReady():
                    self.announced += 1
                case RefuseStart():
                    self.refused = True
                case ReportDone():
                    assert self.living is None
                    self.done += 1
                case ReportHealth(healthy):
                    assert healthy is self.port.healthy or not self.port.healthy

    @precondition(lambda self: self.port.phase is PortPhase.NEW and not self.stop_asked)
    @rule()
    def begin(self) -> None:
        self.obey(self.port.begin(self.now))

    @precondition(lambda self: self.to_spawn is not None)
    @rule(made=st.booleans())
    def answer_spawn(self, made: bool) -> None:
        self.living, self.to_spawn = (self.to_spawn if made else None), None
        self.signalled = self.killed = False
        if self.living is None:
            self.obey(self.port.on_spawn_failed(self.now, "none"))
        else:
            self.obey(self.port.on_spawned(self.now, 1000 + self.living))

    @precondition(lambda self: self.probing)
    @rule(ready=st.booleans())
    def answer_probe(self, ready: bool) -> None:
        run = self.probing.pop(0)
        self.obey(self.port.on_probe(self.now, run, ready=ready))

    @precondition(lambda self: self.living is not None)
    @rule(code=st.sampled_from([0, 1, -9, -11]))
    def process_ends(self, code: int) -> None:
        assert self.living is not None
        run, self.living = self.living, None
        self.obey(self.port.on_exit(self.now, run, code))
        self.obey(self.port.on_exit(self.now, run, code))  # said twice, heard once

    @rule(seconds=st.floats(0.0, 12.0, width=16))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.port.on_wake(self.now))

    @precondition(lambda self: not self.stop_asked)
    @rule(within_s=st.floats(0.1, 20.0))
    def stop(self, within_s: float) -> None:
        self.stop_asked = True
        self.obey(self.port.on_stop(self.now, within_s))

    @invariant()
    def knows_its_process(self) -> None:
        assert self.port.pid == (None if self.living is None else 1000 + self.living)
        assert not self.port.healthy or self.port.phase in (PortPhase.UP, PortPhase.ENDING)

    @invariant()
    def something_always_happens_next(self) -> None:
        # What is due, answered by the world, or asked from outside; a killed process must end.
        assert (
            self.port.wake_at is not None
            or self.port.phase in (PortPhase.NEW, PortPhase.DONE)
            or self.to_spawn is not None
            or self.living in self.probing
            or self.killed
        )

    @invariant()
    def backoff_stays_between_first_and_max(self) -> None:
        assert 0.0 <= self.port.backoff_s <= TIMES.backoff_max_s
        if self.port.phase is PortPhase.WAITING and self.port.wake_at is not None:
            assert self.port.wake_at - self.now <= TIMES.backoff_max_s + ROUNDING

    @invariant()
    def reports_once(self) -> None:
        assert self.announced <= 1
        assert self.done <= 1
        assert (self.port.phase is PortPhase.DONE) == (self.done == 1 or self.refused)


TestPortWorld = PortWorld.TestCase
TestPortWorld.settings = settings(max_examples=500, stateful_step_count=30, deadline=None)
