"""A scripted SMSC on a raw loopback socket: each test says what it answers, octet by octet."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from hermes.smpp.command import CommandId, response_to
from hermes.smpp.decode import decode
from hermes.smpp.encode import encode
from hermes.smpp.frame import FrameReader
from hermes.smpp.pdu import Pdu

DEADLINE = 5.0


class Conversation:
    """The SMSC's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.deadline = DEADLINE
        self._reader, self._writer = reader, writer
        self._frames = FrameReader()
        self._waiting: list[bytes] = []

    @property
    def transport(self) -> asyncio.WriteTransport:
        """The SMSC's end, for its buffers."""
        return self._writer.transport

    async def read(self) -> Pdu:
        """The next PDU; EOFError when the ESME closed."""
        while not self._waiting:
            data = await asyncio.wait_for(self._reader.read(65_536), self.deadline)
            if not data:
                raise EOFError
            self._waiting += self._frames.feed(data)
        return decode(self._waiting.pop(0))

    async def expect(self, command: CommandId) -> Pdu:
        """The next PDU, which has to be this command."""
        pdu = await self.read()
        assert pdu.command == command.name, pdu
        return pdu

    async def send(self, *pdus: Pdu | bytes) -> None:
        """Write PDUs and raw octets in one piece."""
        self._writer.write(b"".join(p if isinstance(p, bytes) else encode(p) for p in pdus))
        await self._writer.drain()

    async def answer(self, request: Pdu, status: int = 0, **fields: Any) -> None:
        """Answer a request with its own sequence."""
        await self.send(answer_to(request, status, **fields))

    async def bind(self) -> Pdu:
        """Accept the bind; it is returned."""
        request = await self.read()
        assert request.command.startswith("bind_"), request
        await self.answer(request, system_id="SCRIPT")
        return request

    async def closed(self) -> None:
        """Wait until the ESME closed, whatever it still sends."""
        try:
            while True:
                await self.read()
        except (EOFError, ConnectionError):
            return

    def close(self) -> None:
        """Close in the ordinary way."""
        self._writer.close()

    def reset(self) -> None:
        """Close with RST."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script: TypeAlias = Callable[[Conversation], Awaitable[None]]


def answer_to(request: Pdu, status: int = 0, **fields: Any) -> Pdu:
    """The response to a request."""
    return Pdu(response_to(request.command_id), status, request.sequence_number, fields)


def deliver_sm(sequence: int, text: bytes, esm_class: int = 4) -> Pdu:
    """A deliver_sm, by default a receipt."""
    return Pdu(
        CommandId.deliver_sm,
        0,
        sequence,
        {
            "service_type": "",
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": "447700900123",
            "dest_addr_ton": 5,
            "dest_addr_npi": 0,
            "destination_addr": "HERMES",
            "esm_class": esm_class,
            "protocol_id": 0,
            "priority_flag": 0,
            "schedule_delivery_time": "",
            "validity_period": "",
            "registered_delivery": 0,
            "replace_if_present_flag": 0,
            "data_coding": 0,
            "sm_default_msg_id": 0,
            "short_message": text,
        },
    )


async def accept_all(talk: Conversation) -> None:
    """Accept every submit at once, answer everything else."""
    await talk.bind()
    number = 0
    while True:
        pdu = await talk.read()
        if pdu.command == "submit_sm":
            number += 1
            await talk.answer(pdu, message_id=str(number))
        elif not pdu.is_response:
            await talk.answer(pdu)


@asynccontextmanager
async def smsc(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve the script to every connection; gives the port. A failed script fails the test."""
    tasks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(Conversation(reader, writer))
        finally:
            writer.close()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(talk(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, EOFError | ConnectionError):
            raise error
