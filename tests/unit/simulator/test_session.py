"""A session under back-pressure, and what it writes together."""

from __future__ import annotations

import asyncio
import struct

from hypothesis import given
from hypothesis import strategies as st

from hermes.simulator.centre import MessageCentre
from hermes.simulator.fault import FAULTS, NAMES, Dribble, Inject, Stall, Standing
from hermes.simulator.journal import Journal
from hermes.simulator.mo import Mo, mo_deliveries
from hermes.simulator.profile import Profile
from hermes.simulator.session import Session
from hermes.simulator.state import State
from hermes.smpp.command import CommandId
from hermes.smpp.data_coding import Alphabet
from hermes.smpp.decode import decode
from hermes.smpp.encode import encode, encode_header_only, encode_submit_sm
from hermes.smpp.frame import FrameReader
from hermes.smpp.pdu import Pdu, SubmitSm
from hermes.smpp.tlv import Tlv

BIND = Pdu(
    CommandId.bind_transceiver,
    0,
    1,
    {
        "system_id": "a",
        "password": "",
        "system_type": "",
        "interface_version": 0x34,
        "addr_ton": 0,
        "addr_npi": 0,
        "address_range": "",
    },
)


class RecordingTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.writes: list[bytes] = []
        self.reading: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to reset."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading.append("paused")

    def resume_reading(self) -> None:
        self.reading.append("resumed")

    def frames(self) -> list[bytes]:
        return FrameReader().feed(b"".join(self.writes))


def connected() -> tuple[MessageCentre, Session, RecordingTransport]:
    loop = asyncio.get_running_loop()
    state = State(
        Profile(init_timeout_ms=0),
        Journal(None, 10, lambda: None),
        loop.time,
        lambda: 0.0,
        1,
    )
    centre = MessageCentre(state, loop)
    session, transport = centre.new_session(), RecordingTransport()
    session.connection_made(transport)
    session.data_received(encode(BIND))
    return centre, session, transport


def owe(centre: MessageCentre, number: int) -> None:
    mo = Mo(source="1", destination="2", text="x")
    centre.owe("a", mo_deliveries(mo, number, Alphabet.GSM7))


async def test_an_esme_that_does_not_read_is_not_read_from_and_gets_no_more_receipts() -> None:
    centre, session, transport = connected()
    await asyncio.sleep(0)
    session.pause_writing()
    assert transport.reading == ["paused"]
    for number in range(5):
        owe(centre, number)
    await asyncio.sleep(0)
    assert len(transport.frames()) == 1  # the bind_resp
    session.resume_writing()
    assert transport.reading == ["paused", "resumed"]
    await asyncio.sleep(0)
    assert len(transport.frames()) == 6


async def test_the_pdus_of_one_turn_of_the_loop_are_one_write() -> None:
    _, session, transport = connected()
    enquiries = [encode_header_only(CommandId.enquire_link, 0, n) for n in range(2, 12)]
    session.data_received(b"".join(enquiries))
    assert transport.writes == []
    await asyncio.sleep(0)
    assert len(transport.writes) == 1
    assert len(transport.frames()) == 11


async def test_sequence_numbers_begin_again_after_the_highest() -> None:
    _, session, _ = connected()
    session._sequence = 0x7FFF_FFFE
    assert [session.next_sequence() for _ in range(3)] == [0x7FFF_FFFF, 1, 2]


async def test_a_stall_and_back_pressure_each_stop_the_reading_until_both_are_over() -> None:
    centre, session, transport = connected()
    centre.faults.start(Stall())
    session.pause_writing()
    session.resume_writing()
    assert transport.reading == ["paused", "paused", "paused"]
    centre.faults.lift("stall")
    assert transport.reading[3:] == ["resumed"]


async def test_under_dribble_every_piece_is_a_write_of_its_own() -> None:
    centre, session, transport = connected()
    await asyncio.sleep(0)
    transport.writes.clear()
    centre.faults.start(Dribble(octets=6))
    session.data_received(encode_header_only(CommandId.enquire_link, 0, 2))
    await asyncio.sleep(0)
    assert [len(octets) for octets in transport.writes] == [6, 6, 4]
    assert len(transport.frames()) == 1


TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=20)
OCTETS = st.integers(0, 255)
SUBMITS = st.builds(
    SubmitSm,
    source_addr=TEXTS,
    destination_addr=TEXTS,
    short_message=st.binary(max_size=254),
    source_addr_ton=OCTETS,
    esm_class=OCTETS,
    registered_delivery=OCTETS,
    data_coding=OCTETS,
    tlvs=st.lists(st.builds(Tlv, st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=3).map(
        tuple
    ),
).map(lambda sm: encode_submit_sm(sm, 5))
FRAMES = st.tuples(
    st.sampled_from(CommandId) | st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
    st.binary(max_size=40),
).map(lambda head: struct.pack(">IIII", 16 + len(head[3]), *head[:3]) + head[3])


@given(st.lists(SUBMITS | FRAMES | st.binary(max_size=30), max_size=12))
def test_nothing_an_esme_sends_raises_here(pieces: list[bytes]) -> None:
    async def send() -> None:
        centre, session, transport = connected()
        centre.change(Profile(init_timeout_ms=0, receipt_delay_ms=0))
        for piece in pieces:
            session.data_received(piece)
        await asyncio.sleep(0.001)
        for frame in transport.frames():
            decode(frame)
        centre.close()

    asyncio.run(send())


STANDING = [kind for kind in FAULTS.values() if issubclass(kind, Standing)]


@given(
    st.lists(SUBMITS | FRAMES | st.binary(max_size=30), max_size=12),
    st.lists(st.sampled_from(STANDING), max_size=6, unique=True),
)
def test_no_fault_makes_it_raise_whatever_an_esme_sends(
    pieces: list[bytes], kinds: list[type[Standing]]
) -> None:
    async def send() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: raised.append(context)
        )
        centre, session, _ = connected()
        centre.change(Profile(init_timeout_ms=0, receipt_delay_ms=0, frames=True, enquire_ms=1))
        for kind in kinds:
            after = Inject(hex="00", after=1, instead=True)
            centre.faults.start(after if kind is Inject else kind())
        for piece in pieces:
            session.data_received(piece)
        await asyncio.sleep(0.003)
        for kind in kinds:
            centre.faults.lift(NAMES[kind])
        await asyncio.sleep(0)
        centre.close()

    raised: list[dict[str, object]] = []
    asyncio.run(send())
    assert raised == []
