"""One TCP connection of an ESME: frames in, PDUs out, and the bind state (SMPP 3.4, 2.2)."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import StrEnum
from typing import Final, Protocol, assert_never

from hermes.simulator.fault import Ending, Silence
from hermes.smpp.command import CommandId, is_response, response_to
from hermes.smpp.decode import decode, decode_header
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.frame import FrameError, FrameReader
from hermes.smpp.pdu import Pdu, PduError
from hermes.smpp.status import CommandStatus
from hermes.smpp.tlv import Tlv, TlvTag

UNBIND_WAIT_S: Final = 2.0
MAX_SEQUENCE: Final = 0x7FFF_FFFF
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class Way(StrEnum):
    """Which way a frame goes, seen from here."""

    received = "in"
    sent = "out"


class Mode(StrEnum):
    """The bind types."""

    transmitter = "tx"
    receiver = "rx"
    transceiver = "trx"


MODES: Final[dict[int, Mode]] = {
    CommandId.bind_transmitter: Mode.transmitter,
    CommandId.bind_receiver: Mode.receiver,
    CommandId.bind_transceiver: Mode.transceiver,
}


class Centre(Protocol):
    """What a session tells the message centre."""

    def opened(self, session: Session) -> None: ...
    def on_bind(self, session: Session, pdu: Pdu, mode: Mode) -> None: ...
    def on_submit(self, session: Session, pdu: Pdu) -> None: ...
    def on_answer(self, session: Session, sequence: int, status: int) -> None: ...
    def on_writable(self, session: Session) -> None: ...
    def on_enquire_link(self, session: Session) -> None: ...
    def on_enquire_answer(self, session: Session, sequence: int) -> None: ...
    def on_octets(self, session: Session, way: Way, octets: bytes) -> None: ...
    def on_problem(self, session: Session, problem: str, *, nacked: bool) -> None: ...
    def ended(self, session: Session, reason: str) -> None: ...
    def swallows(self, session: Session, what: Silence) -> bool: ...
    def piece(self, session: Session) -> int: ...


class Session(asyncio.Protocol):
    """A connection; `mode` is None until it is bound. Writes of one loop turn go out together."""

    def __init__(self, number: int, centre: Centre, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.system_id = ""
        self.mode: Mode | None = None
        self.peer = ""
        self.in_flight = 0
        self.max_in_flight = 0
        self.submit_count = 0
        self.enquire_link_count = 0
        self.asked: int | None = None
        self.is_open = True
        self._centre = centre
        self._loop = loop
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._sequence = 0
        self._blocked = False
        self._stalled = False
        self._unbinding = False

    @property
    def can_transmit(self) -> bool:
        """Whether the ESME may submit here."""
        return self.mode in (Mode.transmitter, Mode.transceiver) and not self._unbinding

    @property
    def can_receive(self) -> bool:
        """Whether the bind type takes deliver_sm."""
        return self.mode in (Mode.receiver, Mode.transceiver)

    @property
    def is_writable(self) -> bool:
        """Whether a deliver_sm can go out now."""
        return self.is_open and not self._blocked and not self._unbinding

    def next_sequence(self) -> int:
        """The next sequence number of our own requests."""
        self._sequence = self._sequence % MAX_SEQUENCE + 1
        return self._sequence

    def send(self, octets: bytes) -> None:
        """Write with whatever else this loop turn has to write."""
        if not self.is_open:
            return
        self._centre.on_octets(self, Way.sent, octets)
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(octets)

    def enquire(self) -> int:
        """Send an enquire_link; returns its sequence number."""
        sequence = self.next_sequence()
        self.send(encode_header_only(CommandId.enquire_link, 0, sequence))
        return sequence

    def stall(self, *, on: bool) -> None:
        """Read nothing more from the ESME, or go on."""
        if on != self._stalled:
            self._stalled = on
            self._read_or_not()

    def respond(self, pdu: Pdu, status: int, fields: dict[str, object] | None = None) -> None:
        """Answer a request; without `fields` the response has no body."""
        command_id = response_to(pdu.command_id)
        self.send(encode(Pdu(command_id, status, pdu.sequence_number, fields or {})))

    def bound(self, pdu: Pdu, mode: Mode, smsc: str) -> None:
        """Answer a bind with success."""
        self.mode = mode
        tlvs = (Tlv.integer(TlvTag.sc_interface_version, 0x34),)
        command_id = response_to(pdu.command_id)
        self.send(encode(Pdu(command_id, 0, pdu.sequence_number, {"system_id": smsc}, tlvs)))

    def end(self, how: Ending, reason: str) -> None:
        """End the session from this side."""
        if not self.is_open or self._transport is None:
            return
        match how:
            case Ending.unbind if not self._unbinding:
                self.send(encode_header_only(CommandId.unbind, 0, self.next_sequence()))
                self._unbinding = True
                self._loop.call_later(UNBIND_WAIT_S, self.end, Ending.rst, "unbind unanswered")
                return
            case Ending.unbind:
                return
            case Ending.fin:
                self._flush()
                self._transport.close()
            case Ending.rst:
                self._reset()
            case _:
                assert_never(how)
        self._ended(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername", ("", 0))[:2]
        self.peer = f"{host}:{port}"
        self._centre.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames, fault = self._reader.feed(data), None
        except FrameError as error:
            frames, fault = error.frames, error
        for frame in frames:
            if not self.is_open:
                return
            self._on_frame(frame)
        if fault is not None and self.is_open:
            self._centre.on_problem(self, str(fault), nacked=False)
            self.end(Ending.rst, "bad frame")

    def eof_received(self) -> None:
        self._ended("closed by the ESME")

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended("closed by the ESME" if exc is None else f"lost: {exc}")

    def pause_writing(self) -> None:
        # an ESME that does not read gets no more work done either, else answers pile up here
        self._blocked = True
        self._read_or_not()

    def resume_writing(self) -> None:
        self._blocked = False
        self._read_or_not()
        if self.is_open:
            self._centre.on_writable(self)

    def _read_or_not(self) -> None:
        if not self.is_open or self._transport is None:
            return
        if self._blocked or self._stalled:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _on_frame(self, frame: bytes) -> None:
        self._centre.on_octets(self, Way.received, frame)
        _, command_id, status, sequence = decode_header(frame)
        if command_id == CommandId.submit_sm or command_id in MODES:
            self._on_request(frame, sequence)
            return
        if self._centre.swallows(self, Silence.all):
            return
        match command_id:
            case CommandId.deliver_sm_resp | CommandId.data_sm_resp:
                self._centre.on_answer(self, sequence, status)
            case CommandId.generic_nack:
                self._centre.on_answer(self, sequence, status or CommandStatus.ESME_RINVCMDID)
            case CommandId.enquire_link:
                self._centre.on_enquire_link(self)
                if not self._centre.swallows(self, Silence.enquire_links):
                    self.send(encode_header_only(CommandId.enquire_link_resp, 0, sequence))
            case CommandId.enquire_link_resp:
                self._centre.on_enquire_answer(self, sequence)
            case CommandId.unbind:
                self.send(encode_header_only(CommandId.unbind_resp, 0, sequence))
                self.end(Ending.fin, "unbind by the ESME")
            case CommandId.unbind_resp if self._unbinding:
                self.end(Ending.fin, "unbind")
            case _ if is_response(command_id):
                self._centre.on_problem(self, f"response 0x{command_id:08x}", nacked=False)
            case _:
                self._nack(CommandStatus.ESME_RINVCMDID, sequence, f"command 0x{command_id:08x}")

    def _on_request(self, frame: bytes, sequence: int) -> None:
        try:
            pdu = decode(frame)
        except PduError as error:
            if not self._centre.swallows(self, Silence.submits):
                self._nack(CommandStatus.ESME_RINVCMDLEN, sequence, str(error))
            return
        mode = MODES.get(pdu.command_id)
        if mode is None:
            self._centre.on_submit(self, pdu)
        elif self.mode is not None:
            self.respond(pdu, CommandStatus.ESME_RALYBND)
        else:
            self._centre.on_bind(self, pdu, mode)

    def _nack(self, status: int, sequence: int, problem: str) -> None:
        self.send(encode_header_only(CommandId.generic_nack, status, sequence))
        self._centre.on_problem(self, problem, nacked=True)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            octets = b"".join(self._out)
            step = self._centre.piece(self) or len(octets)
            for start in range(0, len(octets), step):
                self._transport.write(octets[start : start + step])
        self._out.clear()

    def _reset(self) -> None:
        assert self._transport is not None
        wire = self._transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._flush()
        self._transport.abort()

    def _ended(self, reason: str) -> None:
        if self.is_open:
            self.is_open = False
            self._centre.ended(self, reason)
