"""Walks the supervision tree by asking: supervisors for their children, leaves for themselves."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Protocol

from hermes.actor_messages import Here, TreePath
from supervisors.child_spec import ChildType
from supervisors.children import ChildState
from supervisors.status import ChildStatus, Phase
from supervisors.supervisor_actor import Surveyed

Node = dict[str, Any]
DONE = "done"
"""The state of a child whose start said ignore: its work is done, it needs no process."""


RESTARTING = "restarting"
"""The state of a child that ended otherwise and is to be started again."""


class Questioner(Protocol):
    """How the walk asks; answers are None when nobody answers in time."""

    async def whereis(self, path: TreePath) -> Here: ...

    async def survey(self, address: Any, path: TreePath) -> Surveyed | None: ...

    async def describe_leaf(self, address: Any, path: TreePath) -> dict[str, Any] | None: ...


async def walk(asker: Questioner, path: TreePath) -> Node:
    """Give the node at `path` with all below it."""
    found = await asker.whereis(path)
    node: Node = {"id": path[-1], "path": "/".join(path), "type": "supervisor", "state": "down"}
    if found.pid is None:
        return node | {"children": []}
    node |= {"state": "up", "pid": found.pid, "memory_mb": memory_mb(found.pid), "restarts": 0}
    return node | await below(asker, found.address, path)


async def below(asker: Questioner, address: Any, path: TreePath) -> Node:
    """Give what a supervisor says: its strategy and its children."""
    said = await asker.survey(address, path)
    if said is None:
        return {"state": "silent", "children": []}
    children = await asyncio.gather(
        *(node_of(asker, child, said, (*path, child.id)) for child in said.status.children)
    )
    return {"strategy": said.status.strategy.value, "children": children}


async def node_of(asker: Questioner, child: ChildStatus, said: Surveyed, path: TreePath) -> Node:
    """Give one child and what is below it."""
    node: Node = {
        "id": child.id,
        "path": "/".join(path),
        "type": child.type.value,
        "state": child.state.value,
        "pid": child.pid,
        "memory_mb": None if child.pid is None else memory_mb(child.pid),
        "restarts": child.restart_count,
        "last_reason": None if child.last_exit is None else str(child.last_exit),
        "since_s": round(said.now - child.since, 3),
    }
    if said.status.phase is Phase.RUNNING and child.state is ChildState.DOWN:
        is_done = child.last_exit is None or child.last_exit.is_clean
        node["state"] = DONE if is_done else RESTARTING
    address = said.addresses.get(child.id)
    if address is None or child.pid is None:
        return node
    if child.type is ChildType.SUPERVISOR:
        return node | await below(asker, address, path)
    facts = await asker.describe_leaf(address, path)
    return node | {"facts": facts or {}}


def is_well(node: Node) -> bool:
    """Say whether all from here down run: processes healthy, binds bound, relays open."""
    facts = node.get("facts", {})
    is_up = node["state"] in {"up", DONE} and facts.get("healthy", True)
    is_bound = "bind" not in facts or facts.get("state") == "bound"
    is_open = "relay" not in facts or facts.get("state") == "open"
    return bool(is_up and is_bound and is_open) and all(
        is_well(n) for n in node.get("children", [])
    )


def memory_mb(pid: int) -> float | None:
    """Give the proportional set size of a process in MB; None when it is gone."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        pss = next(line for line in lines if line.startswith("Pss:"))
        return round(int(pss.split()[1]) / 1024, 1)
    return None


def leaves(node: Node) -> list[Node]:
    """List the workers below a node, in tree order."""
    if node["type"] == "worker":
        return [node]
    return [leaf for child in node.get("children", []) for leaf in leaves(child)]
