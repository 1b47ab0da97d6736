"""The repairs of Thespian 4.0.1; nothing else in Hermes touches its private names.

`apply()` before the actor system starts; every process forked from there has them.
"""
# ruff: noqa: N813, SLF001 - camel case and private names are what this file is about

from __future__ import annotations

import ctypes
import hashlib
import hmac
import logging
import multiprocessing
import os
import pickle
import signal
import time
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import thespian.system.multiprocCommon as procs
import thespian.system.transport.IPBase as ip
import thespian.system.transport.TCPTransport as tcp
from thespian.actors import ChildActorExited
from thespian.system.transport import TransmitIntent, TransmitOnly
from thespian.system.utilis import partition

from hermes.actor_messages import ChildDown
from hermes.exit_code import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thespian.actors import Actor, ActorAddress
    from thespian.system.transport import ReceiveEnvelope

_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1
_DIGEST_SIZE: Final = 16


class ChildNotStarted(Exception):
    """No process came of `createActor`: the fork failed, or this actor is ending itself."""


class Tether(logging.NullHandler):
    """A log handler whose making ties the Logger process to the Admin that forked it."""

    def __init__(self) -> None:
        super().__init__()
        die_with_parent()


LOG_DEFS: Final[dict[str, Any]] = {
    "version": 1,
    "handlers": {"tether": {"class": "hermes.thespian_fixes.Tether"}},
    "root": {"handlers": ["tether"], "level": "WARNING"},
}
"""What ActorSystem() is given as `logDefs`; Hermes' own records never go to the Logger."""


@cache
def apply() -> None:
    """Repair Thespian in this process; calls after the first do nothing."""
    listen_on_loopback()
    sign_messages()
    report_every_death()
    survive_loss_of_logger()
    leave_no_orphans()
    close_sockets()


def listen_on_loopback() -> None:
    """Bind to the address that is given out (THESPIAN_BASE_IPADDR), not to 0.0.0.0.

    Stock: IPBase.IPActorAddress binds "external" addresses, which all actors have, to "".
    """
    ip.IPActorAddress.bindArgs = property(lambda self: (self.sockname,))


class SignedPickle:
    """Thespian's serializer with a keyed digest before each pickle.

    Raises pickle.UnpicklingError for a frame that was not signed with the same key. The two
    constant acknowledgements of the transport are unsigned and pass.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        # Thespian makes these two frames at import, before anything could sign them.
        self._acks = {pickle.dumps(word): word for word in ("ACK", "ACK+DATAERR")}

    def dumps(self, message: object) -> bytes:
        """Return digest and pickle of `message`."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        return self._digest(body) + body

    def loads(self, frame: bytes) -> Any:
        """Return the message of a signed frame."""
        frame = bytes(frame)
        if frame in self._acks:
            return self._acks[frame]
        digest, body = frame[:_DIGEST_SIZE], frame[_DIGEST_SIZE:]
        if not hmac.compare_digest(digest, self._digest(body)):
            raise pickle.UnpicklingError(f"frame of {len(frame)} bytes is not signed by this tree")
        return pickle.loads(body)  # noqa: S301 - the signature is what makes this safe

    def _digest(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_DIGEST_SIZE).digest()


def sign_messages() -> None:
    """Unpickle only what a process of this tree sent.

    Stock: TCPTransport unpickles whatever any process connects and sends: it runs their code.
    """
    tcp.serializer = SignedPickle(os.urandom(32))


def report_every_death() -> None:
    """Send the parent exactly one ChildDown(pid, incarnation, exit_code) per child process.

    Stock: MultiProcReplicator._childExited forgets all dead children when one is reported, no
    notice carries pid or exit code, and a child that dies before it connects is never reported.
    """
    stock_connected = procs.MultiProcReplicator.h_EndpointConnected

    def child_died(self: procs.MultiProcManager) -> bool:
        children = getattr(self, "_child_procs", [])
        self._child_procs, gone = partition(self._checkChildLiveness, children)
        for child in gone:
            incarnation = getattr(child, "incarnation", 0)
            process = child.childProc
            _tell_self(self, ChildDown(process.pid or 0, incarnation, process.exitcode))
            if hasattr(child, "childRealAddr"):
                _tell_self(self, ChildActorExited(child.childRealAddr))  # Thespian's own books
            else:
                # Its address cannot be pickled: a ChildActorExited would end this process.
                self._retryPendingChildOperations(child.childNum, None)
        return True

    def connected(self: procs.MultiProcManager, envelope: ReceiveEnvelope) -> bool:
        # The greeting of a child already reported would stay in the books for ever.
        instance = envelope.message.childInstance
        if any(child.childNum == instance for child in getattr(self, "_child_procs", [])):
            return stock_connected(self, envelope)
        return True

    procs.MultiProcReplicator._childExited = lambda self, address: None  # noqa: ARG005
    procs.MultiProcManager.childDied = child_died
    procs.MultiProcManager.h_EndpointConnected = connected


