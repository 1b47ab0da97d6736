"""A cheap HTTP/1.1 load client, run as a process of its own: `python -m bench.load_client`.

Closed loop: each keep-alive connection posts its next message when the last one is answered. With
a rate, open loop: message n is due at `began` + n / rate, whatever became of the others. The client
writes raw requests and reads no more of an answer than status and length, because a client that
costs more than the server measures itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import msgspec
import uvloop

KEY_VARIABLE = "BENCH_API_KEY"
BUSY = (429, 503)
FIRST_NUMBER = 457000000000
TEXT = "Your code is 493021. It is valid for ten minutes."
LENGTH = b"content-length:"


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the client saw; times are seconds, `began` and `ended` since 1970, latencies in ms.

    `refused` counts answers 429 and 503, after which the message was posted again.
    """

    accepted: int
    refused: int
    failed: dict[str, int]
    began: float
    ended: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Accepted messages per second."""
        return self.accepted / max(self.ended - self.began, 1e-9)


class Load:
    """The shared state of all connections."""

    def __init__(self, head: bytes, count: int, batch: int, rate: float, body: Body) -> None:
        self.head, self.batch, self.rate, self.body = head, batch, rate, body
        self.idle: list[Connection] = []
        self.numbers: Iterator[int] = iter(range(count // batch))
        self.left = count // batch
        self.latencies: list[float] = []
        self.refused = 0
        self.failed: dict[str, int] = {}
        self.open = 0
        self.done = asyncio.Event()

    def free(self, connection: Connection) -> None:
        """A connection has its answer."""
        if self.rate:
            self.idle.append(connection)
        else:
            connection.post_next()

    async def pace(self) -> None:
        """Post each message on an idle connection as soon after it is due as there is one."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(self.left):
            await asyncio.sleep(max(0.0, began + number / self.rate - loop.time()))
            while not self.idle:
                await asyncio.sleep(0.001)
            self.idle.pop().post_next()

    def settle(self, failure: str = "") -> None:
        """A message is through, or failed for good."""
        if failure:
            self.failed[failure] = self.failed.get(failure, 0) + 1
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.transport: asyncio.Transport
        self.request = b""
        self.began = 0.0
        self.buffer = b""
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for `post_next`."""
        self.transport = cast("asyncio.Transport", transport)
        self.load.open += 1

    def post_next(self) -> None:
        """Post the next message, if one is left."""
        number = next(self.load.numbers, None)
        if number is not None:
            self.request = self.load.head + request_body(number, self.load.batch, self.load.body)
            self.post()

    def post(self) -> None:
        """Write the request."""
        self.waits = True
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Read an answer once all of it is there."""
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(LENGTH)
        length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = self.buffer[end + 4 + length :]
        self.waits = False
        self.on_answer(int(head[9:12]), head)

    def on_answer(self, status: int, head: bytes) -> None:
        """Go on with the next message, or with the same one when told to wait."""
        if status == 202:
            self.load.latencies.append(time.perf_counter() - self.began)
            self.load.settle()
        elif status in BUSY:
            self.load.refused += 1
            asyncio.get_running_loop().call_later(retry_after(head), self.post)
            return
        else:
            self.load.settle(f"HTTP {status}")
        self.load.free(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """What is unanswered failed; the other connections post the rest while there are any."""
        if self.waits:
            self.load.settle("connection lost")
        self.load.open -= 1
        for _ in self.load.numbers if self.load.open == 0 else ():
            self.load.settle("not posted")


def body_of(number: int) -> bytes:
    """Give a body of constant length; every message has a destination of its own."""
    return b'{"to":"+%d0","text":"%b"}' % (FIRST_NUMBER + number, TEXT.encode())


def cascade_of(number: int) -> bytes:
    """Give a cascade whose first step comes back undelivered, and whose second is delivered."""
    return b'{"text":"%b","cascade":[{"channel":"sms","to":"+%d3","wait":60},%b]}' % (
        TEXT.encode(),
        FIRST_NUMBER + number,
        b'{"channel":"sms","to":"+%d0"}' % (FIRST_NUMBER + number),
    )


Body = Callable[[int], bytes]
BODIES: Mapping[str, Body] = {"message": body_of, "cascade": cascade_of}


def request_body(number: int, batch: int, body: Body = body_of) -> bytes:
    """Give the body of the `number`-th request: one message, or a batch of them."""
    if batch == 1:
        return body(number)
    messages = (body(number * batch + index) for index in range(batch))
    return b'{"messages":[%b]}' % b",".join(messages)


def destination_of(number: int) -> str:
    """Give the digits of a message's destination; the last one asks for a delivered receipt."""
    return f"{FIRST_NUMBER + number}0"


def number_at(destination: str) -> int:
    """Give the number of the message that went to a destination."""
    return int(destination) // 10 - FIRST_NUMBER


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the value that `share` of them, below 1, stay under; they are in order, and not none."""
    return ordered[int(len(ordered) * share)]


def retry_after(head: bytes) -> float:
    """Give the seconds to wait that an answer names, else 1."""
    at = head.find(b"retry-after:")
    words = head[at + 12 :].split(b"\r\n", 1)[0].split() if at >= 0 else []
    return float(words[0]) if words and words[0].isdigit() else 1.0


def head_of(host: str, port: int, key: str, batch: int, body: Body) -> bytes:
    """Give the head all requests share."""
    path, length = "/v1/messages", len(request_body(0, batch, body))
    if batch > 1:
        path += "/batch"
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def run(
    place: tuple[str, int], count: int, connections: int, batch: int, rate: float, body: Body
) -> LoadResult:
    """Post `count` messages over `connections` connections, `batch` in each request."""
    loop = asyncio.get_running_loop()
    host, port = place
    head = head_of(host, port, os.environ[KEY_VARIABLE], batch, body)
    load = Load(head, count, batch, rate, body)
    opened = [
        (await loop.create_connection(lambda: Connection(load), host, port))[1]
        for _ in range(connections)
    ]
    cpu = time.process_time()
    began = time.time()
    for connection in opened:
        load.free(connection)
    if rate:
        await load.pace()
    await load.done.wait()
    ended = time.time()
    cpu = time.process_time() - cpu
    for connection in opened:
        connection.transport.close()
    latencies = sorted(load.latencies) or [0.0]
    return LoadResult(
        accepted=len(load.latencies) * batch,
        refused=load.refused,
        failed=load.failed,
        began=began,
        ended=ended,
        p50_ms=1000 * percentile(latencies, 0.5),
        p99_ms=1000 * percentile(latencies, 0.99),
        max_ms=1000 * latencies[-1],
        cpu_s=cpu,
    )


def main() -> None:
    """Run one load and print its result as JSON; the API key comes from the environment."""
    parser = argparse.ArgumentParser(prog="bench.load_client")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--body", choices=[*BODIES], default="message")
    a = parser.parse_args()
    place, body = (a.host, a.port), BODIES[a.body]
    result = uvloop.run(run(place, a.count, a.connections, a.batch, a.rate, body))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
