"""An outage under load: a store goes away, is away, comes back; what was seen meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hermes.testing.daemon_process import CarrierProcess, Client, DaemonProcess, client_of
from tests.system.judgement import Verdict, judge
from tests.system.outside import How, Outside

EVERY = 0.1
LOOK_EVERY = 0.1
QUICK_MS = 20.0
WALL = time.time


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front door said to one post, and when (seconds since 1970)."""

    asked_at: float
    answered_at: float
    status: int
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Outage:
    """When a store was away (seconds since 1970)."""

    store: str
    how: How
    down: float
    up: float


@dataclass
class Stand:
    """A daemon on external servers, and its carrier."""

    outside: Outside
    carrier: CarrierProcess
    daemon: DaemonProcess

    def control(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Ask the carrier's control API."""
        url, data = f"{self.carrier.control}{path}", json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def lines(self, event: str, after: float, until: float) -> list[dict[str, Any]]:
        """Give the carrier's lines of one kind in a span of time."""
        return [
            line
            for line in self.carrier.log()
            if line["event"] == event and after < line["at"] < until
        ]

    def metric(self, name: str) -> float:
        """Sum a metric over its labels."""
        url = f"http://127.0.0.1:{self.daemon.wiring['admin_port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return sum(s.value for family in families for s in family.samples if s.name == name)

    def population(self) -> dict[str, tuple[int | None, int, int | None]]:
        """Give pid, restarts and OS process of everything in the tree."""
        return dict(of_tree(self.daemon.tree()))


def of_tree(node: dict[str, Any]) -> Iterator[tuple[str, tuple[int | None, int, int | None]]]:
    """Walk the tree."""
    process = (node.get("facts") or {}).get("process")
    yield node["path"], (node.get("pid"), node.get("restarts", 0), process)
    for child in node.get("children", []):
        yield from of_tree(child)


@dataclass
class Load:
    """Messages posted one by one at a steady pace, whatever becomes of them."""

    stand: Stand
    client: Client
    first: int
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    posted: int = 0

    async def post_forever(self) -> None:
        """Post until cancelled, then wait for the answers still to come."""
        posts: set[asyncio.Task[None]] = set()
        try:
            while True:
                posts.add(asyncio.create_task(self.post(self.first + self.posted)))
                self.posted += 1
                await asyncio.sleep(EVERY)
        finally:
            await asyncio.gather(*posts)

    async def post(self, number: int) -> None:
        """Post once."""
        client, to, asked_at = self.client, f"+{number}0", WALL()
        try:
            post = client.session.post(f"{client.url}/v1/messages", json={"to": to, "text": "hi"})
            async with post as answer:
                body = await answer.json()
                if answer.status == 202:
                    client.accepted[body["id"]] = to
                retry_after = answer.headers.get("Retry-After")
                self.answers.append(Answer(asked_at, WALL(), answer.status, retry_after))
        except (aiohttp.ClientError, OSError) as error:
            self.failures.append(repr(error))

    def asked(self, after: float, until: float) -> list[Answer]:
        """Give the answers to what was posted in a span of time."""
        return [answer for answer in self.answers if after < answer.asked_at < until]

    async def wait_final(self, within_s: float) -> Verdict:
        """Wait until all that was accepted is final, and judge: nothing may come twice."""
        client, names = self.client, list(self.client.accepted)
        async with asyncio.timeout(within_s):
            while await asyncio.to_thread(self.stand.outside.count_open, names):
                await asyncio.sleep(LOOK_EVERY)
        views = dict(zip(names, await asyncio.gather(*map(client.view, names)), strict=True))
        return judge(self.stand.carrier, client, views, most_extra=0)


@asynccontextmanager
async def loaded(stand: Stand, first: int, *, before: int = 0) -> AsyncIterator[Load]:
    """Post steadily, `before` messages ahead of it; every actor must live through the block."""
    stand.control("PUT", "/settings", latency_ms=QUICK_MS)
    population = await asyncio.to_thread(stand.population)
    async with client_of(stand.daemon) as client:
        load = Load(stand, client, first)
        await client.send_many(before, first + 500_000)
        posting = asyncio.create_task(load.post_forever())
        try:
            yield load
        finally:
            posting.cancel()
            await asyncio.wait([posting])
    assert load.failures == []
    assert await asyncio.to_thread(stand.population) == population


async def live_through(
    stand: Stand,
    store: str,
    how: How,
    seconds: float,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> Outage:
    """Take a store away for so long."""
    stand.outside.take_away(store, how)
    down = WALL()
    if meanwhile is not None:
        await meanwhile()
    await asyncio.sleep(max(0.0, down + seconds - WALL()))
    up = WALL()
    stand.outside.bring_back(store, how)
    return Outage(store, how, down, up)


async def until(condition: Callable[[], bool], within_s: float) -> None:
    """Wait for a condition. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(LOOK_EVERY)
