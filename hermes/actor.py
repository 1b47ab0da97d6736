"""Base of every Thespian class of Hermes: guard, dispatch, start, stop, heartbeat, timers, log."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import structlog
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystemMessage,
    PoisonMessage,
    ThespianWatch,
    WakeupMessage,
)

from hermes import logs
from hermes.actor_messages import Begin, Ignored, Ping, Pong, Started, StartRefused, Stop
from hermes.exit_code import ExitCode
from hermes.thespian_fixes import (
    default_fault_signals,
    die_with_parent,
    flush_sends,
    kill_child,
    reap_children,
    start_child,
)

if TYPE_CHECKING:
    from hermes.actor_messages import TreePath

TICK: Final = "tick"
FLUSH_S: Final = 1.0
"""How long an actor that ends with a code still tries to send what it has said."""


class TimerDue(NamedTuple):
    """Payload of a wakeup: wakeups cannot be cancelled, so an outdated epoch is ignored."""

    name: str
    epoch: int


class HermesActor(Actor):
    """An actor whose handlers are `receiveMsg_<type of the message>(message, sender)`.

    A handler that raises is logged and ends the process with HANDLER_FAILED; Thespian alone
    would call it again with a copy of the message. `__init__` of a subclass takes `requirements`,
    calls this one first and then only assigns: what it raises would end the process with code 0.

    `args` is what the parent gave, and may hold `path` (ids from the root) and `log_level`.
    """

    _handler_names: ClassVar[dict[tuple[type, type], str | None]] = {}

    @staticmethod
    def actorSystemCapabilityCheck(
        capabilities: Mapping[str, Any],  # noqa: ARG004 - Thespian's signature
        requirements: Mapping[str, Any],  # noqa: ARG004
    ) -> bool:
        """Accept any arguments; without this method Thespian passes none to `__init__`."""
        return True

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        self.args: dict[str, Any] = dict(requirements or {})
        die_with_parent(self.args.get("parent_pid"))
        super().__init__()
        self.pid = os.getpid()
        self.path: TreePath = self.args.get("path", ())
        self.incarnation: int = self.args.get("incarnation", 0)
        self.parent: ActorAddress | None = None
        self.log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        self._prepared = False
        self._ending = False
        self._epoch = 0
        self._timers: dict[str, int] = {}
        self._tick_period_s = 1.0

    # Dispatch and guard

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> ThespianWatch | None:
        """Call the handler of `msg`; end the process if it raises."""
        try:
            if not self._prepared:
                self._prepared = True
                self.prepare()
            if not self._ending:
                self._dispatch(msg, sender)
        except Exception:  # noqa: BLE001 - the guard of all handlers
            try:
                self.log.exception("handler.failed", message=type(msg).__name__)
                self.leaving(ExitCode.HANDLER_FAILED)
            finally:
                raise SystemExit(ExitCode.HANDLER_FAILED) from None
        return self.watched()

    def watched(self) -> ThespianWatch | None:
        """Return the watch to keep; Thespian forgets it unless every handler returns it."""
        return None

    def prepare(self) -> None:
        """Make this process its own before its first message is handled."""
        default_fault_signals()
        # A record through Thespian's root logger is pickled and sent to its Logger: 1.28 ms each.
        root = logging.RootLogger(logging.WARNING)
        logging.root = logging.Logger.root = root
        logging.Logger.manager = logging.Manager(root)
        logs.configure(
            "/".join(self.path) or type(self).__name__, self.args.get("log_level", "info")
        )

    def _dispatch(self, msg: Any, sender: ActorAddress) -> None:
        key = (type(self), type(msg))
        if key not in self._handler_names:
            names = (f"receiveMsg_{kind.__name__}" for kind in type(msg).__mro__)
            self._handler_names[key] = next((n for n in names if hasattr(self, n)), None)
        name = self._handler_names[key]
        if name is not None:
            getattr(self, name)(msg, sender)
        elif not isinstance(msg, ActorSystemMessage):
            self.log.warning("message.unexpected", message=type(msg).__name__)

    def receiveMsg_PoisonMessage(self, message: PoisonMessage, _sender: ActorAddress) -> None:
        """A message came back: the child it was for ended, or failed twice on it."""
        returned = type(message.poisonMessage).__name__
        self.log.warning("message.returned", message=returned, reason=message.details)

    # Start and stop

    def receiveMsg_Begin(self, _message: Begin, sender: ActorAddress) -> None:
        """The first message of the parent; a second one changes nothing."""
        if self.parent is None:
            self.parent = sender
            self.begin()

    def begin(self) -> None:
        """Do the start work, then call exactly one of the three reports below; override."""
        self.report_started()

    def report_started(self) -> None:
        """Tell the parent that the start work is done."""
        self._tell_parent(Started(self.pid, self.incarnation))

    def report_ignored(self) -> None:
        """Tell the parent that the work is done and no process is needed; end normally."""
        self._tell_parent(Ignored(self.pid, self.incarnation))
        self.exit()

    def refuse_start(self, reason: str) -> None:
        """Tell the parent why the start work failed and end with START_REFUSED."""
        self.log.error("start.refused", reason=reason)
        self._tell_parent(StartRefused(self.pid, self.incarnation, reason))
        self.exit(ExitCode.START_REFUSED)

    def _tell_parent(self, answer: Started | Ignored | StartRefused) -> None:
        if self.parent is not None:
            self.send(self.parent, answer)

    def receiveMsg_Stop(self, message: Stop, _sender: ActorAddress) -> None:
        """The parent wants this actor drained and gone."""
        self.stop(message.deadline_s)

    def stop(self, deadline_s: float) -> None:  # noqa: ARG002 - for those who override
        """Drain within `deadline_s` seconds, then call `exit()`; override."""
        self.exit()

    def exit(self, code: ExitCode = ExitCode.NORMAL) -> None:
        """End this process with `code` after sending what is queued; handle nothing more.

        NORMAL returns and takes effect after the present handler, any other code raises
        SystemExit. An actor with children stops them first: Thespian would end all at once.
        """
        self._ending = True
        self.leaving(code)
        if code is ExitCode.NORMAL:
            self.send(self.myAddress, ActorExitRequest())
        else:
            flush_sends(self, FLUSH_S)
            raise SystemExit(code)

    def leaving(self, code: ExitCode) -> None:
        """This process is about to end with `code`; override to see that it does."""

    # Heartbeat

    def receiveMsg_Ping(self, message: Ping, sender: ActorAddress) -> None:
        """Answer at once: whoever handles messages is alive."""
        self.send(sender, self.pong(message))

    def pong(self, ping: Ping) -> Pong:
        """Return the answer to `ping`."""
        return Pong(ping.nonce, self.pid, self.incarnation, os.getppid())

    # Time

    @staticmethod
    def now() -> float:
        """Return monotonic seconds, the `now` of the cores."""
        return time.monotonic()

    def set_timer(self, name: str, seconds: float) -> None:
        """Have `on_timer(name)` called in `seconds`; an earlier timer of that name is void."""
        self._epoch += 1
        self._timers[name] = self._epoch
        self.wakeupAfter(timedelta(seconds=seconds), TimerDue(name, self._epoch))

    def cancel_timer(self, name: str) -> None:
        """Void the timer of that name, if there is one."""
        self._timers.pop(name, None)

    def on_timer(self, name: str) -> None:
        """A timer set with `set_timer` is due; override."""

    def start_ticks(self, period_s: float = 1.0) -> None:
        """Have `on_tick()` called every `period_s` seconds, and children looked after."""
        self._tick_period_s = period_s
        self.set_timer(TICK, period_s)

    def on_tick(self) -> None:
        """The next period of `start_ticks` has passed; override."""

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, _sender: ActorAddress) -> None:
        """A wakeup of Thespian: the due timer if its epoch is the current one."""
        due = message.payload
        if not isinstance(due, TimerDue) or self._timers.get(due.name) != due.epoch:
            return
        del self._timers[due.name]
        if due.name != TICK:
            self.on_timer(due.name)
            return
        self.set_timer(TICK, self._tick_period_s)
        reap_children(self)  # a SIGCHLD missed for any reason costs one period
        self.on_tick()

    # Children

    def start_child(
        self, child_id: str, cls: type[HermesActor], args: Mapping[str, Any], incarnation: int
    ) -> tuple[ActorAddress, int]:
        """Fork a child at `path + (child_id,)`; return its address and pid.

        It inherits `log_level` unless `args` has one. Raises ChildNotStarted.
        """
        inherited = {"log_level": self.args.get("log_level", "info")}
        return start_child(
            self, cls, {**inherited, **args, "path": (*self.path, child_id)}, incarnation
        )

    def kill_child(self, pid: int) -> bool:
        """Send SIGKILL to the child with `pid`; False if it is no child or already down."""
        return kill_child(self, pid)
