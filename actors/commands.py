"""The messages between stage actors; every process is named by its pid, addresses are reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hermes.actor_messages import TreePath


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Consumer to producer: I am `pid`, this is my subscription."""

    pid: int
    tag: str
    options: Mapping[str, Any]
    replaces: tuple[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Consumer to producer: `count` more events may come."""

    pid: int
    tag: str
    count: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Consumer to producer: end this subscription."""

    pid: int
    tag: str
    reason: Any


@dataclass(frozen=True, slots=True, repr=False)
class Events:
    """Producer to consumer: a batch, never empty."""

    pid: int
    tag: str
    batch: tuple[Any, ...]

    def __repr__(self) -> str:
        # Thespian writes messages out, for its log and on every send: no text may get there
        return f"Events(pid={self.pid}, tag={self.tag!r}, {len(self.batch)} events)"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Producer to consumer: the subscription is over."""

    pid: int
    tag: str
    reason: Any


@dataclass(frozen=True, slots=True)
class Describe:
    """How are you? Answered by Description, through the loop."""


@dataclass(frozen=True, slots=True)
class Description:
    """What an actor says of itself: short facts for people, such as in_flight or demand."""

    path: TreePath
    pid: int
    facts: Mapping[str, Any]
