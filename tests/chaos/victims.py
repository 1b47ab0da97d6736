"""What is killed: where it stands in the tree, how its pid is found, and how often it may end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.processes import children_of
from hermes.testing.daemon_process import DaemonProcess

Kind = Literal["actor", "process", "parent", "starter"]


@dataclass(frozen=True)
class Limit:
    """The intensity of whoever starts a victim again: so many ends in so many seconds."""

    owner: str
    count: int
    period: float


LEAVES = (10, 60.0)
MIDDLE = (5, 60.0)
MAIN = Limit("root/main", *MIDDLE)
ROOT = Limit("root", 3, 300.0)
HERMESD = Limit("hermesd", 5, 300.0)


@dataclass(frozen=True)
class Victim:
    """A node of the tree: its actor, its OS process, its parent process, or hermesd's starter.

    A port's OS process is started again by the port itself, which has a back-off and no limit.
    """

    path: str
    kind: Kind = "actor"
    limit: Limit | None = None


def leaf(path: str) -> Victim:
    """Give a leaf's actor."""
    return Victim(path, limit=Limit(path.rpartition("/")[0], *LEAVES))


VICTIMS = {
    "bind": leaf("root/main/mesh/sim/bind-1"),
    "carrier-stage": leaf("root/main/mesh/sim/stage"),
    "receipt-stage": leaf("root/main/receipts/receipt-0"),
    "intake": leaf("root/main/stages/intake"),
    "recorder": leaf("root/main/stages/recorder"),
    "outcome": leaf("root/main/stages/outcome"),
    "webhook": leaf("root/main/stages/webhook"),
    "sweeper": leaf("root/main/stages/sweeper"),
    "front-door": Victim("root/main/frontdoor/frontdoor-1", "process"),
    "front-door-port": leaf("root/main/frontdoor/frontdoor-1"),
    "cascade-endpoint": Victim("root/main/stages/cascade", "process"),
    "admin-actor": Victim("root/main/admin", limit=MAIN),
    "carrier-supervisor": Victim("root/main/mesh/sim", limit=Limit("root/main/mesh", *MIDDLE)),
    "mesh-supervisor": Victim("root/main/mesh", limit=MAIN),
    "stages-supervisor": Victim("root/main/stages", limit=MAIN),
    "receipts-supervisor": Victim("root/main/receipts", limit=MAIN),
    "frontdoor-supervisor": Victim("root/main/frontdoor", limit=MAIN),
    "main-supervisor": Victim("root/main", limit=ROOT),
    "services-supervisor": Victim("root/services", limit=ROOT),
    "root-supervisor": Victim("root", limit=HERMESD),
    "thespian-admin": Victim("root", "parent", HERMESD),
    "starter": Victim("root", "starter", HERMESD),
    "nats": Victim("root/services/nats", "process"),
    "valkey": Victim("root/services/valkey", "process"),
    "postgres": Victim("root/services/postgres", "process"),
    "restate": Victim("root/services/restate", "process"),
    "nats-port": Victim("root/services/nats", limit=Limit("root/services", *MIDDLE)),
}


@dataclass
class Ends:
    """How often each owner was made to start something again, and when."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, limit: Limit | None, now: float) -> None:
        """An end that counts for this limit."""
        if limit is not None:
            self.times[limit.owner].append(now)

    def wait_s(self, limit: Limit | None, more: int, now: float) -> float:
        """Give how long to wait before `more` further ends stay within the limit."""
        if limit is None:
            return 0.0
        recent = sorted(t for t in self.times[limit.owner] if now - t <= limit.period)
        too_many = len(recent) + more - limit.count
        if too_many <= 0:
            return 0.0
        return recent[min(too_many, len(recent)) - 1] + limit.period - now if recent else 0.0

    def forget(self) -> None:
        """A new daemon counts from zero."""
        self.times.clear()


def find(node: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Find a node of the tree."""
    if node["path"] == path:
        return node
    found = (find(child, path) for child in node.get("children", []))
    return next((node for node in found if node is not None), None)


def pid_of(daemon: DaemonProcess, victim: Victim) -> int | None:
    """Give the pid of a victim now; None while it is down or nobody answers."""
    node = find(daemon.tree(), victim.path)
    if node is None or not node.get("pid"):
        return None
    pid = int(node["pid"])
    try:
        match victim.kind:
            case "actor":
                return pid
            case "process":
                process = node.get("facts", {}).get("process")
                return int(process) if process else None
            case "parent":
                parent = parent_of(pid)
                return parent if parent > 1 else None
            case "starter":
                return starter_of(daemon)
    except OSError:
        return None


def starter_of(daemon: DaemonProcess) -> int | None:
    """Give hermesd's only child; the actor system below it has no parent of ours."""
    assert daemon.process is not None
    return next(iter(children_of(daemon.process.pid)), None)


def parent_of(pid: int) -> int:
    """Give the parent of a process. Raises OSError when it is gone."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
