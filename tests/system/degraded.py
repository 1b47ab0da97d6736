"""What must be seen while a store is away, store by store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from tests.system.outage import QUICK_MS, WALL, Load, Stand, until
from tests.system.outside import How

TEMPORARY: Final = 0x64
SLOW_MS: Final = 250.0
# what is in flight and in hand goes out before a bind hears that a store is gone
SETTLED: Final = 1.5
# a statement under way when a server falls silent is given up after that
DEADLINE: Final = 20.0
SWEPT_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A store, how it goes away and for how many seconds."""

    store: str
    how: How
    seconds: float


@dataclass(frozen=True, slots=True)
class Span:
    """When it was away, in seconds since 1970."""

    down: float
    up: float


Row = Callable[[Stand, Load, Outage], Coroutine[Any, Any, None]]


async def away(stand: Stand, outage: Outage) -> Span:
    """Take a store away for a while; receipts held back before arrive while it is away."""
    stand.control("POST", "/faults/pause_receipts")
    await asyncio.sleep(0.4)
    with stand.outside.without(outage.store, outage.how):
        down = WALL()
        await asyncio.sleep(outage.seconds / 8)
        stand.control("DELETE", "/faults/pause_receipts")
        await asyncio.sleep(max(0.0, down + outage.seconds - WALL()))
        up = WALL()
    return Span(down, up)


async def without_postgres(stand: Stand, load: Load, outage: Outage) -> None:
    """Submits go on from the belt; posts get 503 and a Retry-After, receipts 0x64."""
    stand.control("PUT", "/settings", latency_ms=SLOW_MS)
    count = round(40 * min(outage.seconds, 8))
    await load.client.send_many(count, load.number(count))
    span = await away(stand, outage)
    stand.control("PUT", "/settings", latency_ms=QUICK_MS)
    asked = await load.asked(span.down, span.up)
    refused = [answer for answer in asked if answer.status != 202]
    assert {answer.status for answer in refused} <= {503}
    assert all(int(answer.retry_after or 0) >= 1 for answer in refused)
    assert len(stand.lines("submit", span.down + 0.5, span.up)) >= 5
    if outage.how is How.PAUSED and outage.seconds < DEADLINE:
        return
    assert refused
    assert [a for a in asked if a.answered_at < span.up and a.status == 202] == []
    answered = stand.lines("answer", span.down + 0.5, span.up)
    assert {line["status"] for line in answered} == {TEMPORARY}


async def without_valkey(stand: Stand, load: Load, outage: Outage) -> None:
    """Links stay bound and alive, accepting goes on, nothing is submitted."""
    before = stand.control("GET", "/stats")["counters"]["enquire_links"]
    span = await away(stand, outage)
    probes = stand.control("GET", "/stats")["counters"]["enquire_links"] - before
    assert {answer.status for answer in await load.asked(span.down, span.up)} == {202}
    assert stand.lines("submit", span.down + SETTLED, span.up) == []
    assert stand.lines("unbind", span.down, WALL()) == []
    assert probes >= 2


async def without_nats(stand: Stand, load: Load, outage: Outage) -> None:
    """Accepting goes on, inbound goes into the ledger, submits end with those in flight."""
    swept = await asyncio.to_thread(stand.metric, "hermes_swept_total")
    span = await away(stand, outage)
    assert {answer.status for answer in await load.asked(span.down, span.up)} == {202}
    assert stand.lines("submit", span.down + SETTLED, span.up) == []
    assert stand.lines("unbind", span.down, WALL()) == []
    answered = stand.lines("answer", span.down, span.up)
    assert {line["status"] for line in answered} == {0}
    if outage.how is not How.PAUSED:
        await until(lambda: stand.metric("hermes_swept_total") > swept, SWEPT_WITHIN)


ROWS: Final[dict[str, Row]] = {
    "postgres": without_postgres,
    "valkey": without_valkey,
    "nats": without_nats,
}
