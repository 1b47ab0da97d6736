"""Decides what a supervisor does next, exactly as OTP 25's supervisor does.

OTP's supervisor blocks while a child starts or stops and reads its mailbox afterwards. Here the
answers come as facts, so the core keeps the mailbox: while it waits, only what it waits for and
the parent's stop are taken at once, the rest in order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import assert_never

from supervisors.actions import Action, Answer, Exit, ReportKind, RetryLater, Started
from supervisors.calls import (
    ChildAdded,
    ChildCounts,
    ChildList,
    Done,
    Refusal,
    Refused,
    Request,
    Result,
)
from supervisors.child_spec import AutoShutdown, ChildSpec, FaultySpecs, spec_faults
from supervisors.children import Child, Children, ChildState
from supervisors.exit_reason import SHUTDOWN, ExitKind, ExitReason, FailedToStartChild
from supervisors.facts import (
    CallReceived,
    ChildDown,
    ChildIgnored,
    ChildSpawned,
    ChildStarted,
    Fact,
    RetryRequested,
    StartFailed,
    StartRequested,
    StopRequested,
    TimedOut,
)
from supervisors.intensity import RestartWindow
from supervisors.lifecycle import Lifecycle
from supervisors.mailbox import Letter, Mailbox
from supervisors.pending import (
    Boot,
    Job,
    Leave,
    Revive,
    ServeStart,
    ServeStop,
    StartStep,
    Step,
    StopStep,
)
from supervisors.serving import Begin, Desk, End, Forget
from supervisors.status import Phase, SupervisorStatus, supervisor_status
from supervisors.strategy import (
    Strategy,
    SupervisorFlags,
    Verdict,
    flag_faults,
    restart_group,
    verdict_on,
)


class SupervisorCore:
    """One supervisor. Facts go in, actions come out; `now` is monotonic seconds.

    Raises FaultySpecs, with one sentence per fault, when flags or specs are refused.
    """

    def __init__(self, flags: SupervisorFlags, specs: Sequence[ChildSpec], now: float) -> None:
        faults = (*flag_faults(flags, specs), *spec_faults(specs, flags.auto_shutdown))
        if faults:
            raise FaultySpecs(faults)
        is_simple = flags.strategy is Strategy.SIMPLE_ONE_FOR_ONE
        self._flags = flags
        self._template = specs[0] if is_simple else None
        self._children = Children(() if is_simple else specs, now)
        self._mailbox = Mailbox()
        self._life = Lifecycle(self._children, self._mailbox, keeps_specs=not is_simple)
        self._desk = Desk(self._children, flags.auto_shutdown, self._template)
        self._window = RestartWindow(flags.intensity)
        self._phase = Phase.NEW
        self._job: Job | None = None
        self._steps: list[Step] = []
        self._attempts = count(1)

    @property
    def phase(self) -> Phase:
        """Where in its life the supervisor is."""
        return self._phase

    def status(self, now: float) -> SupervisorStatus:
        """Draw the supervisor and its children as they are."""
        return supervisor_status(
            self._phase,
            self._flags.strategy,
            self._window,
            self._children,
            self._mailbox.dead,
            now,
        )

    def on(self, fact: Fact, now: float) -> tuple[Action, ...]:
        """Take in one fact and return what is to be done, in this order."""
        if self._phase is Phase.GONE:
            return ()
        self._life.now = now
        self._receive(fact)
        self._go_on()
        actions = tuple(self._life.actions)
        self._life.actions.clear()
        return actions

    def _receive(self, fact: Fact) -> None:
        match fact:
            case StopRequested(deadline=deadline):
                if self._phase is not Phase.STOPPING:
                    self._leave(SHUTDOWN)
                self._life.hasten(deadline)
            case TimedOut(timer=timer):
                self._life.on_timeout(timer)
            case ChildDown() | ChildSpawned() | ChildStarted() | ChildIgnored() | StartFailed():
                if self._life.awaits(fact):
                    failure = self._life.on_fact(fact)
                    if failure is not None:
                        self._on_failed_start(failure)
                elif isinstance(fact, ChildDown) and self._children.find_up(
                    fact.pid, fact.incarnation
                ):
                    self._mailbox.post(fact)
            case CallReceived(call=call) if self._phase in (Phase.NEW, Phase.STOPPING):
                self._answer(call, Refused(Refusal.NOT_RUNNING))
            case StartRequested() | RetryRequested() | CallReceived():
                self._mailbox.post(fact)
            case _ as never:
                assert_never(never)

    def _go_on(self) -> None:
        while self._life.waiting is None and self._phase is not Phase.GONE:
            if self._steps:
                self._life.begin(self._steps.pop(0))
            elif self._job is not None:
                self._finish(self._job)
            elif (letter := self._mailbox.take()) is not None:
                self._read(letter)
            else:
                return

    def _read(self, letter: Letter) -> None:
        match letter:
            case StartRequested():
                if self._phase is Phase.NEW:
                    self._phase = Phase.STARTING
                    self._job = Boot()
                    self._steps = [StartStep(id_) for id_ in self._children.ids]
            case ChildDown(pid=pid, incarnation=incarnation, reason=reason):
                child = self._children.find_up(pid, incarnation)
                if child is not None:
                    self._on_exit(child, reason)
            case RetryRequested(id=id_, attempt=attempt):
                child = self._children.find(id_)
                if child is not None and child.is_retried_by(attempt):
                    self._window = self._window.add(self._life.now)
                    self._revive(child)
            case CallReceived(call=call, request=request):
                self._serve(call, request)
            case _ as never:
                assert_never(never)

    def _on_exit(self, child: Child, reason: ExitReason) -> None:
        is_restarted = verdict_on(child.spec.restart, reason) is Verdict.RESTART
        if is_restarted:
            self._window = self._window.add(self._life.now)
        recent = len(self._window.recent(self._life.now))
        self._life.report(ReportKind.CHILD_WENT_DOWN, child, reason, recent)
        if is_restarted:
            self._revive(self._life.put(child, ChildState.DOWN, last_exit=reason))
        else:
            self._life.rest(child, reason)
            if child.spec.significant and self._ends_with_significant():
                self._leave(SHUTDOWN)

    def _ends_with_significant(self) -> bool:
        match self._flags.auto_shutdown:
            case AutoShutdown.NEVER:
                return False
            case AutoShutdown.ANY_SIGNIFICANT:
                return True
            case AutoShutdown.ALL_SIGNIFICANT:
                return not any(
                    child.spec.significant and child.state is not ChildState.DOWN
                    for child in self._children
                )
            case _ as never:
                assert_never(never)

    def _revive(self, child: Child) -> None:
        """Carry out the strategy, or give up if the restart just entered is one too many."""
        if self._window.is_exceeded:
            self._life.report(
                ReportKind.LIMIT_EXCEEDED,
                child,
                child.last_exit,
                len(self._window.restarted),
            )
            self._leave(SHUTDOWN)
            return
        group = restart_group(self._flags.strategy, self._children.ids, child.id)
        self._job = Revive()
        self._steps = [StopStep((id_,)) for id_ in reversed(group) if id_ != child.id]
        self._steps += [
            StartStep(id_, is_restart=True) for id_ in group if not self._children[id_].is_temporary
        ]

    def _on_failed_start(self, failure: FailedToStartChild) -> None:
        child = self._children[failure.id]
        match self._job:
            case Boot():
                self._leave(ExitReason(ExitKind.SHUTDOWN, failure))
            case ServeStart(call=call, is_new=is_new):
                if is_new:
                    self._children.drop(child.id)
                self._job = None
                self._answer(call, Refused(Refusal.START_FAILED, reason=failure.reason))
            case _:
                # By a message to itself, so that a stop or a call can get in between.
                self._job = None
                self._steps = []
                attempt = next(self._attempts)
                self._life.put(
                    child, ChildState.RESTARTING, last_exit=failure.reason, attempt=attempt
                )
                self._life.actions.append(RetryLater(child.id, attempt))

    def _serve(self, call: object, request: Request) -> None:
        match self._desk.decide(request, self._mailbox.dead):
            case Begin(id=id_, new=new, args=args):
                if new is not None:
                    self._children.put(Child(new, since=self._life.now, args=args))
                self._job = ServeStart(call, id_, is_new=new is not None)
                self._steps = [StartStep(id_)]
            case End(id=id_):
                self._job = ServeStop(call)
                self._steps = [StopStep((id_,))]
            case Forget(id=id_):
                self._children.drop(id_)
                self._answer(call, Done())
            case Refused() | ChildList() | ChildCounts() as result:
                self._answer(call, result)
            case _ as never:
                assert_never(never)

    def _finish(self, job: Job) -> None:
        self._job = None
        match job:
            case Boot():
                self._phase = Phase.RUNNING
                self._life.actions.append(Started())
            case Revive():
                pass
            case ServeStart(call=call, id=id_):
                child = self._children.find(id_)
                self._answer(call, ChildAdded(id_, None if child is None else child.pid))
            case ServeStop(call=call):
                self._answer(call, Done())
            case Leave(reason=reason):
                self._phase = Phase.GONE
                self._life.actions.append(Exit(reason))
            case _ as never:
                assert_never(never)

    def _leave(self, reason: ExitReason) -> None:
        """Drop what was under way or waiting, stop all children, then exit."""
        if isinstance(self._job, ServeStart | ServeStop):
            self._answer(self._job.call, Refused(Refusal.NOT_RUNNING))
        for letter in self._mailbox.take_calls():
            self._answer(letter.call, Refused(Refusal.NOT_RUNNING))
        self._phase = Phase.STOPPING
        self._job = Leave(reason)
        ids = self._children.ids
        is_simple = self._template is not None
        self._steps = [StopStep(ids)] if is_simple else [StopStep((id_,)) for id_ in ids[::-1]]

    def _answer(self, call: object, result: Result) -> None:
        self._life.actions.append(Answer(call, result))
