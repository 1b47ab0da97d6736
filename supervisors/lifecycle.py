"""Starts and stops children one step at a time and waits for what they answer."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count
from typing import assert_never

from supervisors.actions import Action, Kill, Report, ReportKind, SetTimer, Start, TellToStop
from supervisors.child_spec import BRUTAL_KILL, ChildType
from supervisors.children import Child, Children, ChildState
from supervisors.exit_reason import SHUTDOWN, ExitKind, ExitReason, FailedToStartChild
from supervisors.facts import (
    ChildDown,
    ChildIgnored,
    ChildSpawned,
    ChildStarted,
    StartAnswer,
    StartFailed,
)
from supervisors.mailbox import Mailbox
from supervisors.pending import (
    Failed,
    Ignored,
    PendingStart,
    PendingStop,
    StartStep,
    Step,
    StopStep,
    Up,
)


class Lifecycle:
    """One step under way at most: `waiting` is None when the next may begin.

    `now` is the moment of the fact in hand, `deadline` the one by which all must have stopped,
    `actions` what has been ordered since they were last taken.
    """

    def __init__(self, children: Children, mailbox: Mailbox, *, keeps_specs: bool) -> None:
        self.children = children
        self.mailbox = mailbox
        self.waiting: PendingStart | PendingStop | None = None
        self.now = 0.0
        self.deadline = math.inf
        self.actions: list[Action] = []
        self._keeps_specs = keeps_specs
        self._incarnations = count(1)
        self._timers = count(1)

    def begin(self, step: Step) -> None:
        """Begin a step; one with nothing to do is over at once."""
        match step:
            case StartStep(id=id_, is_restart=is_restart):
                self._start(self.children[id_], is_restart=is_restart)
            case StopStep(ids=ids):
                self._stop([child for id_ in ids if (child := self.children.find(id_))])
            case _ as never:
                assert_never(never)

    def awaits(self, fact: StartAnswer | ChildDown) -> bool:
        """Tell whether a fact belongs to the step under way."""
        match self.waiting:
            case PendingStart() as start:
                return start.is_about(fact)
            case PendingStop() as stop:
                return self._stopping_child(stop, fact) is not None
            case None:
                return False
            case _ as never:
                assert_never(never)

    def on_fact(self, fact: StartAnswer | ChildDown) -> FailedToStartChild | None:
        """Take in an awaited fact; the result tells of a start that failed by it."""
        match self.waiting:
            case PendingStart() as start:
                return self._on_start_fact(start, fact)
            case PendingStop() as stop:
                self._on_stop_fact(stop, fact)
            case None:
                pass
            case _ as never:
                assert_never(never)
        return None

    def on_timeout(self, timer: int) -> None:
        """Kill what the timer was set for, unless it is no longer waited for."""
        match self.waiting:
            case PendingStart() as start if start.timer == timer:
                child = self.children[start.id]
                late = f"not up within {child.spec.start_within:g} s"
                answer = start.answer or Failed(ExitReason(ExitKind.ABNORMAL, late))
                self.waiting = replace(start, answer=answer)
                self._kill(child)
            case PendingStop() as stop if stop.timer == timer:
                self.waiting = replace(stop, limit=-math.inf)
                for child in self.children:
                    if child.id in stop.ids:
                        self._kill(child)
            case _:
                pass

    def hasten(self, deadline: float | None) -> None:
        """Make all that is under way end by a deadline; a start is not waited for.

        A worker that is starting has nothing to hand back and is killed. A supervisor is told to
        stop, because killing it would kill its children; one told before is told of the earlier
        deadline.
        """
        self.deadline = min(self.deadline, math.inf if deadline is None else deadline)
        match self.waiting:
            case PendingStart() as start:
                child = self.children[start.id]
                limit = self._order_stop(child, is_told=child.spec.type is ChildType.SUPERVISOR)
                self._wait_for_stop(frozenset({start.id}), limit)
            case PendingStop() as stop if self.deadline < stop.limit:
                for child in self.children:
                    if child.id in stop.ids and child.spec.type is ChildType.SUPERVISOR:
                        self._tell_to_stop(child, self.deadline)
                self._wait_for_stop(stop.ids, self.deadline)
            case _:
                pass

    def rest(self, child: Child, reason: ExitReason | None) -> None:
        """Let a child be down, and forget it when its spec goes with its process."""
        if child.is_temporary or not self._keeps_specs:
            self.children.drop(child.id)
        else:
            last_exit = child.last_exit if reason is None else reason
            self.put(child, ChildState.DOWN, last_exit=last_exit)

    def put(
        self, child: Child, state: ChildState, *, last_exit: ExitReason | None, attempt: int = 0
    ) -> Child:
        """Note a state without a process."""
        self.children.put(
            replace(
                child,
                state=state,
                pid=None,
                last_exit=last_exit,
                attempt=attempt,
                since=self.now,
            )
        )
        return self.children[child.id]

    def report(
        self,
        kind: ReportKind,
        child: Child,
        reason: ExitReason | None = None,
        recent_restarts: int | None = None,
    ) -> None:
        """Order a line for the log."""
        self.actions.append(
            Report(
                kind=kind,
                id=child.id,
                pid=child.pid,
                incarnation=child.incarnation,
                reason=reason,
                restart_count=child.restart_count,
                recent_restarts=recent_restarts,
            )
        )

    def _start(self, child: Child, *, is_restart: bool) -> None:
        incarnation = next(self._incarnations)
        self.children.put(
            replace(
                child,
                state=ChildState.STARTING,
                pid=None,
                incarnation=incarnation,
                since=self.now,
            )
        )
        self.actions.append(Start(child.spec, incarnation, child.args))
        timer = self._set_timer(child.spec.start_within)
        self.waiting = PendingStart(child.id, incarnation, timer, is_restart=is_restart)

    def _on_start_fact(
        self, start: PendingStart, fact: StartAnswer | ChildDown
    ) -> FailedToStartChild | None:
        child = self.children[start.id]
        self.waiting = None
        match start.on_fact(fact):
            case PendingStart() as pending:
                self.children.put(replace(child, pid=pending.pid))
                is_over = start.answer is None and pending.answer is not None
                self.waiting = self._let_end(pending) if is_over else pending
            case Up(pid=pid):
                child = replace(
                    child,
                    state=ChildState.UP,
                    pid=pid,
                    last_pid=pid,
                    restart_count=child.restart_count + start.is_restart,
                    since=self.now,
                )
                self.children.put(child)
                self.report(ReportKind.CHILD_STARTED, child)
            case Ignored():
                self.report(ReportKind.CHILD_IGNORED, child)
                self.rest(child, None)
            case Failed(reason=reason):
                self.report(ReportKind.START_FAILED, child, reason)
                self.put(child, ChildState.DOWN, last_exit=reason)
                return FailedToStartChild(child.id, reason)
            case _ as never:
                assert_never(never)
        return None

    def _let_end(self, start: PendingStart) -> PendingStart:
        """Give a child that will not come up its shutdown time to be gone."""
        child = self.children[start.id]
        within = child.spec.stop_within
        if within is BRUTAL_KILL:
            self._kill(child)
            return start
        return replace(start, timer=self._set_timer(within))

    def _stop(self, children: list[Child]) -> None:
        limits: dict[str, float] = {}
        for child in children:
            match child.state:
                case ChildState.DOWN:
                    pass
                case ChildState.RESTARTING:
                    self.rest(child, None)
                case ChildState.UP | ChildState.STARTING | ChildState.STOPPING:
                    death = self.mailbox.take_death(child)
                    if death is not None:
                        self._has_stopped(child, death.reason)
                    else:
                        limits[child.id] = self._order_stop(child)
                case _ as never:
                    assert_never(never)
        if limits:
            self._wait_for_stop(frozenset(limits), max(limits.values()))

    def _order_stop(self, child: Child, *, is_told: bool = True) -> float:
        """Tell or kill; the result is the moment by which a told child must be gone."""
        self.children.put(replace(child, state=ChildState.STOPPING, since=self.now))
        within = child.spec.stop_within
        if not is_told or within is BRUTAL_KILL or self.deadline <= self.now:
            return self._kill(child)
        return self._tell_to_stop(child, min(self.now + within, self.deadline))

    def _tell_to_stop(self, child: Child, limit: float) -> float:
        deadline = None if math.isinf(limit) else limit
        self.actions.append(TellToStop(child.id, child.pid, child.incarnation, deadline))
        return limit

    def _kill(self, child: Child) -> float:
        self.actions.append(Kill(child.id, child.pid, child.incarnation))
        return -math.inf

    def _wait_for_stop(self, ids: frozenset[str], limit: float) -> None:
        self.waiting = PendingStop(ids, self._set_timer(limit - self.now), limit)

    def _set_timer(self, seconds: float) -> int:
        timer = next(self._timers)
        if not math.isinf(seconds):
            self.actions.append(SetTimer(timer, max(seconds, 0.0)))
        return timer

    def _stopping_child(self, stop: PendingStop, fact: StartAnswer | ChildDown) -> Child | None:
        for child in self.children:
            if child.id in stop.ids and child.incarnation == fact.incarnation:
                is_same = isinstance(fact, ChildIgnored | StartFailed) or child.pid in (
                    None,
                    fact.pid,
                )
                return child if is_same else None
        return None

    def _on_stop_fact(self, stop: PendingStop, fact: StartAnswer | ChildDown) -> None:
        child = self._stopping_child(stop, fact)
        if child is None:
            return
        match fact:
            case ChildSpawned(pid=pid) | ChildStarted(pid=pid):
                self.children.put(replace(child, pid=pid))
            case ChildIgnored() | StartFailed() if child.pid is not None:
                pass  # its process is still to end
            case ChildIgnored():
                self._go_on_without(stop, child, SHUTDOWN)
            case StartFailed(reason=reason) | ChildDown(reason=reason):
                self._go_on_without(stop, child, reason)
            case _ as never:
                assert_never(never)

    def _go_on_without(self, stop: PendingStop, child: Child, reason: ExitReason) -> None:
        self.waiting = stop.without(child.id)
        self._has_stopped(child, reason)

    def _has_stopped(self, child: Child, reason: ExitReason) -> None:
        is_expected = reason.is_clean or (
            reason.kind is ExitKind.KILLED and child.spec.stop_within is BRUTAL_KILL
        )
        kind = ReportKind.CHILD_STOPPED if is_expected else ReportKind.STOP_FAILED
        self.report(kind, child, reason)
        self.rest(child, reason)
