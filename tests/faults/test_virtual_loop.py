"""The virtual loop keeps time and order, and its connections do what sockets do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from time import perf_counter

import pytest

from tests.faults.memory_transport import MemoryTransport
from tests.faults.virtual_loop import START, Stuck, VirtualLoop

pytestmark = pytest.mark.only_virtual("it is the virtual loop that is tested")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Scene = Callable[[Streams, Streams], Awaitable[object]]


async def test_an_hour_of_timers_takes_no_time_and_keeps_their_order() -> None:
    loop, began = asyncio.get_running_loop(), perf_counter()
    rang: list[int] = []
    at: list[float] = []
    for second in range(3_600, 0, -1):
        loop.call_later(second, rang.append, second)
        loop.call_later(second, lambda: at.append(loop.time()))
    await asyncio.sleep(3_600.0)
    assert rang == list(range(1, 3_601))
    assert at == pytest.approx([START + second for second in rang])
    assert perf_counter() - began < 5.0


async def test_time_stands_still_while_something_can_run() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert loop.time() == START


def test_a_wait_for_nothing_is_an_error_and_no_hang() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(Stuck):
        runner.run(wait_for_ever())


def test_a_clock_that_runs_away_is_an_error_and_no_hang() -> None:
    async def wait_for_ever() -> None:
        while True:
            await asyncio.sleep(3_600.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(Stuck):
        runner.run(wait_for_ever())


async def read(reader: asyncio.StreamReader) -> tuple[int, str]:
    """How many octets come, and how it ends."""
    count = 0
    try:
        while data := await reader.read(65_536):
            count += len(data)
    except ConnectionError as error:
        return count, type(error).__name__
    return count, "eof"


def linger(writer: asyncio.StreamWriter) -> None:
    """Make the close a reset."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def close_in_order(near: Streams, far: Streams) -> object:
    near[1].write(bytes(1_000_000))
    near[1].close()
    return await read(far[0]), await read(near[0])


async def reset_by_linger(near: Streams, far: Streams) -> object:
    near[1].write(b"abc")
    await asyncio.sleep(0.05)
    linger(near[1])
    near[1].transport.abort()
    return await read(far[0])


async def abort_after_reading_all(near: Streams, far: Streams) -> object:
    far[1].write(b"abc")
    await near[0].readexactly(3)
    near[1].transport.abort()
    return await read(far[0]), await read(near[0])


async def close_half(near: Streams, far: Streams) -> object:
    near[1].write(b"question")
    near[1].write_eof()
    question = await read(far[0])
    far[1].write(b"the answer")
    far[1].close()
    return question, await read(near[0])


async def write_to_the_gone(near: Streams, far: Streams) -> object:
    near[1].close()
    end = await read(far[0])
    try:
        for _ in range(20):
            far[1].write(b"anybody?")
            await far[1].drain()
            await asyncio.sleep(0.01)
    except ConnectionError as error:
        return end, isinstance(error, ConnectionResetError | BrokenPipeError)
    return end, "nothing was noticed"


async def press(near: Streams, far: Streams) -> object:
    """A writer waits for a reader that pauses, and loses nothing."""
    far[1].transport.pause_reading()  # type: ignore[attr-defined]  # it reads, too
    near[1].write(bytes(20_000_000))
    drained = asyncio.create_task(near[1].drain())
    await asyncio.sleep(0.1)
    was_held = not drained.done()
    near[1].close()
    far[1].transport.resume_reading()  # type: ignore[attr-defined]  # it reads, too
    count = await read(far[0])
    await drained
    return was_held, count


async def abort_under_pressure(near: Streams, far: Streams) -> object:
    far[1].transport.pause_reading()  # type: ignore[attr-defined]  # it reads, too
    near[1].write(bytes(20_000_000))
    await asyncio.sleep(0.1)
    near[1].transport.abort()
    await asyncio.sleep(0.1)
    far[1].transport.resume_reading()  # type: ignore[attr-defined]  # it reads, too
    count, how = await read(far[0])
    return 0 < count < 20_000_000, how


SCENES: list[Scene] = [
    close_in_order,
    reset_by_linger,
    abort_after_reading_all,
    close_half,
    write_to_the_gone,
    press,
    abort_under_pressure,
]


async def play(scene: Scene) -> object:
    """Play a scene between the two ends of a fresh connection."""
    accepted: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda *far: accepted.set_result(far), "127.0.0.1", 0)
    near = await asyncio.open_connection(*server.sockets[0].getsockname())
    far = await accepted
    server.close()
    try:
        return await asyncio.wait_for(scene(near, far), 10.0)
    finally:
        for _, writer in (near, far):
            if not writer.is_closing():
                writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("scene", SCENES)
def test_a_connection_in_memory_ends_like_one_of_the_kernel(scene: Scene) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as real:
        expected = real.run(play(scene))
    with asyncio.Runner(loop_factory=VirtualLoop) as virtual:
        assert virtual.run(play(scene)) == expected


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, VirtualLoop])
def test_nobody_listening_refuses(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def connect() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(connect())


async def test_a_segment_bounds_what_is_read_at_once() -> None:
    sizes: list[int] = []

    class Sizes(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            sizes.append(len(data))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sizes, "carrier", 2775)
    transport, _ = await loop.create_connection(asyncio.Protocol, "carrier", 2775)
    assert isinstance(transport, MemoryTransport)
    transport.segment = 3
    transport.write(b"12345678")
    await asyncio.sleep(1.0)
    assert sizes == [3, 3, 2]
    transport.close()
    server.close()


async def test_a_buffered_protocol_gets_the_same_octets() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(5)
            self.got = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.got += self.buffer[:nbytes]

    loop, protocol = asyncio.get_running_loop(), Buffered()
    server = await loop.create_server(lambda: protocol, "carrier", 2775)
    transport, _ = await loop.create_connection(asyncio.Protocol, "carrier", 2775)
    assert isinstance(transport, MemoryTransport)
    transport.write(b"twelve octets")
    await asyncio.sleep(1.0)
    assert protocol.got == b"twelve octets"
    transport.close()
    server.close()
