"""The native engine gathers the writes of a turn, and holds them while its transport is full."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import chain

import pytest

from hermes.adapters.link_accounts import Accounts
from hermes.adapters.link_native_life import Ears, Life
from hermes.ports.link import LinkEvent, LinkSettings, SubmitResult, Unbound
from hermes.smpp.command import CommandId, response_to
from hermes.smpp.decode import decode
from hermes.smpp.encode import encode_header_only
from hermes.smpp.frame import FrameReader
from hermes.smpp.session import encode_deliver_resp
from tests.contract.link_client import submit_pdu


class Transport(asyncio.Transport):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False
        self.full_after: int | None = None
        self.life: Life

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        if self.full_after is not None and len(self.writes) >= self.full_after:
            self.life.pause_writing()

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def sequences(self) -> list[list[int]]:
        """The sequence numbers of each write."""
        return [[decode(f).sequence_number for f in FrameReader().feed(w)] for w in self.writes]

    def sequence(self) -> list[int]:
        """The sequence numbers of all writes."""
        return list(chain.from_iterable(self.sequences()))


class World:
    """A life that is bound, on a transport that remembers."""

    def __init__(self, window: int) -> None:
        self.events: list[LinkEvent] = []
        self.futures: list[asyncio.Future[SubmitResult]] = []
        settings = LinkSettings("", 0, "esme", window=window)
        self.accounts = Accounts(window, 60.0, self.events.append)
        ears = Ears(lambda _: self.accounts.open(), lambda _: None, self.events.append)
        self.life = Life(settings, 1, self.accounts, ears)
        self.transport = Transport()
        self.transport.life = self.life
        self.life.connection_made(self.transport)
        answer = response_to(CommandId.bind_transceiver)
        self.life.data_received(encode_header_only(answer, 0, 1))

    def submit(self, octets: int = 0) -> None:
        """Submit as the link does."""
        self.futures.append(self.accounts.submit(submit_pdu(payload=bytes(octets))))
        self.life.flush_soon()

    def outcomes(self) -> list[str]:
        """How each submit failed."""
        return [type(future.exception()).__name__ for future in self.futures]


@pytest.fixture
async def world() -> World:
    made = World(window=1_000)
    await asyncio.sleep(0)
    made.transport.writes.clear()
    return made


async def test_what_one_turn_writes_leaves_in_one_write_answers_first(world: World) -> None:
    for _ in range(10):
        world.submit()
    for sequence in (71, 72):
        world.life.send(encode_deliver_resp(CommandId.deliver_sm, 0, sequence))
    assert world.transport.writes == []
    await asyncio.sleep(0)
    assert world.transport.sequences() == [[71, 72, *range(2, 12)]]
    await asyncio.sleep(0)
    assert len(world.transport.writes) == 1


async def test_a_write_is_no_longer_than_64_kib_and_one_pdu(world: World) -> None:
    for _ in range(30):
        world.submit(8_000)
    await asyncio.sleep(0)
    sizes = [len(write) for write in world.transport.writes]
    assert len(sizes) == 4
    assert max(sizes) <= 65_536 + 8_200
    assert world.transport.sequence() == list(range(2, 32))


async def test_nothing_is_written_while_the_transport_is_full(world: World) -> None:
    world.transport.full_after = 1
    for _ in range(30):
        world.submit(8_000)
    await asyncio.sleep(0)
    assert len(world.transport.writes) == 1
    assert world.accounts.credit == 970, "what is held keeps its slot"
    world.life.data_received(encode_header_only(CommandId.enquire_link, 0, 71))
    await asyncio.sleep(0)
    assert len(world.transport.writes) == 1
    world.transport.full_after = None
    world.life.resume_writing()
    await asyncio.sleep(0)
    first, second, *_ = world.transport.sequences()
    assert second[0] == 71
    assert world.transport.sequence() == [*first, 71, *range(first[-1] + 1, 32)]
    world.life.end("cancelled")
    assert set(world.outcomes()) == {"Lost"}


async def test_a_link_that_ends_while_full_hands_back_what_was_not_written(world: World) -> None:
    world.transport.full_after = 1
    for _ in range(30):
        world.submit(8_000)
    await asyncio.sleep(0)
    world.life.end("cancelled")
    assert world.outcomes() == ["Lost"] * 9 + ["NotSent"] * 21
    assert world.events[-1] == Unbound("cancelled")


async def test_a_carrier_that_asks_without_end_and_reads_nothing_is_left(world: World) -> None:
    world.life.pause_writing()
    asked = encode_header_only(CommandId.enquire_link, 0, 1) * 8_192
    for _ in range(9):
        world.life.data_received(asked)
    await asyncio.sleep(0)
    (end,) = world.events
    assert isinstance(end, Unbound)
    assert end.reason.startswith("the carrier reads nothing, 1048592 octets")
    assert world.life.ended.is_set()


async def test_a_connection_that_comes_after_the_end_is_closed(world: World) -> None:
    world.life.end("cancelled")
    late = Transport()
    world.life.connection_made(late)
    assert late.is_aborted
    assert late.writes == []


def test_the_other_engine_is_not_loaded_for_a_native_bind() -> None:
    program = """
import sys
import actors.bind_consumer
from hermes.adapters.links import link_of
from hermes.ports.link import LinkSettings
link_of("native", LinkSettings("127.0.0.1", 1, "esme"), print, print)
assert "aiosmpplib" not in sys.modules
link_of("aiosmpplib", LinkSettings("127.0.0.1", 1, "esme"), print, print)
assert "aiosmpplib" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
