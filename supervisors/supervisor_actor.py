"""The shell of a supervisor: a Thespian actor that obeys the core and holds nothing else.

It forks, so it keeps no socket, file or thread, never blocks, and says little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from thespian.actors import ActorAddress

from hermes.actor import HermesActor
from hermes.actor_messages import (
    Begin,
    ChildDown,
    Here,
    Ignored,
    Ping,
    Pong,
    Started,
    StartRefused,
    Stop,
    TreePath,
    Whereis,
)
from hermes.exit_code import ExitCode
from hermes.thespian_fixes import ChildNotStarted
from supervisors import actions, facts
from supervisors.calls import Request
from supervisors.child_spec import ChildSpec, ChildType, FaultySpecs
from supervisors.core import SupervisorCore
from supervisors.exit_reason import ExitKind, ExitReason, FailedToStartChild
from supervisors.status import SupervisorStatus
from supervisors.strategy import SupervisorFlags

LONGEST_STOP = 3600.0


@dataclass(frozen=True, slots=True)
class StartActor:
    """What a child spec's `start` holds here: the class and its arguments.

    Under simple_one_for_one the child finds those of its own in `args["instance"]`.
    """

    cls: type[HermesActor]
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beat:
    """A child silent for `period` seconds is pinged, and killed a period after `misses` pings."""

    period: float = 2.0
    misses: int = 3


@dataclass(frozen=True, slots=True)
class Retry:
    """To oneself: the retry the core asked for, behind what waits in the mailbox."""

    id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a running supervisor; its result goes back to the sender."""

    request: Request


