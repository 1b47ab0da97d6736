"""Writes submit_sm_resp, in time or as the faults that are on want it (SMPP 3.4, 4.4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from hermes.simulator.fault import (
    Body,
    Congestion,
    DropResponses,
    DuplicateResponses,
    LateResponses,
    OddResponses,
    Refused,
    ReorderResponses,
    Silence,
)
from hermes.simulator.journal import ResponseLostLine
from hermes.simulator.later import Release, Respond
from hermes.simulator.receipt import with_tail
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode_header_only
from hermes.smpp.tlv import Tlv, TlvTag, encode_tlvs

if TYPE_CHECKING:
    from hermes.simulator.state import State


class Responder:
    """The answers to submit_sm."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._held: dict[int, list[Respond]] = {}

    def answer(self, response: Respond, latency: float) -> float:
        """Answer after so many seconds, or later; returns when."""
        state, session = self._state, response.session
        late = state.spend(LateResponses, session)
        wait = latency if late is None else latency + late.ms / 1000
        session.in_flight += 1
        session.max_in_flight = max(session.max_in_flight, session.in_flight)
        due = state.clock() + wait
        if wait:
            state.later(due, response)
        else:
            self.respond(response)
        return due

    def respond(self, response: Respond) -> None:
        """The time of an answer has come; it may have to wait for others."""
        state, session = self._state, response.session
        reorder = state.find(ReorderResponses, session)
        if reorder is None:
            self._write(response)
            return
        group = self._held.get(session.number)
        if group is None:
            group = self._held[session.number] = []
            state.later(state.clock() + reorder.hold_ms / 1000, Release(group))
        group.append(response)
        if len(group) >= reorder.group:
            state.spend(ReorderResponses, session)
            self.release(group)

    def release(self, group: list[Respond]) -> None:
        """Write the answers of a group, the last one first."""
        if group:
            del self._held[group[0].session.number]
        while group:
            self._write(group.pop())

    def release_free(self) -> None:
        """Hold nothing for sessions whose answers are not to be held any more."""
        for group in list(self._held.values()):
            if self._state.find(ReorderResponses, group[0].session) is None:
                self.release(group)

    def frame(self, response: Respond) -> bytes:
        """The answer on the wire."""
        session = response.session
        odd = self._state.spend(OddResponses, session)
        congestion = self._state.spend(Congestion, session)
        if response.refused is Refused.nack:
            status, sequence = response.status, response.sequence
            return encode_header_only(CommandId.generic_nack, status, sequence)
        tail = b""
        if congestion is not None:
            tail = encode_tlvs((Tlv.integer(TlvTag.congestion_state, congestion.level),))
        if odd is not None:
            tail += bytes.fromhex(odd.tail)
        body = _body(response, is_needed=bool(tail))
        if odd is not None:
            match odd.body:
                case Body.none:
                    body = b""
                case Body.no_nul:
                    body = body[:-1]
                case Body.whole:
                    pass
                case _:
                    assert_never(odd.body)
        head = encode_header_only(CommandId.submit_sm_resp, response.status, response.sequence)
        return with_tail(head, body + tail)

    def _write(self, response: Respond) -> None:
        state, session = self._state, response.session
        session.in_flight -= 1
        reason = self._loss(response)
        if not reason:
            state.counters.responses += 1
            frame = self.frame(response)
            again = state.spend(DuplicateResponses, session)
            for _ in range(1 if again is None else again.copies):
                session.send(frame)
            return
        state.counters.responses_lost += 1
        state.journal.add(
            ResponseLostLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                seq=response.sequence,
                status=response.status,
                message_id=response.message_id,
                reason=reason,
            )
        )

    def _loss(self, response: Respond) -> str:
        """Why an answer does not go out; empty when it does."""
        state, session = self._state, response.session
        if state.hole(session, Silence.all, Silence.submits) is not None:
            return "black hole"
        if not session.is_open:
            return "session ended"
        return "drop_responses" if state.spend(DropResponses, session) is not None else ""


def _body(response: Respond, *, is_needed: bool) -> bytes:
    """The message_id; of a refusal only if need be: what follows would be read as one."""
    if response.message_id is not None:
        return response.message_id.encode("latin-1") + b"\0"
    return b"\0" if is_needed or response.refused is Refused.body else b""
