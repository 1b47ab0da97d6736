"""One asyncio thread per leaf, and the bridge between it and the actor's mailbox."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any, Final, NamedTuple

from thespian.actors import ActorAddress, ActorExitRequest, ThespianWatch, WatchMessage

from hermes.actor import HermesActor
from hermes.actor_messages import Ping
from hermes.exit_code import ExitCode

_new_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as _new_loop
except ImportError:  # it is not made for every platform
    _new_loop = asyncio.new_event_loop

Work = Coroutine[Any, Any, Any]

FORCED_EXIT_S: Final = 2.0
"""How long a thread that still works for an executor may hold up the end of the process."""


class BeginResult(Enum):
    """What `on_begin` may return; None means STARTED."""

    STARTED = "started"
    IGNORED = "ignored"
    """The work is done and no process is needed."""


class _Outgoing(NamedTuple):
    address: ActorAddress
    message: object


class _LoopFailed(NamedTuple):
    what: str
    error: BaseException


class _Refused(NamedTuple):
    reason: str


class _Drained(NamedTuple):
    code: ExitCode


class AsyncActor(HermesActor):
    """A leaf whose work is done by coroutines in one loop, in one thread beside the mailbox.

    Methods say where they run. *Loop*: `on_begin`, `on_stop`, all that `to_loop` and `spawn` run.
    *Actor thread*: `receiveMsg_*`, `on_fact`, timers. From the actor thread into the loop:
    `to_loop`. From the loop out: `send_later` to another actor, `post` to `on_fact`. All three
    are safe in any thread, keep their order and wake the other side once per burst.

    Whatever raises, in a handler, in `on_fact`, in a task of `spawn` or a call of `to_loop`, is
    logged and ends the process with HANDLER_FAILED. Errors in tasks that a library made for
    itself are only logged.
    """

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.loop: asyncio.AbstractEventLoop
        self._rx: socket.socket
        self._tx: socket.socket
        self._watch: ThespianWatch | None = None
        self._facts: deque[Any] = deque()
        self._actor_woken = False
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._loop_woken = False
        self._calling = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._begin_task: asyncio.Task[BeginResult | None] | None = None
        self._stopping = False

    # For subclasses

    async def on_begin(self) -> BeginResult | None:
        """Do the start work; then the parent hears Started, or Ignored. Override.

        What it raises goes to the parent as StartRefused, and the process ends. A Stop
        meanwhile cancels it. It may take as long as it needs: the heartbeat goes on.
        """

    async def on_stop(self, deadline_s: float) -> None:
        """Drain; the process ends when this returns, or after `deadline_s` seconds. Override."""

    def on_fact(self, fact: Any) -> None:
        """Take what the loop gave to `post`, in the actor thread. Override."""
        raise TypeError(f"{type(self).__name__} has no use for a {type(fact).__name__}")

    # Any thread

    def to_loop(self, handler: Callable[..., Any], *args: Any) -> None:
        """Call `handler(*args)` in the loop; a coroutine it returns becomes a watched task."""
        self._calls.append((handler, args))
        if not self._loop_woken:
            self._loop_woken = True
            self.loop.call_soon_threadsafe(self._run_calls)

    def call(self, work: Work) -> None:
        """Run a coroutine in the loop as a watched task that nobody needs to hold."""
        self.to_loop(self.spawn, work)

    def post(self, fact: Any) -> None:
        """Have `on_fact(fact)` called in the actor thread."""
        self._facts.append(fact)
        if not self._actor_woken:
            self._actor_woken = True
            with suppress(BlockingIOError):
                self._tx.send(b".")

    def send_later(self, address: ActorAddress, message: object) -> None:
        """Have the actor thread send `message`: Thespian's send belongs to that thread."""
        self.post(_Outgoing(address, message))

    # Loop

    def spawn(self, work: Work, name: str | None = None) -> asyncio.Task[Any]:
        """Start a watched task; cancelling it is no failure."""
        task = self.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def later(self, seconds: float, handler: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call `handler` as `to_loop` does, in `seconds`; cancel the handle to call it off."""
        return self.loop.call_later(seconds, self.to_loop, handler, *args)

    async def pid_gone(self, pid: int) -> None:
        """Return when the process has ended; at once if there is none with that pid."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        gone = asyncio.Event()
        self.loop.add_reader(pidfd, gone.set)
        try:
            await gone.wait()
        finally:
            self.loop.remove_reader(pidfd)
            os.close(pidfd)

    def watch_pid(self, pid: int, fact: Any) -> None:
        """Post `fact` when the process, which need not be a child, has ended. Any thread."""
        self.call(self._post_when_gone(pid, fact))

    async def _post_when_gone(self, pid: int, fact: Any) -> None:
        await self.pid_gone(pid)
        self.post(fact)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.post(_LoopFailed(task.get_name(), error))

    def _run_calls(self) -> None:
        self._loop_woken = False
        self._calling = True
        for _ in range(len(self._calls)):  # what comes meanwhile has woken the loop again
            handler, args = self._calls.popleft()
            result = handler(*args)
            if asyncio.iscoroutine(result):
                _ = self.spawn(result, name=getattr(handler, "__name__", None))
        self._calling = False

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if self._calling and error is not None:  # _run_calls did not come to its end
            self._calling = False
            self.post(_LoopFailed("to_loop", error))
        else:
            reason = context.get("message")
            self.log.error("loop.error_unhandled", reason=reason, exc_info=error)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            os._exit(ExitCode.HANDLER_FAILED)  # a dead loop is a dead actor

    # Actor thread

    def prepare(self) -> None:
        """Start the loop before the first message is handled."""
        super().prepare()
        self._rx, self._tx = socket.socketpair()
        self._rx.setblocking(False)
        self._tx.setblocking(False)
        self.loop = _new_loop()
        self.loop.set_exception_handler(self._on_loop_error)
        self._watch = ThespianWatch([self._rx.fileno()])
        run = partial(contextvars.copy_context().run, self._run_loop)  # the log's actor name
        threading.Thread(target=run, name="io-loop", daemon=True).start()

    def watched(self) -> ThespianWatch | None:
        """Keep the bridge watched."""
        return self._watch

    def receiveMsg_WatchMessage(self, _message: WatchMessage, _sender: ActorAddress) -> None:
        """Take what the loop has posted; what comes meanwhile waits behind the mailbox."""
        with suppress(BlockingIOError):
            self._rx.recv(4096)
        self._actor_woken = False
        for _ in range(len(self._facts)):
            match self._facts.popleft():
                case _Outgoing(address, message):
                    self.send(address, message)
                case _LoopFailed(what, error):
                    raise RuntimeError(f"{what} failed in the loop") from error
                case _Refused(reason):
                    self.refuse_start(reason)
                case BeginResult.STARTED:
                    self.report_started()
                case BeginResult.IGNORED:
                    self.report_ignored()
                case _Drained(code):
                    self.exit(code)
                case fact:
                    self.on_fact(fact)

    def receiveMsg_Ping(self, message: Ping, sender: ActorAddress) -> None:
        """Answer through the loop: a hung loop is a hung actor."""
        self.to_loop(self.send_later, sender, self.pong(message))

    def begin(self) -> None:
        """Run `on_begin` in the loop."""
        self.to_loop(self._begin)

    def _begin(self) -> None:
        if not self._stopping:
            self._begin_task = self.loop.create_task(self.on_begin(), name="on_begin")
            self._begin_task.add_done_callback(self._begun)

    def _begun(self, task: asyncio.Task[BeginResult | None]) -> None:
        if task.cancelled() or self._stopping:
            return
        error = task.exception()
        if error is None:
            self.post(task.result() or BeginResult.STARTED)
            return
        self.log.error("start.failed", exc_info=error)
        self.post(_Refused(f"{type(error).__name__}: {error}"))

    def stop(self, deadline_s: float) -> None:
        """Run `on_stop` in the loop, then end; a second Stop changes nothing."""
        self.to_loop(self._stop, deadline_s)

    def _stop(self, deadline_s: float) -> None:
        if self._stopping:
            return
        self._stopping = True
        _ = self.spawn(self._drain(deadline_s), name="on_stop")

    async def _drain(self, deadline_s: float) -> None:
        limit = asyncio.timeout(deadline_s)
        try:
            async with limit:
                if self._begin_task is not None:
                    self._begin_task.cancel()
                    await asyncio.wait([self._begin_task])
                await self.on_stop(deadline_s)
        except TimeoutError:
            if not limit.expired():
                raise
            self.log.warning("stop.timed_out", deadline_s=deadline_s)
            self.post(_Drained(ExitCode.STOP_TIMED_OUT))
        else:
            self.post(_Drained(ExitCode.NORMAL))

    def receiveMsg_ActorExitRequest(
        self, _message: ActorExitRequest, _sender: ActorAddress
    ) -> None:
        """Thespian ends this process now: its own request, SIGTERM or a shutdown."""
        self.leaving(ExitCode.NORMAL)

    def leaving(self, code: ExitCode) -> None:
        """See that a thread that still works for an executor does not hold up the end."""
        if self._watch is not None:
            self.loop.call_soon_threadsafe(self.loop.call_later, FORCED_EXIT_S, os._exit, code)