@dataclass(frozen=True, slots=True)
class Survey:
    """How are you and your children?"""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The answer: the status, and where each running child is reached."""

    path: tuple[str, ...]
    pid: int
    status: SupervisorStatus
    addresses: dict[str, Any]
    now: float


@dataclass(slots=True)
class Process:
    """A child process this supervisor made."""

    id: str
    is_supervisor: bool
    pid: int
    address: ActorAddress
    heard: float
    pings: int = 0
    is_up: bool = False


class SupervisorActor(HermesActor):
    """One supervisor; `args`: `flags`, `specs`, `beat`."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.beat: Beat = self.args.get("beat", Beat())
        # Until Begin there is nobody to be told of faulty specs.
        self.core = SupervisorCore(SupervisorFlags(), (), self.now())
        self.processes: dict[int, Process] = {}
        self.is_told_to_stop = False

    def begin(self) -> None:
        """Start the children; Started follows when all are up, StartRefused if one cannot."""
        try:
            self.core = SupervisorCore(self.args["flags"], self.args["specs"], self.now())
        except FaultySpecs as error:
            self.refuse_start(str(error))
        self.start_ticks(min(1.0, self.beat.period))
        self.tell(facts.StartRequested())

    def tell(self, fact: facts.Fact) -> None:
        """Give the core a fact and obey what it orders."""
        for action in self.core.on(fact, self.now()):
            self.perform(action)

    def perform(self, action: actions.Action) -> None:
        """Carry out one order of the core."""
        match action:
            case actions.Start(spec=spec, incarnation=incarnation, args=instance):
                self.spawn(spec, incarnation, instance)
            case actions.TellToStop(incarnation=incarnation, deadline=deadline):
                left = math.inf if deadline is None else max(0.0, deadline - self.now())
                if incarnation in self.processes:
                    address = self.processes[incarnation].address
                    self.send(address, Stop(min(left, LONGEST_STOP)))
            case actions.Kill(incarnation=incarnation):
                if incarnation in self.processes:
                    self.kill_child(self.processes[incarnation].pid)
            case actions.SetTimer(timer=timer, seconds=seconds):
                self.set_timer(f"core-{timer}", seconds)
            case actions.RetryLater(id=id_, attempt=attempt):
                self.send(self.myAddress, Retry(id_, attempt))
            case actions.Answer(call=caller, result=result):
                assert isinstance(caller, ActorAddress)
                self.send(caller, result)
            case actions.Started():
                self.report_started()
            case actions.Exit(reason=reason):
                self.leave(reason)
            case actions.Report():
                self.report(action)
            case _ as never:
                assert_never(never)

    def spawn(self, spec: ChildSpec, incarnation: int, instance: tuple[object, ...]) -> None:
        """Fork a child and let it begin."""
        try:
            if not isinstance(start := spec.start, StartActor):
                raise ChildNotStarted(f"{start!r} names no actor to start")
            args = {**start.args, "instance": instance} if instance else start.args
            address, pid = self.start_child(spec.id, start.cls, args, incarnation)
        except ChildNotStarted as error:
            reason = ExitReason(ExitKind.ABNORMAL, str(error))
            self.tell(facts.StartFailed(spec.id, incarnation, reason))
            return
        is_supervisor = spec.type is ChildType.SUPERVISOR
        self.processes[incarnation] = Process(spec.id, is_supervisor, pid, address, self.now())
        self.tell(facts.ChildSpawned(spec.id, pid, incarnation))
        self.send(address, Begin())

    def leave(self, reason: ExitReason) -> None:
        """End: all children are down, as the parent told or because this supervisor gave up."""
        if self.is_told_to_stop:
            self.exit(ExitCode.NORMAL)
        elif isinstance(reason.detail, FailedToStartChild):
            self.refuse_start(str(reason.detail))
        else:
            self.exit(ExitCode.SHUTDOWN)

    def report(self, line: actions.Report) -> None:
        """Log what happened to a child."""
        level = self.log.info if line.reason is None or line.reason.is_clean else self.log.warning
        level(
            line.kind.value,
            child=line.id,
            child_pid=line.pid,
            incarnation=line.incarnation,
            reason=None if line.reason is None else str(line.reason),
            restarts=line.restart_count,
            recent_restarts=line.recent_restarts,
        )

    # What children say

    def speaker(self, msg: Started | Ignored | StartRefused | Pong) -> Process | None:
        """Find the child that says this; ports are used again, so a stranger may answer."""
        process = self.processes.get(msg.incarnation)
        return process if process is not None and process.pid == msg.pid else None

    def receiveMsg_Started(self, msg: Started, _sender: ActorAddress) -> None:
        """A child is up."""
        process = self.speaker(msg)
        if process is not None:
            process.is_up, process.heard = True, self.now()
            self.tell(facts.ChildStarted(process.id, msg.pid, msg.incarnation))

    def receiveMsg_Ignored(self, msg: Ignored, _sender: ActorAddress) -> None:
        """A child has nothing to do and ends."""
        process = self.speaker(msg)
        if process is not None:
            self.tell(facts.ChildIgnored(process.id, msg.incarnation))

    def receiveMsg_StartRefused(self, msg: StartRefused, _sender: ActorAddress) -> None:
        """A child cannot start."""
        process = self.speaker(msg)
        if process is not None:
            reason = ExitReason(ExitKind.ABNORMAL, msg.reason)
            self.tell(facts.StartFailed(process.id, msg.incarnation, reason))

    def receiveMsg_ChildDown(self, msg: ChildDown, _sender: ActorAddress) -> None:
        """A child's process ended; told once per process."""
        process = self.processes.pop(msg.incarnation, None)
        if process is not None:
            code = 1 if msg.exit_code is None else msg.exit_code
            reason = ExitReason.from_exit_code(code)
            self.tell(facts.ChildDown(msg.pid, msg.incarnation, reason))

    def receiveMsg_Pong(self, msg: Pong, _sender: ActorAddress) -> None:
        """A child is alive."""
        process = self.speaker(msg)
        if process is not None:
            process.heard, process.pings = self.now(), 0

    # What the parent, others and time say

    def stop(self, deadline_s: float) -> None:
        """Stop the children in reverse, then end."""
        self.is_told_to_stop = True
        deadline = None if deadline_s >= LONGEST_STOP else self.now() + deadline_s
        self.tell(facts.StopRequested(deadline))

    def receiveMsg_Retry(self, msg: Retry, _sender: ActorAddress) -> None:
        """Try again a start that failed."""
        self.tell(facts.RetryRequested(msg.id, msg.attempt))

    def receiveMsg_Call(self, msg: Call, sender: ActorAddress) -> None:
        """Somebody asks for a child to be started, stopped, listed."""
        self.tell(facts.CallReceived(sender, msg.request))

    def receiveMsg_Survey(self, _msg: Survey, sender: ActorAddress) -> None:
        """Somebody wants to know how all are."""
        addresses = {p.id: p.address for p in self.processes.values()}
        now = self.now()
        self.send(sender, Surveyed(self.path, self.pid, self.core.status(now), addresses, now))

    def receiveMsg_Whereis(self, msg: Whereis, sender: ActorAddress) -> None:
        """Find an actor by its path: down the tree if it is below, else up."""
        asker: ActorAddress = sender if msg.asker is None else msg.asker
        depth = len(self.path)
        if msg.path == self.path:
            self.send(asker, Here(msg.path, self.myAddress, self.pid))
        elif msg.path[:depth] == self.path:
            self.look_below(msg.path, msg.path[depth], asker)
        elif depth > 1 and self.parent is not None:
            self.send(self.parent, Whereis(msg.path, asker))
        else:
            self.send(asker, Here(msg.path, None, None))

    def look_below(self, path: TreePath, child_id: str, asker: ActorAddress) -> None:
        """Answer for a child, or pass the question on to the supervisor that it is."""
        child = next((p for p in self.processes.values() if p.id == child_id), None)
        is_last = len(path) == len(self.path) + 1
        if child is not None and is_last and child.is_up:
            self.send(asker, Here(path, child.address, child.pid))
        elif child is not None and not is_last and child.is_supervisor:
            self.send(child.address, Whereis(path, asker))
        else:
            self.send(asker, Here(path, None, None))

    def on_timer(self, name: str) -> None:
        """A timer of the core is due."""
        self.tell(facts.TimedOut(int(name.removeprefix("core-"))))

    def on_tick(self) -> None:
        """Ping the silent, kill the dead silent; their ChildDown follows as ever."""
        now = self.now()
        for incarnation, process in self.processes.items():
            if now - process.heard < self.beat.period * (process.pings + 1):
                continue
            if process.pings >= self.beat.misses:
                self.log.warning("child.hung", child=process.id, child_pid=process.pid)
                self.kill_child(process.pid)
            else:
                process.pings += 1
                self.send(process.address, Ping(incarnation))
