"""Shows one behaviour of Thespian: `thespian_probe.py <probe> [--stock]` prints it as JSON.

Without --stock the repairs are applied. Every process that is left at the end is killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2]))

import thespian.system.multiprocCommon as procs  # noqa: N813
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorSystem,
    ActorSystemMessage,
    ThespianWatch,
)

from hermes import thespian_fixes
from hermes.actor_messages import ChildDown
from tests.system.actor_hosts import descendants, free_port, is_alive

STOCK = "--stock" in sys.argv
SETTLE_S = 1.0
PR_SET_CHILD_SUBREAPER = 36


class Probed(Actor):
    """Obeys tuples (verb, *arguments); keeps what it hears of its children."""

    @staticmethod
    def actorSystemCapabilityCheck(_capabilities: object, _requirements: object) -> bool:
        return True

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        args = requirements or {}
        if not STOCK:
            thespian_fixes.die_with_parent(args.get("parent_pid"))
        if args.get("dies_early"):
            raise SystemExit(3)
        super().__init__()
        self.heard: list[tuple[str, object]] = []
        self.pids: list[int] = []

    def receiveMessage(self, msg: Any, sender: ActorAddress) -> ThespianWatch | None:
        match msg:
            case ("pid",):
                self.send(sender, os.getpid())
            case ("fork", int(count), dict(args)):
                self.pids = [
                    thespian_fixes.start_child(self, Probed, args, 100 + number)[1]
                    for number in range(count)
                ]
                self.send(sender, self.pids)
            case ("kill all",):
                for pid in self.pids:
                    os.kill(pid, signal.SIGKILL)
                self.send(sender, None)
            case ("heard",):
                self.send(sender, self.heard)
            case ("raise", str(note)):
                with Path(note).open("a") as file:
                    file.write("called\n")
                raise ValueError("on purpose")
            case ("fault",):
                ctypes.string_at(0)
            case ChildDown():
                self.heard.append(("down", (msg.pid, msg.incarnation, msg.exit_code)))
            case ActorSystemMessage():
                self.heard.append((type(msg).__name__, None))
            case _:
                pass
        return None


class Evil:
    """What another user's process might send."""

    def __init__(self, note: str) -> None:
        self.note = note

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (self.note,)


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def settled(condition: Callable[[], object]) -> bool:
    """Wait up to SETTLE_S for the condition."""
    end = time.monotonic() + SETTLE_S
    while not condition():
        if time.monotonic() > end:
            return False
        pause(0.01)
    return True


def start() -> ActorSystem:
    """Start an actor system as hermes.actor_system does, with or without the repairs."""
    os.environ["THESPIAN_BASE_IPADDR"] = "127.0.0.1"
    if not STOCK:
        thespian_fixes.apply()
    return ActorSystem(
        "multiprocTCPBase",
        {"Admin Port": free_port(), "Process Startup Method": "fork"},
        logDefs={"version": 1} if STOCK else thespian_fixes.LOG_DEFS,
        transientUnique=True,
    )


def top(system: ActorSystem) -> tuple[ActorAddress, int, int]:
    """Create a top actor; return its address, its pid and the Admin's."""
    address = system.createActor(Probed)
    pid = system.ask(address, ("pid",), 5)
    return address, pid, int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def port_of(address: ActorAddress) -> int:
    found = re.search(r":(\d+)", str(address))
    assert found, address
    return int(found[1])


def listening_address() -> object:
    """Where an actor listens, as /proc/net/tcp writes it."""
    address, _, _ = top(start())
    port = f":{port_of(address):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1].removesuffix(port) for row in rows if row[1].endswith(port) and row[3] == "0A"]


def foreign_pickle() -> object:
    """What becomes of a pickle that a stranger sends."""
    system = start()
    address, _, _ = top(system)
    with tempfile.TemporaryDirectory() as folder:
        note = str(Path(folder, "executed"))
        frame = pickle.dumps((1, Evil(note)))
        with socket.create_connection(("127.0.0.1", port_of(address))) as stranger:
            stranger.sendall(b"%d>" % len(frame) + frame)
            stranger.settimeout(SETTLE_S)
            stranger.recv(100)
            executed = Path(note).exists()
    return {"executed": executed, "answers": system.ask(address, ("pid",), SETTLE_S) is not None}


