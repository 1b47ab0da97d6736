"""A daemon on external servers under a steady load, and what its carrier and its client saw."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import (
    CarrierProcess,
    Client,
    DaemonProcess,
    client_of,
    pause,
)
from tests.system.judgement import Verdict, judge
from tests.system.outside import Outside

EVERY = 0.1
LOOK_EVERY = 0.1
ANSWER_WITHIN = 30.0
QUICK_MS = 20.0
SLOWEST_MS = 2000.0
WALL = time.time


@dataclass(frozen=True, slots=True)
class Answer:
    """What the front door said to one post, and when (seconds since 1970)."""

    asked_at: float
    answered_at: float
    status: int
    retry_after: str | None


@dataclass
class Stand:
    """A daemon on external servers, and its carrier."""

    outside: Outside
    carrier: CarrierProcess
    daemon: DaemonProcess

    def control(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Ask the carrier's control API."""
        return ask_carrier(self.carrier.control, method, path, **body)

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

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Give every node of the tree by its path, once all of them are up and answer."""
        deadline = time.monotonic() + ANSWER_WITHIN
        while True:
            found = {node["path"]: node for node in of_tree(self.daemon.tree())}
            if all(is_settled(node) for node in found.values()):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"not up: {[p for p, n in found.items() if not is_settled(n)]}")
            pause(LOOK_EVERY)

    def population(self) -> dict[str, tuple[int | None, int, int | None]]:
        """Give pid, restarts and OS process of everything in the tree."""
        return {
            path: (node.get("pid"), node.get("restarts", 0), node.get("facts", {}).get("process"))
            for path, node in self.nodes().items()
        }

    def pid_of(self, path: str) -> int:
        """Give the pid of an actor."""
        pid: int = self.nodes()[path]["pid"]
        return pid

    def swept(self) -> dict[str, int]:
        """Give what the sweeper has moved so far."""
        while not (facts := self.nodes()["root/main/stages/sweeper"]["facts"]):
            pause(LOOK_EVERY)  # it had no time to answer
        return dict(facts)


def is_settled(node: dict[str, Any]) -> bool:
    """Say whether a node is up; one that is being started again may be shown as done."""
    return node.get("state") == "up" or node["path"] == "root/prepare"


def of_tree(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk the tree."""
    yield node
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
    open: set[asyncio.Task[None]] = field(default_factory=set)
    numbered: int = 0

    def number(self, count: int = 1) -> int:
        """Give the first of so many numbers nobody else has."""
        self.numbered += count
        return self.first + self.numbered - count

    async def post_forever(self) -> None:
        """Post until cancelled."""
        while True:
            post = asyncio.create_task(self.post(f"+{self.number()}0"))
            self.open.add(post)
            post.add_done_callback(self.open.discard)
            await asyncio.sleep(EVERY)

    async def post(self, to: str) -> None:
        """Post once."""
        client, asked_at = self.client, WALL()
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

    async def asked(self, after: float, until: float) -> list[Answer]:
        """Give the answers to what was posted in a span of time, once all of them are there."""
        await asyncio.gather(*self.open)
        return [answer for answer in self.answers if after < answer.asked_at < until]


async def judged(stand: Stand, client: Client, within_s: float, most_extra: int = 0) -> Verdict:
    """Wait until all that was accepted is final, and judge."""
    names = list(client.accepted)
    deadline = asyncio.get_running_loop().time() + within_s
    while found := await asyncio.to_thread(stand.outside.open_of, names):
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"{len(found)} of {len(names)} not final: {await client.view(found[0])}")
        await asyncio.sleep(LOOK_EVERY)
    views = dict(zip(names, await asyncio.gather(*map(client.view, names)), strict=True))
    return judge(stand.carrier, client, views, most_extra)


@asynccontextmanager
async def loaded(stand: Stand, first: int, within_s: float) -> AsyncIterator[Load]:
    """Post steadily; all is delivered in the end, once, and no actor ends meanwhile."""
    stand.control("POST", "/reset")
    population = await asyncio.to_thread(stand.population)
    async with client_of(stand.daemon) as client:
        load = Load(stand, client, first)
        posting = asyncio.create_task(load.post_forever())
        try:
            yield load
        finally:
            posting.cancel()
            await asyncio.wait([posting])
        await asyncio.gather(*load.open)
        verdict = await judged(stand, client, within_s)
    assert load.failures == []
    assert verdict.faults() == []
    assert await asyncio.to_thread(stand.population) == population


async def queue_up(stand: Stand, client: Client, first: int, count: int, within_s: float) -> None:
    """Fill the belt of a slow carrier, and wait until the ledger knows where each job lies."""
    stand.control("POST", "/reset")
    stand.control("PUT", "/settings", latency_ms=SLOWEST_MS)
    await client.send_many(count, first)
    await until(lambda: not stand.outside.unplaced_of(list(client.accepted)), within_s)


async def until(condition: Callable[[], bool], within_s: float) -> None:
    """Wait for a condition. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(LOOK_EVERY)
