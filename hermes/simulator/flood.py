"""Floods: enquire_links and MOs the SMSC sends at a rate, whoever can take them."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from hermes.simulator.fault import EnquireFlood, Flood, MoFlood
from hermes.simulator.later import Pour
from hermes.simulator.mo import Mo, mo_deliveries

if TYPE_CHECKING:
    from hermes.simulator.receipt import Delivery
    from hermes.simulator.sender import Sender
    from hermes.simulator.session import Session
    from hermes.simulator.state import State
    from hermes.smpp.data_coding import Alphabet

TICK_S: Final = 0.01
MAX_WAITING: Final = 20_000
"""An account that has so many deliveries waiting gets no more of a flood until it caught up."""


class Flooder:
    """Keeps floods going."""

    def __init__(self, state: State, sender: Sender) -> None:
        self._state = state
        self._sender = sender

    def begin(self, fault: Flood) -> None:
        """Send the first of a flood that was switched on."""
        self.pour(Pour(fault, self._state.clock(), 1))

    def pour(self, pour: Pour) -> None:
        """Send what is due of a flood, and see that it goes on; one that was lifted does not."""
        state, fault, now = self._state, pour.fault, self._state.clock()
        if not state.faults.is_on(fault, now):
            return
        owed = pour.owed + (now - pour.at) * fault.rate
        hit = [s for s in state.sessions.values() if s.mode and fault.hits(s.number, s.system_id)]
        if isinstance(fault, MoFlood):
            self._send_mos(fault, hit, int(owed))
        else:
            self._enquire(hit, int(owed))
        state.later(now + TICK_S, Pour(fault, now, owed % 1))

    def _enquire(self, sessions: list[Session], due: int) -> None:
        counters = self._state.counters
        writable = [session for session in sessions if session.is_writable]
        taken = self._state.faults.take(EnquireFlood, due) if writable else 0
        for session in writable:
            counters.enquire_links_sent += taken
            for _ in range(taken):
                session.enquire()

    def _send_mos(self, fault: MoFlood, sessions: list[Session], due: int) -> None:
        state = self._state
        names = {session.system_id for session in sessions if session.can_receive}
        accounts = [state.account(name) for name in sorted(names)]
        if not accounts or any(each.outbox.waiting() >= MAX_WAITING for each in accounts):
            return
        for _ in range(state.faults.take(MoFlood, due)):
            for account in accounts:
                first = state.mo_count + 1
                state.mo_count += fault.senders
                for delivery in mo_round(fault, first, state.profile.default_alphabet):
                    account.outbox.put(delivery)
        for account in accounts:
            self._sender.send_waiting(account)


def mo_round(fault: MoFlood, first: int, default_alphabet: Alphabet) -> list[Delivery]:
    """One MO from each sender, the first with the number `first`; parts in turn. Raises Refusal."""
    of_senders: list[list[Delivery]] = []
    for index in range(fault.senders):
        number = first + index
        mo = Mo(
            source=_counted(fault.source, index),
            destination=fault.destination,
            text=fault.text.replace("{n}", str(number)),
        )
        of_senders.append(mo_deliveries(mo, number, default_alphabet, first))
    in_turn = [each for part in zip_longest(*of_senders) for each in part if each is not None]
    for delivery in in_turn:
        delivery.session = fault.session
    return in_turn


def _counted(source: str, index: int) -> str:
    """The address so many behind: a number counts up, a name gets the number behind it."""
    if source.isdecimal():
        return str(int(source) + index).zfill(len(source))
    return f"{source}{index}" if index else source
