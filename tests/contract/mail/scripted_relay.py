"""A mail relay that does exactly what a test says, one script for each connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

DEADLINE = 10.0
HELLO = "250-relay.example\r\n250-PIPELINING\r\n250 DSN\r\n"


@dataclass
class Conversation:
    """One connection, from the relay's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    lines: list[str] = field(default_factory=list)

    async def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")
        await self.writer.drain()

    async def line(self) -> str:
        octets = await asyncio.wait_for(self.reader.readline(), DEADLINE)
        if not octets:
            raise ConnectionResetError("the client left")
        text = octets.decode().rstrip("\r\n")
        self.lines.append(text)
        return text

    async def expect(self, verb: str) -> str:
        found = await self.line()
        assert found.upper().startswith(verb), f"{found!r} is no {verb}"
        return found

    async def hello(self, offers: str = HELLO) -> None:
        await self.say("220 relay.example")
        await self.expect("EHLO")
        self.writer.write(offers.encode())
        await self.writer.drain()

    async def envelope(self) -> None:
        """Take MAIL, RCPT and DATA."""
        await self.expect("MAIL FROM:")
        await self.expect("RCPT TO:")
        await self.expect("DATA")

    async def content(self) -> list[str]:
        lines: list[str] = []
        while (found := await self.line()) != ".":
            lines.append(found)
        return lines

    async def closed(self) -> None:
        """Read on until the client is gone."""
        with suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), DEADLINE):
                pass


Script = Callable[[Conversation], Awaitable[None]]


@asynccontextmanager
async def relay(
    scripts: Script | Sequence[Script], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Listen; each connection plays the next script, the last one again and again.

    A script that ends closes its connection; what one raises is raised here.
    """
    played = [scripts] if callable(scripts) else list(scripts)
    tasks: list[asyncio.Task[None]] = []
    faults: list[BaseException] = []
    count = 0

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        script = played[min(count, len(played) - 1)]
        count += 1
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await script(Conversation(reader, writer, count))
        except (AssertionError, TimeoutError) as error:
            faults.append(error)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
    if faults:
        raise faults[0]
