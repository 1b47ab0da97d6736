"""Starts and stops the actor system of a host, in the process that is its starter."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ActorSystem, ActorSystemException

from hermes import thespian_fixes
from hermes.thespian_fixes import LOG_DEFS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from thespian.actors import Actor, ActorAddress

LOOPBACK: Final = "127.0.0.1"
STOP_S: Final = 10.0
"""How long the Admin may take to end; Thespian's own drain limit is 7 s."""


class ActorSystemNotStarted(Exception):
    """No Admin of ours came up, or something else has its port."""


@dataclass(frozen=True, slots=True)
class ActorHost:
    """A running actor system. One thread's: shared between threads it mixes up the replies."""

    system: ActorSystem
    admin_port: int
    admin_pid: int
    admin_fd: int
    """A pidfd: readable when the Admin has ended, and with it the whole tree."""

    def create(
        self, cls: type[Actor], requirements: Mapping[str, Any] | None = None
    ) -> ActorAddress:
        """Start a top actor, a child of the Admin; `requirements` are pickled."""
        return self.system.createActor(cls, requirements)

    def tell(self, address: ActorAddress, message: object) -> None:
        """Send a message."""
        self.system.tell(address, message)

    def ask(self, address: ActorAddress, message: object, timeout_s: float) -> Any:
        """Send a message and return the next message from anybody, None after `timeout_s`."""
        return self.system.ask(address, message, timeout_s)

    def listen(self, timeout_s: float) -> Any:
        """Return the next message from anybody, None after `timeout_s`."""
        return self.system.listen(timeout_s)

    def is_up(self) -> bool:
        """Return whether the Admin lives."""
        return not _ended(self.admin_fd, 0)

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Shut the system down; True if it ended by itself, False if the Admin was killed.

        Every actor is ended at once: stop the tree in its order before. Call it once.
        """
        with suppress(ActorSystemException, OSError):
            if self.is_up():
                self.system.shutdown()
        clean = _ended(self.admin_fd, timeout_s)
        if not clean:
            signal.pidfd_send_signal(self.admin_fd, signal.SIGKILL)
            _ended(self.admin_fd, timeout_s)
        os.close(self.admin_fd)
        return clean


def start_system(admin_port: int, thespian_log: Path | None = None) -> ActorHost:
    """Start the Admin and its Logger on loopback; the caller becomes their starter.

    All modules of actors are imported by now, and nothing is open that a fork must not share:
    everything is inherited. When this process ends, however it does, so does the whole tree.
    `thespian_log` is Thespian's own log, the only place where sends that failed appear.
    Raises ActorSystemNotStarted.
    """
    thespian_fixes.apply()
    _check_port(admin_port)
    os.environ["THESPIAN_BASE_IPADDR"] = LOOPBACK
    if thespian_log is not None:
        os.environ["THESPLOG_FILE"] = str(thespian_log)
    read_fd, write_fd = os.pipe()
    thespian_fixes.tell_admin_pid_to(write_fd)
    try:
        system = ActorSystem(
            "multiprocTCPBase",
            {"Admin Port": admin_port, "Process Startup Method": "fork"},
            logDefs=LOG_DEFS,
            transientUnique=True,
        )
        admin_pid = int(os.read(read_fd, 32))
        return ActorHost(system, admin_port, admin_pid, os.pidfd_open(admin_pid))
    except (ActorSystemException, OSError) as error:
        raise ActorSystemNotStarted(f"admin port {admin_port}: {error}") from error
    finally:
        thespian_fixes.tell_admin_pid_to(None)
        os.close(read_fd)
        os.close(write_fd)


def _check_port(admin_port: int) -> None:
    # With another system on the port Thespian tries for 11 s before it gives up.
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, admin_port))
        except OSError as error:
            raise ActorSystemNotStarted(f"admin port {admin_port}: {error.strerror}") from error


def _ended(pidfd: int, timeout_s: float) -> bool:
    ready, _, _ = select.select([pidfd], [], [], timeout_s)
    return bool(ready)
