"""A leaf that owns one OS process: starts it, watches it, starts it again, ends it in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, assert_never

from thespian.actors import ActorAddress

from actors.commands import Describe, Description
from actors.io_loop import AsyncActor
from actors.port_core import (
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
    Step,
    Terminate,
)
from actors.readiness import Readiness, not_ready
from hermes.embedded.orphan import end_leftovers
from hermes.embedded.spec import ServiceSpec
from hermes.thespian_fixes import die_with_parent

PROBE_TIMEOUT_S = 2.0


class ProcessNotMade(Exception):
    """The process of a port could not even be made."""


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One OS process, complete.

    `env` is the whole environment, None inherits the actor's. `run_as` is (uid, gid), None the
    actor's own. `stop_signal` asks for an orderly end, SIGKILL follows after the timeout in
    `times`; `death_signal` is what the process gets when this actor ends in any other way, None
    for the stop signal. Output is appended to `log_path`, None goes to the actor's own stderr.

    `before_start` is called before each start, in a thread of its own; `on_started` and
    `on_ended` are called with the pid, in the actor thread. They are picklable; an OSError of
    theirs is logged, anything else ends the actor.

    The actor is up when the process is ready, or with `is_awaited` false as soon as it is made: for
    a process whose users wait for it themselves, so that others start meanwhile.
    """

    name: str
    argv: tuple[str, ...]
    ready: Readiness
    env: tuple[tuple[str, str], ...] | None = None
    cwd: str = "/"
    run_as: tuple[int, int] | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int | None = None
    log_path: str | None = None
    times: PortTimes = field(default_factory=PortTimes)
    is_awaited: bool = True
    before_start: Callable[[], object] | None = None
    on_started: Callable[[int], object] | None = None
    on_ended: Callable[[int], object] | None = None


@dataclass(frozen=True, slots=True)
class AskPortStatus:
    """How is your process? Answered by PortStatus, through the loop."""


@dataclass(frozen=True, slots=True)
class PortStatus:
    """How the process of a port is; `last_exit` is negative for a signal, None if none ended."""

    name: str
    phase: PortPhase
    pid: int | None
    healthy: bool
    restarts: int
    last_exit: int | None


class _SpawnNow(NamedTuple):
    run: int


class _Ended(NamedTuple):
    pid: int


