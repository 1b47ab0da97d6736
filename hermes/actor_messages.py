"""The messages of supervision: what a parent and its children say to each other.

Every answer of a child names its process by (pid, incarnation): addresses are ports, ports are
used again, and an answer of a former incarnation must be recognisable as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Address: TypeAlias = Any
"""An actor's address: opaque, unhashable, sent inside messages, never stored outside a process."""

TreePath: TypeAlias = tuple[str, ...]
"""The place of an actor in the tree: child ids from the root down, `("mesh", "acme", "bind-1")`."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Parent to child: do the start work. Answered by Started, Ignored or StartRefused, once."""


@dataclass(frozen=True, slots=True)
class Started:
    """Child to parent: the start work is done, later children may start."""

    pid: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """Child to parent: the start work is done and no process is needed; it ends with code 0."""

    pid: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class StartRefused:
    """Child to parent: the start work failed; the process ends with its own exit code."""

    pid: int
    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Parent to child: drain and end within `deadline_s` seconds from now."""

    deadline_s: float


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you alive? A leaf answers through its loop, so a hung loop is silent."""

    nonce: int = 0


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping, with its nonce. `parent_pid` of a top actor is the Admin's pid."""

    nonce: int
    pid: int
    incarnation: int
    parent_pid: int


@dataclass(frozen=True, slots=True)
class ChildDown:
    """To the parent, exactly once per child process: it ended.

    `exit_code` is what the process gave to exit, or the negative number of the signal that
    ended it; None only if the system no longer knew.
    """

    pid: int
    incarnation: int
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class Whereis:
    """Who serves `path`? Sent to the parent and passed on along the tree.

    Whoever passes it on fills in `asker` if it is None: Here goes straight to the asker.
    """

    path: TreePath
    asker: Address | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """The answer to Whereis; `address` and `pid` are None when nobody runs at `path` now."""

    path: TreePath
    address: Address | None
    pid: int | None
