"""Children for supervisors under test, the journal they write, and a tree of them in one hand."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress

from actors.io_loop import AsyncActor
from hermes.actor import HermesActor
from hermes.actor_messages import Begin, Here, Ping, Pong, Started, Stop, TreePath, Whereis
from hermes.actor_system import ActorHost
from hermes.exit_code import ExitCode
from supervisors.calls import Request
from supervisors.child_spec import ChildSpec, ChildType
from supervisors.children import ChildState
from supervisors.exit_reason import ExitKind, ExitReason
from supervisors.intensity import Intensity
from supervisors.status import ChildStatus
from supervisors.strategy import Strategy, SupervisorFlags
from supervisors.supervisor_actor import (
    Beat,
    Call,
    StartActor,
    SupervisorActor,
    Survey,
    Surveyed,
)
from tests.system.actor_hosts import wait_until

ROOT = "root"
PATIENT = Intensity(10, 60.0)
KILLED = ExitReason(ExitKind.KILLED, "signal 9")
WITHIN_S = 10.0


def kill(pid: int) -> None:
    """Kill -9."""
    os.kill(pid, signal.SIGKILL)


class Fail:
    """Raise in the handler."""


class Hang:
    """Block and never come back."""


@dataclass(frozen=True, slots=True)
class End:
    """Exit with this code."""

    code: ExitCode


@dataclass(frozen=True, slots=True)
class Find:
    """Ask the parent for `path`; answered with its Here."""

    path: TreePath


class Tell:
    """Answered with the child's arguments."""


def note(child: HermesActor, what: str) -> None:
    """Write a line into the child's journal."""
    with Path(child.args["journal"]).open("a") as journal:
        journal.write(f"{what} {child.path[-1]}\n")


class Child(HermesActor):
    """A leaf that notes what happens to it.

    `journal`: the file; `start_s`, `stop_s`: how long it works at its start and stop;
    `refused`: which of its starts it refuses, counted from 1; `ignores`: no process is needed.
    """

    def begin(self) -> None:
        self.note("begun")
        number = Path(self.args["journal"]).read_text().count(f"begun {self.path[-1]}\n")
        if number in self.args.get("refused", ()):
            self.refuse_start(f"start {number} is refused")
        elif self.args.get("ignores"):
            self.note("done")
            self.report_ignored()
        else:
            self.set_timer("up", self.args.get("start_s", 0.0))

    def stop(self, deadline_s: float) -> None:
        self.note("told")
        self.set_timer("ended", self.args.get("stop_s", 0.0))

    def on_timer(self, name: str) -> None:
        self.note(name)
        if name == "up":
            self.report_started()
        else:
            self.exit()

    def note(self, what: str) -> None:
        note(self, what)

    def receiveMsg_Fail(self, _message: Fail, _sender: ActorAddress) -> None:
        raise ValueError("half done")

    def receiveMsg_End(self, end: End, _sender: ActorAddress) -> None:
        self.exit(end.code)

    def receiveMsg_Find(self, find: Find, sender: ActorAddress) -> None:
        assert self.parent is not None
        self.asker = sender
        self.send(self.parent, Whereis(find.path))

    def receiveMsg_Here(self, here: Here, _sender: ActorAddress) -> None:
        self.send(self.asker, here)

    def receiveMsg_Tell(self, _message: Tell, sender: ActorAddress) -> None:
        self.send(sender, {key: self.args[key] for key in self.args if key != "journal"})


class Stubborn(Child):
    """Notes that it is told to stop, and does not."""

    def on_timer(self, name: str) -> None:
        if name == "up":
            super().on_timer(name)


class SilentStart(Child):
    """Its start work never ends."""

    def begin(self) -> None:
        self.note("begun")


class BlockedStart(SilentStart):
    """Its start work blocks."""

    def begin(self) -> None:
        super().begin()
        threading.Event().wait()


class LoopChild(AsyncActor):
    """A leaf with a loop, which can be blocked while the actor's own thread goes on."""

    async def on_begin(self) -> None:
        note(self, "begun")
        note(self, "up")

    async def on_stop(self, deadline_s: float) -> None:
        note(self, "told")
        note(self, "ended")

    def receiveMsg_Hang(self, _message: Hang, _sender: ActorAddress) -> None:
        self.to_loop(threading.Event().wait)


