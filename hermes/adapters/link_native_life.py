"""One connection of the native link and the session on it, with the writes of a turn gathered."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, Final, ParamSpec, TypeAlias, assert_never, cast

from hermes.adapters.link_accounts import Accounts
from hermes.adapters.link_stream import bind_frame, closed_by_peer
from hermes.ports.link import (
    BindRefused,
    Inbound,
    LinkEvent,
    LinkSettings,
    Notified,
    Problem,
    RttMeasured,
    Unbound,
)
from hermes.smpp.session import Session
from hermes.smpp.session_effect import (
    Announce,
    Complain,
    Deliver,
    Effect,
    End,
    Match,
    Measure,
    Notify,
    Refuse,
    Send,
)

_SEQUENCE: Final = struct.Struct(">I")
_GATHER: Final = 1 << 16
"""Octets of one write: below it submits are joined, and back-pressure is looked at after each."""
_MAX_HELD: Final = 1 << 20
"""Octets of answers held for a carrier that reads nothing: those to 60,000 receipts."""

P = ParamSpec("P")
Step: TypeAlias = Callable[Concatenate["Life", P], None]


def _guarded(step: Step[P]) -> Step[P]:
    """End the session for a fault of ours or of a callback; the loop logs it, `run` raises it."""

    def guarded(self: Life, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(self, *args, **kwargs)
        except BaseException as error:
            if not self.ended.is_set():
                self.fault = error
                self.end(f"internal error: {error!r}")
            raise

    return guarded


@dataclass(frozen=True, slots=True)
class Ears:
    """Whom a life tells: of the bind, with the system_id, of messages, and of all else."""

    on_bound: Callable[[str], None]
    on_deliver: Callable[[Inbound], None]
    on_event: Callable[[LinkEvent], None]


class Life(asyncio.Protocol):
    """One connection and its session, from connecting to the end."""

    def __init__(self, settings: LinkSettings, number: int, accounts: Accounts, ears: Ears) -> None:
        interval, timeout = settings.enquire_interval, settings.enquire_timeout
        self.session = Session(bind_frame(settings), interval, timeout)
        self.number = number
        self.reason = ""
        self.fault: BaseException | None = None
        self.bound, self.ended, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._accounts, self._ears = accounts, ears
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._announced = False
        self._is_choked = False
        self._out = bytearray()
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind, unless `run` was cancelled meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        if self.ended.is_set():
            self.abort()
            return
        self._perform(self.session.bind())

    def data_received(self, data: bytes) -> None:
        """Octets of any split."""
        self._perform(self.session.receive(data, self._loop.time()))

    def eof_received(self) -> None:
        """End now: asyncio would wait until a full buffer is sent."""
        self.end(closed_by_peer(self.session.buffered))

    def connection_lost(self, exc: Exception | None) -> None:
        """End, unless the end was ours."""
        if self.ended.is_set():
            return
        if exc is None:
            self.end(closed_by_peer(self.session.buffered))
            return
        if not self._announced:
            self.fault = exc
        self.end(f"connection lost: {exc}")

    def pause_writing(self) -> None:
        """The carrier reads too slowly: what is queued keeps its slot and waits."""
        self._is_choked = True

    def resume_writing(self) -> None:
        """Most of it has left."""
        self._is_choked = False
        self.flush_soon()

    def abort(self) -> None:
        """Close the socket now: a close that flushes would wait for a peer that reads nothing."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # ------------------------------------------------------------------ outbound

    def send(self, octets: bytes) -> None:
        """Write one PDU with whatever else this turn writes."""
        self._out += octets
        if self._is_choked and len(self._out) > _MAX_HELD:
            reason = f"the carrier reads nothing, {len(self._out)} octets of answers wait"
            self._loop.call_soon(self.end, reason)
        self.flush_soon()

    def unbind(self) -> None:
        """Ask for the end, and wait for it no longer than `UNBIND_WAIT`."""
        self._perform(self.session.unbind(self._loop.time()))
        self._arm()

    def end(self, reason: str) -> None:
        """End the session; the first reason stays."""
        self._perform(self.session.end(reason))

    def flush_soon(self) -> None:
        """Write in the next turn of the loop."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    @_guarded
    def _flush(self) -> None:
        """Write answers, and the submits that are let out, until the transport has enough."""
        self._flush_due = False
        accounts, session = self._accounts, self.session
        now = self._loop.time()
        while not self._is_choked:
            out = self._out
            while len(out) < _GATHER and (submission := accounts.pop()) is not None:
                sequence, at = session.next_sequence(), len(out) + 12
                accounts.writing(submission, sequence, now)
                out += submission.frame
                _SEQUENCE.pack_into(out, at, sequence)
            if not out:
                return
            self._write_out()

    def _write_out(self) -> None:
        octets, self._out = self._out, bytearray()  # an event loop may write from it later
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    # ------------------------------------------------------------------ what the session says

    @_guarded
    def _perform(self, effects: list[Effect]) -> None:
        ears, now = self._ears, self._loop.time()
        for effect in effects:
            match effect:
                case Match(frame=frame, command_id=command_id):
                    self._accounts.answered(frame, command_id, now)
                case Deliver(frame=frame, sequence=sequence):
                    ears.on_deliver(Inbound(frame, sequence, now, self.number))
                case Send(octets=octets):
                    self.send(octets)
                case Announce(system_id=system_id):
                    self._on_bound(system_id)
                case Refuse(status=status):
                    self.fault = BindRefused(status)
                case Measure(seconds=seconds):
                    ears.on_event(RttMeasured(seconds))
                case Notify(command_id=command_id, frame=frame):
                    ears.on_event(Notified(command_id, frame))
                case Complain(reason=reason, frame=frame):
                    ears.on_event(Problem(reason, frame))
                case End(reason=reason):
                    self._on_end(reason)
                case _:
                    assert_never(effect)

    def _on_bound(self, system_id: str) -> None:
        self._announced = True
        self.bound.set()
        self._arm()
        self._ears.on_bound(system_id)

    def _on_end(self, reason: str) -> None:
        """Give every submit its outcome; `run` aborts the connection one turn later.

        By then the kernel has the unbind_resp, which an event loop may hold back for a turn.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._out and not self._is_choked:
            self._write_out()
        self._out.clear()
        self._accounts.lose(reason)
        if not self._announced:
            self.fault = self.fault or ConnectionResetError(f"{reason} before the bind")
            self.bound.set()
        self.reason = reason
        self.ended.set()
        if self._announced:
            self._ears.on_event(Unbound(reason))

    def _arm(self) -> None:
        """Set the one timer to the next deadline; those of later submits are later."""
        if self._timer is not None:
            self._timer.cancel()
        if self.ended.is_set():
            return
        now = self._loop.time()
        due = min(self.session.next_deadline, self._accounts.next_expiry(now))
        self._timer = self._loop.call_later(max(0.001, due - now), self._on_timer)

    @_guarded
    def _on_timer(self) -> None:
        now = self._loop.time()
        self._accounts.expire(now)
        self._perform(self.session.tick(now))
        self._arm()