class PortActor(AsyncActor):
    """Keeps the process of `args["spec"]` running.

    Started is sent when the process is ready for the first time. From then on its end, or a probe
    that finds nobody, never ends this actor: the process is started again after a back-off.
    The start is refused only if the process cannot be made at all, as with a missing executable.
    """

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.spec: PortSpec = self.args["spec"]
        self._port = Port(self.spec.times)
        self._process: subprocess.Popen[bytes] | None = None
        self._started: asyncio.Future[None]
        self._made: asyncio.Future[None]
        self._done = asyncio.Event()
        self._wakeup: asyncio.TimerHandle | None = None

    async def on_healthy(self) -> None:
        """The process has become ready, for the first time or again; override."""

    # Loop

    async def on_begin(self) -> None:
        """Start the process and wait, as long as it takes, until it is ready (or just made)."""
        self._started = self.loop.create_future()
        self._made = self.loop.create_future()
        self._obey(self._port.begin(self.now()))
        await (self._started if self.spec.is_awaited else self._made)

    async def on_stop(self, deadline_s: float) -> None:
        """End the process; returns when it is gone."""
        self._obey(self._port.on_stop(self.now(), deadline_s))
        await self._done.wait()

    def status(self) -> PortStatus:
        """Return how the process is now."""
        port = self._port
        return PortStatus(
            self.spec.name, port.phase, port.pid, port.healthy, port.restarts, port.last_exit
        )

    def _obey(self, step: Step) -> None:
        self._port, effects = step
        for effect in effects:
            self._perform(effect)
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        if self._port.wake_at is not None:
            self._wakeup = self.later(max(0.0, self._port.wake_at - self.now()), self._wake)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Spawn(run):
                self.call(self._spawn_soon(run))
            case Probe(run):
                self.call(self._probe(run))
            case Terminate():
                self._signal(self.spec.stop_signal)
            case Kill():
                self.log.warning("port.killed", service=self.spec.name, process=self._port.pid)
                self._signal(signal.SIGKILL)
            case AnnounceReady():
                if not self._started.done():  # cancelled: a stop is on its way
                    self._started.set_result(None)
            case RefuseStart(reason):
                waiter = self._started if self.spec.is_awaited else self._made
                waiter.set_exception(ProcessNotMade(reason))
            case ReportHealth(healthy):
                self._report_health(healthy=healthy)
            case ReportDone():
                self._done.set()
            case _:
                assert_never(effect)

    def _report_health(self, *, healthy: bool) -> None:
        is_expected = healthy or self._port.kill_by is not None
        log = self.log.info if is_expected else self.log.warning
        log("port.up" if healthy else "port.down", service=self.spec.name, process=self._port.pid)
        if healthy:
            self.call(self.on_healthy())

    def _wake(self) -> None:
        self._obey(self._port.on_wake(self.now()))

    async def _probe(self, run: int) -> None:
        reason = await not_ready(self.spec.ready, PROBE_TIMEOUT_S)
        if reason is not None:
            self.log.debug("port.not_ready", service=self.spec.name, reason=reason)
        self._obey(self._port.on_probe(self.now(), run, ready=reason is None))

    async def _spawn_soon(self, run: int) -> None:
        if self.spec.before_start is not None:
            await asyncio.to_thread(self._tell, self.spec.before_start)
        self.post(_SpawnNow(run))

    def _spawned(self, run: int, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if not self._made.done():
            self._made.set_result(None)
        self.log.info("port.spawned", service=self.spec.name, process=process.pid, run=run)
        self._obey(self._port.on_spawned(self.now(), process.pid))
        self.call(self._await_exit(run, process))

    def _spawn_failed(self, reason: str) -> None:
        self.log.error("port.spawn_failed", service=self.spec.name, reason=reason)
        self._obey(self._port.on_spawn_failed(self.now(), reason))

    async def _await_exit(self, run: int, process: subprocess.Popen[bytes]) -> None:
        await self.pid_gone(process.pid)
        # Until it is waited for, pid and process group cannot be anybody else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        exit_code = process.wait()
        self.log.info("port.exited", service=self.spec.name, process=process.pid, code=exit_code)
        self.post(_Ended(process.pid))
        self._obey(self._port.on_exit(self.now(), run, exit_code))

    def _signal(self, number: int) -> None:
        # Not Popen.send_signal: it may wait for the process, and its pid would be free.
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)

    def _answer_status(self, asker: ActorAddress) -> None:
        self.send_later(asker, self.status())

    def _describe(self, asker: ActorAddress) -> None:
        status = self.status()
        facts = {
            "service": status.name,
            "phase": status.phase.value,
            "process": status.pid,
            "healthy": status.healthy,
            "restarts": status.restarts,
            "last_exit": status.last_exit,
        }
        self.send_later(asker, Description(self.path, self.pid, facts))

    # Actor thread

    def receiveMsg_AskPortStatus(self, _message: AskPortStatus, sender: ActorAddress) -> None:
        """Answer through the loop."""
        self.to_loop(self._answer_status, sender)

    def receiveMsg_Describe(self, _message: Describe, sender: ActorAddress) -> None:
        """Answer through the loop."""
        self.to_loop(self._describe, sender)

    def on_fact(self, fact: Any) -> None:
        """Spawn: in this thread, for the death signal follows the thread that forked."""
        match fact:
            case _SpawnNow(run):
                self._spawn(run)
            case _Ended(pid):
                self._tell(self.spec.on_ended, pid)
            case _:
                super().on_fact(fact)

    def _spawn(self, run: int) -> None:
        try:
            process = spawn(self.spec)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.to_loop(self._spawn_failed, f"{self.spec.argv[0]}: {error}")
            return
        self.to_loop(self._spawned, run, process)
        self._tell(self.spec.on_started, process.pid)

    def _tell(self, hook: Callable[..., object] | None, *args: object) -> None:
        try:
            if hook is not None:
                hook(*args)
        except OSError:
            self.log.exception("port.hook_failed", service=self.spec.name)


def port_of_service(
    service: ServiceSpec,
    on_started: Callable[[int], object] | None = None,
    on_ended: Callable[[int], object] | None = None,
) -> PortSpec:
    """Return the port of an embedded service."""
    title = service.leftover_title
    return PortSpec(
        name=service.name,
        argv=service.argv,
        ready=service.ready,
        env=service.env,
        cwd=service.cwd,
        run_as=service.run_as,
        stop_signal=service.stop_signal,
        death_signal=service.death_signal,
        log_path=service.log_path,
        times=PortTimes(
            stop_timeout_s=service.stop_timeout_s,
            replace_unhealthy_after_s=service.replace_after_s,
        ),
        before_start=None if title is None else partial(end_leftovers, title),
        on_started=on_started,
        on_ended=on_ended,
    )


def spawn(spec: PortSpec) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, tied to the thread that calls this.

    Raises OSError, ValueError or subprocess.SubprocessError.
    """
    death_signal = spec.stop_signal if spec.death_signal is None else spec.death_signal
    who: dict[str, Any] = {}
    if spec.run_as is not None:
        who = {"user": spec.run_as[0], "group": spec.run_as[1], "extra_groups": []}
    with ExitStack() as files:
        log: IO[bytes] | None = None
        if spec.log_path is not None:
            log = files.enter_context(Path(spec.log_path).open("ab"))
        return subprocess.Popen(  # noqa: S603 - what runs is the operator's configuration
            spec.argv,
            cwd=spec.cwd,
            env=None if spec.env is None else dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Runs after setuid, which would clear the death signal.
            preexec_fn=partial(die_with_parent, os.getpid(), death_signal),  # noqa: PLW1509
            **who,
        )