@dataclass(frozen=True)
class Specs:
    """Makes child specs that all write to one journal."""

    journal: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Specs:
        """With an empty journal in that folder."""
        journal = folder / "journal"
        journal.touch()
        return cls(journal)

    def leaf(self, id_: str, cls: type[HermesActor] = Child, **args: Any) -> ChildSpec:
        """A worker; arguments named like the fields of ChildSpec go there."""
        return self._spec(id_, cls, {"journal": str(self.journal)}, args)

    def supervisor(self, id_: str, *specs: ChildSpec, **args: Any) -> ChildSpec:
        """A permanent supervisor of these."""
        return self._spec(id_, SupervisorActor, {}, args | {"type": ChildType.SUPERVISOR}, specs)

    def _spec(
        self,
        id_: str,
        cls: type[HermesActor],
        given: dict[str, Any],
        args: dict[str, Any],
        specs: tuple[ChildSpec, ...] | None = None,
    ) -> ChildSpec:
        fields = {key: args.pop(key) for key in tuple(args) if key in ChildSpec.__slots__}
        if specs is not None:
            given = requirements(*specs, **args)
            args = {}
        return ChildSpec(id_, StartActor(cls, given | args), **fields)

    def lines(self) -> list[str]:
        """What the children have noted so far."""
        return self.journal.read_text().splitlines()


def requirements(
    *specs: ChildSpec,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    intensity: Intensity = PATIENT,
    beat: Beat | None = None,
) -> dict[str, Any]:
    """The arguments of a supervisor."""
    flags = SupervisorFlags(strategy, intensity)
    return {"flags": flags, "specs": specs, "beat": beat or Beat()}


@dataclass(frozen=True)
class Tree:
    """A running tree below a root supervisor, by the ids below the root."""

    host: ActorHost
    root: ActorAddress

    def survey(self, *ids: str) -> Surveyed:
        """What the supervisor there says."""
        said = self.host.ask(self.address(*ids), Survey(), WITHIN_S)
        assert isinstance(said, Surveyed), said
        return said

    def address(self, *ids: str) -> ActorAddress:
        """Where the child is reached."""
        address = self.root
        for id_ in ids:
            said = self.host.ask(address, Survey(), WITHIN_S)
            address = said.addresses[id_]
        return address

    def child(self, *ids: str) -> ChildStatus:
        """How the child's supervisor sees it."""
        children = self.survey(*ids[:-1]).status.children
        return next(child for child in children if child.id == ids[-1])

    def pid(self, *ids: str) -> int:
        """The pid of a child that is up."""
        pid = self.child(*ids).pid
        assert pid is not None, ids
        return pid

    def pids(self, *ids: str) -> dict[str, int | None]:
        """The pids of all children of a supervisor."""
        return {child.id: child.pid for child in self.survey(*ids).status.children}

    def wait_for_restart(self, pid: int, *ids: str) -> None:
        """Wait until the child is up in another process than this."""

        def has_restarted() -> bool:
            child = self.child(*ids)
            return child.state is ChildState.UP and child.pid != pid

        wait_until(has_restarted, f"{ids} does not come back")

    def ask(self, message: object, *ids: str) -> Any:
        """Ask a child."""
        return self.host.ask(self.address(*ids), message, WITHIN_S)

    def tell(self, message: object, *ids: str) -> None:
        """Tell a child."""
        self.host.tell(self.address(*ids), message)

    def call(self, request: Request, *ids: str) -> Any:
        """Make a request to a supervisor."""
        return self.ask(Call(request), *ids)

    def pong(self, *ids: str) -> Pong:
        """What a child answers to a ping."""
        pong = self.ask(Ping(), *ids)
        assert isinstance(pong, Pong), pong
        return pong

    def stop(self, deadline_s: float = 10.0) -> None:
        """Tell the root to stop."""
        self.host.tell(self.root, Stop(deadline_s))


def plant(host: ActorHost, *specs: ChildSpec, **args: Any) -> Tree:
    """Start a tree and wait until all of it is up."""
    root = host.create(SupervisorActor, {"path": (ROOT,), **requirements(*specs, **args)})
    answer = host.ask(root, Begin(), WITHIN_S)
    assert isinstance(answer, Started), answer
    return Tree(host, root)
