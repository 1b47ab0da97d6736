"""A Link on aiosmpplib 0.7.4: its sender, reader and numbering, with our codec and our accounts.

The library's own parsing, correlation, keep-alive and reconnection are never reached: every PDU
goes through `_inbound_*`, and both its handlers return None. Its private methods are overridden, so
the version is pinned exactly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiosmpplib import ESME, BindMode, PduHeader, SmppMessage, SmppSessionState

from hermes.adapters.link_accounts import Accounts, Pause, loop_time
from hermes.adapters.link_aiosmpplib_parts import Broker, Hook, NoCorrelator, NoThrottle
from hermes.adapters.link_stream import BIND_COMMANDS, bind_frame, closed_by_peer, open_stream
from hermes.ports.link import (
    BindRefused,
    Bound,
    CreditChanged,
    Inbound,
    LinkEvent,
    LinkSettings,
    Notified,
    Problem,
    RttMeasured,
    SubmitResult,
    Unbound,
    WirePdu,
)
from hermes.smpp.command import CommandId, command_name, is_response, response_to
from hermes.smpp.decode import decode_tolerant
from hermes.smpp.encode import encode_header_only
from hermes.smpp.frame import MAX_LENGTH, MIN_LENGTH
from hermes.smpp.session import UNBIND_WAIT, encode_deliver_resp
from hermes.smpp.status import CommandStatus

_MODES: Final = {
    "trx": BindMode.TRANSCEIVER,
    "tx": BindMode.TRANSMITTER,
    "rx": BindMode.RECEIVER,
}
_END_WAIT: Final = 0.5


class _Ended(Exception):
    """Stops the reader: the reason of the end is set."""


class AiosmpplibLink(ESME):
    """One SMPP session; see `hermes.ports.link.Link` for the contract of the public methods."""

    def __init__(
        self,
        settings: LinkSettings,
        on_deliver: Callable[[Inbound], None],
        on_event: Callable[[LinkEvent], None],
    ) -> None:
        self.settings = settings
        self.on_deliver = on_deliver
        self.on_event = on_event
        self._accounts = Accounts(settings.window, settings.response_timeout, self._tell)
        # the library checks lengths that carriers exceed; the bind PDU is made from `settings`
        super().__init__(
            settings.host,
            settings.port,
            settings.system_id[:15],
            settings.password[:8],
            bind_mode=_MODES[settings.mode],
            log_level=logging.CRITICAL,
            log_handler=logging.NullHandler(),
            hook=Hook(self._accounts),
            broker=Broker(self._accounts),
            throttle_handler=NoThrottle(),
            correlator=NoCorrelator(),
        )
        self._life = 0
        self._running = False
        self._reason = ""
        self._ended = asyncio.Event()
        self._finished = asyncio.Event()
        self._unbind_answered = asyncio.Event()
        self._replies: list[bytes] = []
        self._replies_ready = asyncio.Event()
        self._pause = Pause(self._on_resume)
        self._draining = False
        self._enquired: tuple[int, float] | None = None

    # ------------------------------------------------------------------ the port

    @property
    def is_bound(self) -> bool:
        """Whether a bind was accepted and the session lives."""
        return self._bound.is_set()

    @property
    def credit(self) -> int:
        """See `Link.credit`."""
        return self._accounts.credit

    async def run(self) -> str:
        """See `Link.run`."""
        if self._running:
            raise RuntimeError("the link runs already")
        self._running, self._draining = True, False
        self._life += 1
        self._reason = ""
        self._ended.clear()
        self._finished.clear()
        try:
            await self.connect()
            return await self._live()
        finally:
            self._running = False
            self._finished.set()

    def submit(self, pdu: WirePdu) -> asyncio.Future[SubmitResult]:
        """See `Link.submit`."""
        return self._accounts.submit(pdu)

    def answer(self, inbound: Inbound, status: int) -> None:
        """See `Link.answer`."""
        if inbound.life != self._life or not self.is_bound:
            return
        self._reply(encode_deliver_resp(inbound.command_id, status, inbound.sequence))

    def pause(self, seconds: float) -> None:
        """See `Link.pause`."""
        if self._pause.begin(seconds):
            self._accounts.close()

    async def drain(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """See `Link.drain`."""
        if not self.is_bound:
            return
        self._draining = True
        self._accounts.hand_back("the link is draining")
        await self._wait(self._accounts.idle, timeout)
        if self.is_bound:
            assert self._writer is not None
            self._unbind_answered.clear()
            self._reason = self._reason or "drained"  # a carrier may close instead of answering
            sequence = self.sequence_generator.next_sequence()
            self._writer.write(encode_header_only(CommandId.unbind, 0, sequence))
            await self._wait(self._unbind_answered, UNBIND_WAIT)
            self._end("drained")
        await self._finished.wait()

    # ------------------------------------------------------------------ one life

    async def connect(self) -> None:
        """Open the connection and bind; aborts it and raises when that fails."""
        try:
            async with asyncio.timeout(self.settings.bind_timeout):
                self._reader, self._writer = await open_stream(self.settings)
                self._session_state = SmppSessionState.OPEN
                system_id = await self._exchange_bind(self._writer)
        except asyncio.IncompleteReadError as error:
            self._abort()
            raise ConnectionResetError(
                f"{closed_by_peer(len(error.partial))} before the bind"
            ) from error
        except BaseException:
            self._abort()
            raise
        self._session_state = self.bind_mode.session_state
        self._bound.set()
        if not self._pause.is_on and self.settings.mode != "rx":
            self._accounts.open()
        self.on_event(Bound(system_id))

    async def _exchange_bind(self, writer: asyncio.StreamWriter) -> str:
        """Send the bind; the carrier's system_id, or BindRefused."""
        command = BIND_COMMANDS[self.settings.mode]
        writer.write(bind_frame(self.settings, self.sequence_generator.next_sequence()))
        while True:
            frame, header = await self._get_pdu()
            if header.smpp_command == CommandId.enquire_link:
                reply = encode_header_only(CommandId.enquire_link_resp, 0, header.sequence_num)
                writer.write(reply)
            if not is_response(header.smpp_command):
                continue  # outbind, or a carrier in a hurry: it will send it again
            if header.smpp_command != response_to(command):
                raise BindRefused(header.command_status or CommandStatus.ESME_RINVCMDID)
            if header.command_status:
                raise BindRefused(header.command_status)
            return decode_tolerant(frame)[0].text("system_id")

    async def _live(self) -> str:
        """Run the session until its first task ends; the reason."""
        self._enquired = None
        tasks = [
            asyncio.create_task(self._receive_data(), name="smpp reader"),
            asyncio.create_task(self._dequeue_messages(), name="smpp sender"),
            asyncio.create_task(self._reap(), name="smpp timers"),
            asyncio.create_task(self._send_replies(), name="smpp replies"),
            asyncio.create_task(self._ended.wait(), name="smpp end"),
        ]
        reason, fault = "cancelled", None
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason, fault = self._why(done)
        finally:
            self._settle(reason)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_END_WAIT)
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.exception()  # seen: what ends a life is told once, as its reason
            self.on_event(Unbound(reason))
        if fault is not None:
            raise fault
        return reason

    def _why(self, done: Iterable[asyncio.Task[Any]]) -> tuple[str, BaseException | None]:
        """The reason of the end, and the error if it is a fault of ours."""
        if self._reason:
            return self._reason, None
        errors = [error for task in done if (error := task.exception()) is not None]
        for error in errors:
            if not isinstance(error, OSError | asyncio.IncompleteReadError):
                return f"internal error: {error!r}", error
        for error in errors:
            if isinstance(error, asyncio.IncompleteReadError):
                return closed_by_peer(len(error.partial)), None
        return f"connection lost: {errors[0]}" if errors else "ended", None

    def _end(self, reason: str) -> None:
        """End the life; the first reason stays."""
        self._reason = self._reason or reason
        self._ended.set()

    def _settle(self, reason: str) -> None:
        """Drop the connection and give every submit its outcome."""
        self._session_state = SmppSessionState.CLOSED
        self._bound.clear()
        self._abort()
        self._replies.clear()
        self._replies_ready.clear()
        self._accounts.lose(reason)

    def _abort(self) -> None:
        """Close the socket now: a close that flushes would wait for a peer that reads nothing."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._session_state = SmppSessionState.CLOSED
        self._writer = self._reader = None

    # ------------------------------------------------------------------ outbound

    def _on_resume(self) -> None:
        if self.is_bound and not self._draining and self.settings.mode != "rx":
            self._accounts.open()
            self.on_event(CreditChanged(self.credit))

    def _tell(self, event: LinkEvent) -> None:
        self.on_event(event)

    def _reply(self, frame: bytes) -> None:
        self._replies.append(frame)
        self._replies_ready.set()

    async def _send_replies(self) -> None:
        """Write the responses of one loop turn together."""
        assert self._writer is not None
        while True:
            await self._replies_ready.wait()
            self._flush_replies()
            async with self._drain_lock:
                await self._writer.drain()

    def _flush_replies(self) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(self._replies))
        self._replies.clear()
        self._replies_ready.clear()

    async def _reap(self) -> None:
        """Response timers and enquire_link; it writes without waiting for a full buffer."""
        s = self.settings
        enquire_at = loop_time() + s.enquire_interval
        while True:
            now = loop_time()
            self._accounts.expire(now)
            if self._enquired is not None:
                if now - self._enquired[1] >= s.enquire_timeout:
                    self._end(f"enquire_link unanswered for {s.enquire_timeout} s")
                    return
            elif now >= enquire_at:
                assert self._writer is not None
                sequence = self.sequence_generator.next_sequence()
                self._enquired = sequence, now
                self._writer.write(encode_header_only(CommandId.enquire_link, 0, sequence))
                enquire_at = now + s.enquire_interval
            wake = enquire_at
            if self._enquired is not None:  # its answer may come before the next one is due
                given_up = self._enquired[1] + s.enquire_timeout
                wake = min(wake, given_up) if now < wake else given_up
            wake = min(wake, self._accounts.next_expiry(now))
            await asyncio.sleep(max(0.001, wake - now))

    # ------------------------------------------------------------------ inbound

    async def _get_pdu(self) -> tuple[bytes, PduHeader]:
        """The next frame; a command_length outside the bounds ends the session.

        The header carries plain integers: the library's enums refuse what carriers send.
        """
        assert self._reader is not None
        head = await self._reader.readexactly(4)
        length = int.from_bytes(head, "big")
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            self._end(f"command_length {length} is outside {MIN_LENGTH}..{MAX_LENGTH}")
            raise ConnectionAbortedError(self._reason)
        try:
            frame = head + await self._reader.readexactly(length - 4)
        except asyncio.IncompleteReadError as error:
            raise asyncio.IncompleteReadError(head + error.partial, length) from error
        command, status, sequence = (int.from_bytes(frame[i : i + 4], "big") for i in (4, 8, 12))
        return frame, PduHeader(length, command, status, sequence)

    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        self._inbound_request(pdu, header.smpp_command, header.sequence_num)
        return None

    async def _handle_response(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Everything else: the library sends requests it does not know here, too."""
        if is_response(header.smpp_command):
            self._inbound_response(pdu, header)
        else:
            self._inbound_request(pdu, header.smpp_command, header.sequence_num)
        return None

    def _inbound_request(self, frame: bytes, command: int, sequence: int) -> None:
        match command:
            case CommandId.deliver_sm | CommandId.data_sm:
                self.on_deliver(Inbound(frame, sequence, loop_time(), self._life))
            case CommandId.enquire_link:
                self._reply(encode_header_only(CommandId.enquire_link_resp, 0, sequence))
            case CommandId.unbind:
                self._reply(encode_header_only(CommandId.unbind_resp, 0, sequence))
                self._flush_replies()
                self._end("peer unbind")
                raise _Ended
            case CommandId.alert_notification | CommandId.outbind:
                self.on_event(Notified(command, frame))
            case _:
                nack = CommandStatus.ESME_RINVCMDID
                self._reply(encode_header_only(CommandId.generic_nack, nack, sequence))
                self.on_event(Problem(f"unexpected request {command_name(command)}", frame))

    def _inbound_response(self, frame: bytes, header: PduHeader) -> None:
        command, sequence, now = header.smpp_command, header.sequence_num, loop_time()
        if self._enquired is not None and sequence == self._enquired[0]:
            # a generic_nack to it proves the link just as well
            self.on_event(RttMeasured(now - self._enquired[1]))
            self._enquired = None
            return
        if command == CommandId.unbind_resp:
            self._unbind_answered.set()
            return
        self._accounts.answered(frame, command, now)

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for the event or the end of the life, at most so long."""
        waits = [asyncio.create_task(e.wait()) for e in (event, self._ended, self._finished)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
