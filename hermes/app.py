"""Composition root: in hermesd's fork, settings in, a running tree out; stops it in order."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path

import structlog

from hermes import logs
from hermes.actor_messages import Begin, Here, Started, StartRefused, Stop, Whereis
from hermes.actor_system import ActorHost, ActorSystemNotStarted, start_system
from hermes.admin.address import url_of
from hermes.embedded.spec import ServiceSpec
from hermes.progress import tell
from hermes.settings.wiring import Wiring
from hermes.thespian_fixes import die_with_parent
from hermes.tree import root_requirements
from supervisors.supervisor_actor import SupervisorActor

LOOK_EVERY = 0.1
LAST_WORDS = 1.0
ROOT = ("root",)


def live(
    wiring: Wiring, services: tuple[ServiceSpec, ...], control: socket.socket, parent: int
) -> int:
    """Run one actor system until `control` says stop or the tree ends; give the exit code."""
    die_with_parent(parent)
    send_logs_to_file(wiring)
    logs.configure("starter", wiring.settings.log.level)
    log = structlog.get_logger()
    try:
        host = start_system(wiring.actor_port, Path(wiring.data_dir) / "log" / "thespian.log")
    except ActorSystemNotStarted as error:
        tell(wiring.socket_dir, "actors", f"the actor system did not start: {error}")
        return 1
    tell(wiring.socket_dir, "actors", f"actor system up (admin pid {host.admin_pid})")
    root = host.create(SupervisorActor, root_requirements(wiring, services))
    host.tell(root, Begin())
    host.tell(root, Whereis(ROOT))  # its pid: a root that ends before it has started is noticed
    control.setblocking(False)
    try:
        return Life(wiring, host, root, control, log).run()
    finally:
        clean = host.stop()
        log.info("system.stopped", clean=clean)


class Life:
    """The starter's loop: hears the root, the daemon, and the end of either."""

    def __init__(
        self,
        wiring: Wiring,
        host: ActorHost,
        root: object,
        control: socket.socket,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self.wiring, self.host, self.root, self.control, self.log = wiring, host, root, control, log
        self.root_fd: int | None = None
        self.stop_at: float | None = None

    def run(self) -> int:
        """Wait for what happens; give the exit code."""
        while self.host.is_up():
            message = self.host.listen(LOOK_EVERY)
            if isinstance(message, Here) and message.pid is not None:
                self.watch_root(message.pid)
            elif isinstance(message, Started):
                self.watch_root(message.pid)
                tell(self.wiring.socket_dir, "ready", ready_line(self.wiring))
            elif isinstance(message, StartRefused):
                return self.refused(message)
            if self.is_stop_asked() and self.stop_at is None:
                deadline = self.wiring.settings.supervision.stop_after * 2
                self.stop_at = time.monotonic() + deadline
                self.host.tell(self.root, Stop(deadline))  # type: ignore[arg-type]
            if self.root_fd is not None and select.select([self.root_fd], [], [], 0)[0]:
                return self.root_ended()
            if self.stop_at is not None and time.monotonic() > self.stop_at + 5:
                self.log.warning("root.stop_timed_out")
                return 0
        self.log.error("admin.ended")
        return 1

    def watch_root(self, pid: int) -> None:
        """Notice the root's end from now on."""
        with contextlib.suppress(ProcessLookupError):  # it has ended; its last words are coming
            self.root_fd = self.root_fd or os.pidfd_open(pid)

    def root_ended(self) -> int:
        """The root is gone: as it was told, or for a reason it may still be telling."""
        if self.stop_at is not None:
            self.log.info("root.stopped")
            return 0
        message = self.host.listen(LAST_WORDS)
        if isinstance(message, StartRefused):
            return self.refused(message)
        self.log.warning("root.ended")
        return 1

    def refused(self, message: StartRefused) -> int:
        """A child cannot start, and never will as things are."""
        tell(self.wiring.socket_dir, "root", f"the start was refused: {message.reason}")
        return 78

    def is_stop_asked(self) -> bool:
        """Say whether hermesd wants the tree stopped, or is gone."""
        try:
            return self.control.recv(64) in (b"stop\n", b"")
        except BlockingIOError:
            return False


def send_logs_to_file(wiring: Wiring) -> None:
    """Send stderr, and so every process's log, to the log file; stdout stays the daemon's."""
    path = wiring.settings.log.file or str(Path(wiring.data_dir) / "log" / "hermes.log")
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 2)
    os.close(target)


def ready_line(wiring: Wiring) -> str:
    """Give the one line that says how to use this host."""
    http = url_of(wiring.settings.http.host, wiring.http_port)
    metrics = url_of(wiring.settings.admin.host, wiring.admin_port)
    return (
        f"hermes ready  http={http}  metrics={metrics}/metrics  admin={wiring.admin_socket}  "
        f"demo-key={wiring.demo_key_file}"
    )