def _tell_self(manager: procs.MultiProcReplicator, message: object) -> None:
    transport = manager.transport
    transport.scheduleTransmit(None, TransmitIntent(transport.myAddress, message))


def survive_loss_of_logger() -> None:
    """Let the Admin start another Logger when the first one dies.

    Stock: MultiProcReplicator.childDied reads `logDefs` but the Admin has `logdefs`, and ends of
    the AttributeError. The new Logger needs its tether too, hence not None.
    """
    procs.MultiProcAdmin.logDefs = LOG_DEFS


def die_with_parent(parent_pid: int | None = None, death_signal: int = signal.SIGKILL) -> None:
    """Have the kernel send this process `death_signal` when the thread that forked it ends.

    With `parent_pid` the process ends with ORPHAN at once if that parent is already gone.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(ExitCode.ORPHAN)


def leave_no_orphans() -> None:
    """End the Admin, and by `die_with_parent` all below it, when the starter ends.

    Stock: the Admin is a daemon that outlives everybody, and no process dies with its parent.
    """
    stock_run = procs.MultiProcAdmin.run

    def run(self: procs.MultiProcAdmin) -> None:
        starter = multiprocessing.parent_process()
        try:
            starter_fd = os.pidfd_open(starter.pid or 0 if starter else 0)
        except OSError:
            os._exit(ExitCode.ORPHAN)
        self.transport.set_watch([starter_fd])
        if _admin_pid_fd is not None:
            os.write(_admin_pid_fd, b"%d" % os.getpid())
        stock_run(self)

    def starter_ended(self: procs.MultiProcAdmin, envelope: ReceiveEnvelope) -> bool:  # noqa: ARG001
        os._exit(ExitCode.ORPHAN)

    procs.MultiProcAdmin.run = run
    procs.MultiProcAdmin.h_WatchMessage = starter_ended


_admin_pid_fd: int | None = None


def tell_admin_pid_to(fd: int | None) -> None:
    """Have the Admin that is started next write its pid to `fd`; a daemon tells nobody else."""
    global _admin_pid_fd
    _admin_pid_fd = fd


def close_sockets() -> None:
    """Close a transport's sockets when it is closed, so that no ResourceWarning is left to chance.

    Stock: TCPTransport.close forgets idle sockets, and its check whether it may close its own
    (`isinstance(socket.error, Exception)`) is never true.
    """
    stock_close = tcp.TCPTransport.close

    def close(self: tcp.TCPTransport) -> None:
        own = getattr(self, "socket", None)
        idle = list(getattr(self, "_openSockets", {}).values())
        stock_close(self)
        for held in idle:
            held.socket.close()
        if own is not None:
            own.close()

    tcp.TCPTransport.close = close


def default_fault_signals() -> None:
    """Give SIGSEGV, SIGBUS, SIGFPE and SIGILL back to the system, in an actor process.

    Stock: multiprocCommon.startChild catches them with Python handlers, so a fault in native
    code returns to the faulting instruction and spins for ever instead of ending the process.
    """
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
        signal.signal(number, signal.SIG_DFL)


def start_child(
    actor: Actor, cls: type[Actor], args: Mapping[str, Any], incarnation: int
) -> tuple[ActorAddress, int]:
    """Fork a child actor; return its address and, before it has said a word, its pid.

    `args` reach the child's `__init__` by fork, unpickled, with parent_pid and incarnation added.
    Call it from the actor's main thread. Raises ChildNotStarted.
    """
    manager = actor._myRef
    before = list(getattr(manager, "_child_procs", []))
    requirements = {**args, "parent_pid": os.getpid(), "incarnation": incarnation}
    address = actor.createActor(cls, requirements)
    started = [child for child in getattr(manager, "_child_procs", []) if child not in before]
    if not started or started[-1].childProc.pid is None:
        raise ChildNotStarted(f"{cls.__name__}: no process was forked")
    started[-1].incarnation = incarnation
    return address, started[-1].childProc.pid


def kill_child(actor: Actor, pid: int) -> bool:
    """Send SIGKILL to the child with `pid`; False if it is no child, or already reported down.

    A child in Thespian's list has not been waited for, so its pid cannot be anybody else's.
    """
    for child in getattr(actor._myRef, "_child_procs", []):
        if child.childProc.pid == pid:
            child.childProc.kill()
            return True
    return False


def reap_children(actor: Actor) -> None:
    """Look for ended children now, should SIGCHLD have been missed; nobody is reported twice."""
    actor._myRef.childDied()


def flush_sends(actor: Actor, seconds: float) -> None:
    """Send what is queued, for at most `seconds`, receiving nothing meanwhile."""
    transport = actor._myRef.transport
    actor.wakeupAfter(timedelta(seconds=seconds))  # run() obeys the next wakeup, not its argument
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not transport.run(TransmitOnly, timedelta(seconds=left)):
            return