def reports_of_dead_children() -> object:
    """What childDied reports of three ended children, after one of them said goodbye."""
    if not STOCK:
        thespian_fixes.apply()
    notes: list[object] = []
    transport = SimpleNamespace(
        myAddress=None, scheduleTransmit=lambda _, intent: notes.append(intent.message)
    )
    manager = cast("Any", procs.MultiProcManager.__new__(procs.MultiProcManager))
    manager.transport = transport
    manager._child_procs = []
    for number in range(3):
        process = get_context("fork").Process(target=sys.exit, args=(number,))
        process.start()
        child = procs.ChildInfo(ActorAddress(number), None, process, number)
        child.childRealAddr = child.childAddr
        child.incarnation = 100 + number
        manager._child_procs.append(child)
        os.waitid(os.P_PID, process.pid or 0, os.WEXITED | os.WNOWAIT)
    manager._childExited(ActorAddress(0))
    manager.childDied()
    return sorted((n.incarnation, n.exit_code) for n in notes if isinstance(n, ChildDown))


def forty_killed_at_once() -> object:
    """How many of forty children killed together are reported with pid and exit code."""
    system = start()
    parent, _, _ = top(system)
    pids = system.ask(parent, ("fork", 40, {}), 20)
    system.ask(parent, ("kill all",), 5)
    heard: list[Any] = []

    def all_reported() -> bool:
        heard[:] = [note for kind, note in system.ask(parent, ("heard",), 5) if kind == "down"]
        return len(heard) >= len(pids)

    settled(all_reported)
    expected = [(pid, 100 + number, -9) for number, pid in enumerate(pids)]
    return {"reports": len(heard), "exact": sorted(heard) == sorted(expected)}


def death_before_connecting() -> object:
    """Whether a child that ends in its __init__ is reported, and its parent goes on."""
    system = start()
    parent, _, _ = top(system)
    (pid,) = system.ask(parent, ("fork", 1, {"dies_early": True}), 5)
    heard: list[Any] = []

    def reported() -> bool:
        heard[:] = system.ask(parent, ("heard",), 5)
        return bool(heard)

    settled(reported)
    return {
        "down": [note == (pid, 100, 3) for kind, note in heard if kind == "down"],
        "parent_answers": system.ask(parent, ("pid",), SETTLE_S) is not None,
    }


def loss_of_logger() -> object:
    """Whether the Admin outlives its Logger."""
    system = start()
    _, pid, admin = top(system)
    (logger,) = descendants(admin) - {pid}
    os.kill(logger, signal.SIGKILL)
    settled(lambda: descendants(admin) - {pid, logger} or not is_alive(admin))
    return {"admin_lives": is_alive(admin), "loggers": len(descendants(admin) - {pid, logger})}


def loss_of_parent() -> object:
    """Which processes outlive their parent: the children of an actor, then the Admin's."""
    system = start()
    parent, pid, admin = top(system)
    _, other, _ = top(system)
    children = system.ask(parent, ("fork", 5, {}), 5)
    os.kill(pid, signal.SIGKILL)
    settled(lambda: not any(map(is_alive, children)))
    left = sum(map(is_alive, children))
    under_admin = {*descendants(admin), other}
    os.kill(admin, signal.SIGKILL)
    settled(lambda: not any(map(is_alive, under_admin)))
    return {"children": left, "under_admin": sum(map(is_alive, under_admin)) > 0}


def loss_of_starter() -> object:
    """Whether an actor system outlives the process that started it."""
    read_fd, write_fd = os.pipe()
    starter = os.fork()
    if starter == 0:
        _, pid, admin = top(start())
        os.write(write_fd, f"{pid} {admin}".encode())
        signal.pause()
    pids = [int(pid) for pid in os.read(read_fd, 64).split()]
    os.kill(starter, signal.SIGKILL)
    settled(lambda: not any(map(is_alive, pids)))
    return {"left": sum(map(is_alive, pids))}


def fault_in_native_code() -> object:
    """Whether a process whose native code faults ends."""
    system = start()
    address, pid, _ = top(system)
    system.tell(address, ("fault",))
    settled(lambda: not is_alive(pid))
    return {"lives": is_alive(pid)}


def failed_handler() -> object:
    """How often a handler that raises is called."""
    system = start()
    address, _, _ = top(system)
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "note")
        poison = system.ask(address, ("raise", str(note)), 5)
        return {"calls": len(note.read_text().splitlines()), "answer": type(poison).__name__}


def main() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # so that whatever is left is found
    me = os.getpid()
    try:
        shown = globals()[sys.argv[1]]()
    finally:
        if os.getpid() == me:
            while left := [pid for pid in descendants(me) if is_alive(pid)]:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
    if os.getpid() == me:
        print(json.dumps(shown))


if __name__ == "__main__":
    main()
