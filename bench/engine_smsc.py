"""The cheapest SMSC there is, a process of its own: `python -m bench.engine_smsc --latency-ms 5`.

It reads no more of a PDU than its header, and answers all PDUs of one read with one write, so that
it never is what limits an engine. The port it listens on is its one line of output.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
from typing import cast

import uvloop

from hermes.smpp.command import RESPONSE_BIT, CommandId, response_to

HEAD = struct.Struct(">IIII")
BINDS = (CommandId.bind_receiver, CommandId.bind_transmitter, CommandId.bind_transceiver)
MESSAGE_ID = b"0123456789abcdef\0"
SYSTEM_ID = b"BENCH\0"


class Session(asyncio.Protocol):
    """One bind: every request is accepted `latency` seconds after it came."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the bind."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are whole."""
        data = self.rest + data
        answers: list[bytes] = []
        at, end = 0, len(data)
        while end - at >= HEAD.size:
            length, command, _, sequence = HEAD.unpack_from(data, at)
            if end - at < length:
                break
            at += length
            if command == CommandId.submit_sm:
                body = MESSAGE_ID
            elif command & RESPONSE_BIT:
                continue
            else:
                body = SYSTEM_ID if command in BINDS else b""
            answers.append(HEAD.pack(16 + len(body), response_to(command), 0, sequence) + body)
        self.rest = data[at:]
        if self.latency:
            self.loop.call_later(self.latency, self.transport.write, b"".join(answers))
        else:
            self.transport.write(b"".join(answers))


async def serve(latency: float) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="bench.engine_smsc")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    uvloop.run(serve(parser.parse_args().latency_ms / 1000))


if __name__ == "__main__":
    main()
