"""An open loop of messages: due at a steady rate whatever happens, each posted until its 202."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

WORKERS = 48
FIRST_WAIT = 0.1
LONGEST_WAIT = 1.0
ANSWER_WITHIN = 5.0
TEXT = "Your code is 493021."


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 202: the message's id and when it came (seconds since 1970)."""

    id: str
    at: float


def plain(number: str) -> dict[str, Any]:
    """Give the request of a one-step message."""
    return {"to": number, "text": TEXT, "class": "otp"}


@dataclass
class Pacer:
    """Posts `rate` messages a second to numbers of their own, from `first` on.

    What is due waits for one of the workers, so that an outage costs a queue and no storm; a
    refused or unanswered post is made again under the same Idempotency-Key. `conflicts` are
    answers that no client may get for an honest repeat. `body_of` makes the request of a number.
    """

    url: str
    key: str
    rate: float
    first: int
    body_of: Callable[[str], dict[str, Any]] = plain
    accepted: dict[str, Accepted] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    due: int = 0
    retried: int = 0
    began: float = 0.0
    ended: float = 0.0

    async def run(self, seconds: float, within_s: float) -> None:
        """Post for so long, then wait for the last 202. Raises TimeoutError after `within_s`."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        headers = {"Authorization": f"Bearer {self.key}"}
        connector = aiohttp.TCPConnector(limit=WORKERS)
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
        async with (
            aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            workers = [group.create_task(self.work(queue, session)) for _ in range(WORKERS)]
            await self.feed(queue, seconds)
            async with asyncio.timeout(within_s):
                await queue.join()
            for worker in workers:
                worker.cancel()

    async def feed(self, queue: asyncio.Queue[str], seconds: float) -> None:
        """Put every message into the queue at its time."""
        loop = asyncio.get_running_loop()
        self.began, began = time.time(), loop.time()
        while (passed := loop.time() - began) < seconds:
            while self.due < passed * self.rate:
                queue.put_nowait(f"+{self.first + self.due}0")
                self.due += 1
            await asyncio.sleep(1 / self.rate)
        self.ended = time.time()

    async def work(self, queue: asyncio.Queue[str], session: aiohttp.ClientSession) -> None:
        """Take messages and post each for as long as it takes."""
        while True:
            number = await queue.get()
            wait = FIRST_WAIT
            while not await self.post(session, number):
                self.retried += 1
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            queue.task_done()

    async def post(self, session: aiohttp.ClientSession, number: str) -> bool:
        """Post one message; true when it needs no other try."""
        try:
            async with session.post(
                f"{self.url}/v1/messages",
                json=self.body_of(number),
                headers={"Idempotency-Key": f"chaos-{number}"},
            ) as answer:
                body = await answer.json()
        except (aiohttp.ClientError, OSError, ValueError):
            return False
        if answer.status == 202:
            self.accepted[number] = Accepted(body["id"], time.time())
            return True
        if answer.status in (429, 500, 502, 503):
            return False
        self.conflicts.append(f"{number}: {answer.status} {body.get('detail')}")
        return True
