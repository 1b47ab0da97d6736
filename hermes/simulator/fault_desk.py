"""Does the faults: the ones that happen once, and the coming and going of standing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hermes.simulator.fault import (
    NAMES,
    Drop,
    Fault,
    Flood,
    Inject,
    MoFlood,
    Outbind,
    Stall,
    Standing,
)
from hermes.simulator.flood import Flooder, mo_round
from hermes.simulator.journal import FaultLine
from hermes.simulator.later import LiftFaults
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode
from hermes.smpp.pdu import Pdu

if TYPE_CHECKING:
    from hermes.simulator.response import Responder
    from hermes.simulator.sender import Sender
    from hermes.simulator.session import Session
    from hermes.simulator.state import State


class FaultDesk:
    """Switches faults on and off."""

    def __init__(self, state: State, sender: Sender, responder: Responder) -> None:
        self._state = state
        self._sender = sender
        self._responder = responder
        self.floods = Flooder(state, sender)

    def start(self, fault: Fault) -> int:
        """Do a fault, or switch it on; how many sessions it hits now. Raises Refusal."""
        state = self._state
        if isinstance(fault, MoFlood):
            mo_round(fault, 1, state.profile.default_alphabet)
        hit = [s for s in state.sessions.values() if fault.hits(s.number, s.system_id)]
        self._note(NAMES[type(fault)], on=True, parameters=msgspec.to_builtins(fault))
        match fault:
            case Drop():
                for session in hit:
                    session.end(fault.how, "fault drop")
            case Outbind():
                for session in hit:
                    session.send(self._outbind(session, fault))
            case Inject(after=0):
                for session in hit:
                    session.send(fault.octets(0))
            case Standing():
                self._switch_on(fault)
        return len(hit)

    def lift(self, name: str) -> bool:
        """Switch a fault off; whether it was on. Raises Refusal for an unknown name."""
        was_on = self._state.faults.lift(name)
        if was_on:
            self._note(name, on=False, parameters={})
            self._settle_down()
        return was_on

    def lift_ended(self) -> None:
        """Switch off what has run its time."""
        for name in self._state.faults.lift_ended(self._state.clock()):
            self._note(name, on=False, parameters={})
        self._settle_down()

    def lift_all(self) -> None:
        """Switch everything off."""
        self._state.faults.clear()
        self._settle_down()

    def greet(self, session: Session) -> None:
        """A session came, or said who it is: it may be one to stall."""
        session.stall(on=self._state.find(Stall, session) is not None)

    def _switch_on(self, fault: Standing) -> None:
        state = self._state
        until = state.faults.start(fault, state.clock())
        if until is not None:
            state.later(until, LiftFaults())
        self._settle_down()
        if isinstance(fault, Flood):
            self.floods.begin(fault)

    def _settle_down(self) -> None:
        """What stood still under a fault that is gone goes on."""
        state = self._state
        for session in list(state.sessions.values()):
            self.greet(session)
        self._responder.release_free()
        for account in state.accounts.values():
            self._sender.send_waiting(account)

    def _outbind(self, session: Session, fault: Outbind) -> bytes:
        fields: dict[str, object] = {
            "system_id": self._state.profile.system_id,
            "password": fault.password,
        }
        return encode(Pdu(CommandId.outbind, 0, session.next_sequence(), fields))

    def _note(self, name: str, *, on: bool, parameters: dict[str, object]) -> None:
        state = self._state
        state.journal.add(FaultLine(at=state.wall(), name=name, on=on, parameters=parameters))
