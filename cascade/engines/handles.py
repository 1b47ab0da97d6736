"""What engines share that know a message by keys and an outcome by a handle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cascade.engine import EngineStatus, OutcomeFate
from cascade.events import Outcome
from cascade.token import handle_for, read_token
from hermes.core.errors import Unreadable


class Handle(NamedTuple):
    """What an outcome resolves."""

    text: str


def decided(token: str, event: Outcome) -> Handle | OutcomeFate:
    """Give the handle an outcome resolves, or the fate of one that resolves none."""
    try:
        handle = handle_for(read_token(token), event)
    except Unreadable:
        return "unknown"
    return "undecided" if handle is None else Handle(handle)


def merged(known: Sequence[EngineStatus]) -> EngineStatus:
    """Give what is remembered of a message that may have been started in several ways."""
    for status in known:
        if status.result is not None:
            return status
    phases = {status.phase for status in known}
    if "running" in phases:
        return EngineStatus("running")
    return EngineStatus("done" if "done" in phases else "unknown")
