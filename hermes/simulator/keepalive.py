"""The enquire_links of the SMSC itself; who leaves one unanswered is cut off (SMPP 3.4, 7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes.simulator.fault import Ending, Silence, Stall
from hermes.simulator.later import Enquire

if TYPE_CHECKING:
    from hermes.simulator.session import Session
    from hermes.simulator.state import State


class Keepalive:
    """Asks all bound sessions together, `enquire_ms` apart."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._period_ms = 0.0

    def plan(self, *, anew: bool = False) -> None:
        """Obey the setting; `anew` when the schedule was emptied."""
        period_ms = self._state.profile.enquire_ms
        if anew or period_ms != self._period_ms:
            self._period_ms = period_ms
            self._next()

    def enquire(self, enquire: Enquire) -> None:
        """The time to ask has come; an older plan is obeyed no more."""
        if enquire.period_ms != self._period_ms:
            return
        for session in list(self._state.sessions.values()):
            self._ask(session)
        self._next()

    def _next(self) -> None:
        if self._period_ms:
            due = self._state.clock() + self._period_ms / 1000
            self._state.later(due, Enquire(self._period_ms))

    def _ask(self, session: Session) -> None:
        state = self._state
        if session.mode is None:
            return
        is_deaf = state.hole(session, Silence.all) or state.find(Stall, session)
        if is_deaf or not session.is_writable:
            session.asked = None
        elif session.asked is not None:
            session.end(Ending.rst, "enquire_link unanswered")
        else:
            state.counters.enquire_links_sent += 1
            session.asked = session.enquire()
