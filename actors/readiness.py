"""Readiness of a process as a value, and one look at it that never raises."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from hermes.embedded.probe import Probe, probe


@dataclass(frozen=True, slots=True)
class Check:
    """Ready when the function, picklable and without arguments, returns True.

    A plain function runs in a thread and may block; what it raises is the reason for a no.
    """

    function: Callable[[], bool] | Callable[[], Awaitable[bool]]


Readiness: TypeAlias = Probe | Check


async def not_ready(readiness: Readiness, timeout_s: float) -> str | None:
    """Return None if ready, else the reason why not, after at most `timeout_s`."""
    look = asyncio.ensure_future(_look(readiness, timeout_s))
    try:
        await asyncio.wait({look}, timeout=timeout_s)
    finally:
        if not look.done():
            look.cancel()
    if not look.done():
        return f"no answer within {timeout_s} s"
    if look.cancelled():
        return "cancelled"
    error = look.exception()
    if error is not None:
        return f"{type(error).__name__}: {error}"
    return None if look.result() else "no"


async def _look(readiness: Readiness, timeout_s: float) -> bool:
    if not isinstance(readiness, Check):
        await probe(readiness, timeout_s)
        return True
    function = readiness.function
    if inspect.iscoroutinefunction(function):
        return bool(await function())
    return bool(await asyncio.to_thread(function))
