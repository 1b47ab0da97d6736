"""A small ESME that drives the simulator, and a running simulator with its control API."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp

from hermes.simulator.profile import Profile
from hermes.simulator.server import Simulator
from hermes.smpp.command import CommandId, is_response, response_to
from hermes.smpp.decode import decode, decode_tolerant
from hermes.smpp.encode import encode, encode_header_only, encode_submit_sm
from hermes.smpp.frame import FrameReader
from hermes.smpp.pdu import Pdu, SubmitSm

DEADLINE_S = 5.0

Json: TypeAlias = dict[str, Any]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; the test fails after the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


class Esme:
    """One connection; receipts and MOs are answered with `answer` (None: not at all).

    What comes has to be right to the octet while `is_strict`. `octets` are all that came.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_strict = True
        self.answers_enquiries = True
        self.frames: list[bytes] = []
        self.octets = b""
        self.received: list[Pdu] = []
        self.delivered: list[Pdu] = []
        self.answer: Callable[[Pdu], int | None] = lambda _pdu: 0
        self.end: str | None = None
        self._reader, self._writer = reader, writer
        self._sequence = 0
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> Esme:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    @property
    def unsent(self) -> int:
        """Octets TCP does not take at present."""
        return self._writer.transport.get_write_buffer_size()

    def write(self, octets: bytes) -> None:
        self._writer.write(octets)

    def next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    async def response(self, sequence: int) -> Pdu:
        """The response with that sequence number."""
        found: list[Pdu] = []

        def is_there() -> bool:
            found.extend(
                pdu
                for pdu in self.received
                if is_response(pdu.command_id) and pdu.sequence_number == sequence
            )
            return bool(found)

        await eventually(is_there)
        return found[0]

    async def request(self, pdu: Pdu) -> Pdu:
        self.write(encode(pdu))
        return await self.response(pdu.sequence_number)

    async def bind(
        self, mode: str = "transceiver", system_id: str = "tester", password: str = "secret"
    ) -> Pdu:
        fields = {
            "system_id": system_id,
            "password": password,
            "system_type": "",
            "interface_version": 0x34,
            "addr_ton": 0,
            "addr_npi": 0,
            "address_range": "",
        }
        command = CommandId[f"bind_{mode}"]
        return await self.request(Pdu(command, 0, self.next_sequence(), fields))

    def submit(
        self,
        destination: str = "447700900120",
        text: bytes = b"hello",
        registered_delivery: int = 1,
        **more: Any,
    ) -> int:
        """Write a submit_sm and return its sequence number."""
        sequence = self.next_sequence()
        sm = SubmitSm(
            **{"source_addr": "Hermes", **more},
            destination_addr=destination,
            short_message=text,
            registered_delivery=registered_delivery,
        )
        self.write(encode_submit_sm(sm, sequence))
        return sequence

    async def submitted(self, destination: str = "447700900120", **options: Any) -> Pdu:
        return await self.response(self.submit(destination, **options))

    def deliver(self, index: int = 0) -> str:
        """The text of a delivered short message."""
        return self.delivered[index].octets("short_message").decode("latin-1")

    async def ended(self) -> str:
        """How the connection ended: "eof" or "reset"."""
        await eventually(lambda: self.end is not None)
        return self.end or ""

    async def close(self) -> None:
        self._writer.close()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self) -> None:
        frames = FrameReader()
        try:
            while data := await self._reader.read(65536):
                self.octets += data
                for frame in frames.feed(data):
                    self.frames.append(frame)
                    self._on_pdu(decode(frame) if self.is_strict else decode_tolerant(frame)[0])
            self.end = "eof"
        except (ConnectionError, ssl.SSLError):
            self.end = "reset"

    def _on_pdu(self, pdu: Pdu) -> None:
        self.received.append(pdu)
        if pdu.command_id == CommandId.enquire_link and self.answers_enquiries:
            self.write(encode_header_only(CommandId.enquire_link_resp, 0, pdu.sequence_number))
        if pdu.command_id not in (CommandId.deliver_sm, CommandId.data_sm):
            return
        self.delivered.append(pdu)
        status = self.answer(pdu)
        if status is not None:
            fields: dict[str, object] = {"message_id": ""}
            command_id = response_to(pdu.command_id)
            self.write(encode(Pdu(command_id, status, pdu.sequence_number, fields)))


class Bench:
    """A running simulator, its control API and the ESMEs of one test."""

    def __init__(self, simulator: Simulator, http: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self._http = http
        self.esmes: list[Esme] = []

    async def connect(self, tls: ssl.SSLContext | None = None) -> Esme:
        esme = await Esme.connect(self.simulator.port, tls)
        self.esmes.append(esme)
        return esme

    async def bound(self, mode: str = "transceiver", **options: Any) -> Esme:
        esme = await self.connect()
        response = await esme.bind(mode, **options)
        assert response.command_status == 0
        return esme

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Json]:
        url = f"http://127.0.0.1:{self.simulator.control_port}{path}"
        data = None if body is None else json.dumps(body).encode()
        async with self._http.request(method, url, data=data) as response:
            return response.status, await response.json()

    async def ask(self, method: str, path: str, body: object = None) -> Json:
        """A control request that must succeed."""
        status, answer = await self.call(method, path, body)
        assert status < 300, answer
        return answer

    async def set(self, **settings: object) -> None:
        await self.ask("PUT", "/settings", settings)

    async def fault(self, name: str, **parameters: object) -> None:
        await self.ask("POST", f"/faults/{name}", parameters)

    async def lift(self, name: str) -> None:
        await self.ask("DELETE", f"/faults/{name}")

    async def lines(self, event: str | None = None) -> list[Json]:
        answer = await self.ask("GET", "/log")
        assert answer["missed"] == 0
        return [line for line in answer["lines"] if event in (None, line["event"])]

    async def logged(self, event: str, count: int) -> list[Json]:
        """The lines of that kind, as soon as there are so many."""
        async with asyncio.timeout(DEADLINE_S):
            while len(lines := await self.lines(event)) < count:
                await asyncio.sleep(0.005)
        return lines

    async def account(self, system_id: str = "tester") -> Json:
        account: Json = (await self.ask("GET", "/stats"))["accounts"][system_id]
        return account

    async def until_account(self, **values: int) -> None:
        """Wait until the account of the tester shows these numbers."""
        async with asyncio.timeout(DEADLINE_S):
            while not values.items() <= (await self.account()).items():
                await asyncio.sleep(0.005)

    async def counters(self) -> Json:
        counters: Json = (await self.ask("GET", "/stats"))["counters"]
        return counters


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Bench]:
    """A simulator with free ports, no latency and fast receipts."""
    fast = {"port": 0, "receipt_delay_ms": 5, "retry_ms": 20, "first_id": 1000}
    simulator = Simulator(Profile(**{**fast, **settings}))
    await simulator.start()
    async with aiohttp.ClientSession() as http:
        bench = Bench(simulator, http)
        try:
            yield bench
        finally:
            for esme in bench.esmes:
                await esme.close()
            await simulator.stop()
