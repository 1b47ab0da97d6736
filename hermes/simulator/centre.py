"""The message centre: who is connected, what is due when, and what the control API asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from hermes.simulator.admission import bind_status
from hermes.simulator.counters import Counters
from hermes.simulator.fault import (
    BlackHole,
    Dribble,
    DropOnBind,
    Ending,
    RefuseBinds,
    Request,
    Silence,
)
from hermes.simulator.fault_desk import FaultDesk
from hermes.simulator.intake import Intake
from hermes.simulator.journal import BindLine, FrameLine, ProblemLine, StartLine, UnbindLine
from hermes.simulator.keepalive import Keepalive
from hermes.simulator.later import (
    CloseUnbound,
    Enquire,
    Later,
    LiftFaults,
    Owe,
    Pour,
    Release,
    Respond,
    Settle,
)
from hermes.simulator.response import Responder
from hermes.simulator.sender import Sender
from hermes.simulator.session import Mode, Session, Way
from hermes.simulator.state import State

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from hermes.simulator.profile import Profile
    from hermes.simulator.receipt import Delivery
    from hermes.smpp.pdu import Pdu


class MessageCentre:
    """Ties the sessions, the accounts and the clock together."""

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self.state = state
        self._start = state.profile
        self._sender = Sender(state)
        self._responder = Responder(state)
        self._intake = Intake(state, self._sender, self._responder)
        self._keepalive = Keepalive(state)
        self.faults = FaultDesk(state, self._sender, self._responder)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._session_count = 0
        state.wake = self._arm
        self._keepalive.plan()
        self._note_start()

    def new_session(self) -> Session:
        """The protocol of the next connection."""
        self._session_count += 1
        return Session(self._session_count, self, self._loop)

    def retry_overdue(self) -> None:
        """To be called about once a second."""
        self._sender.retry_overdue()

    def close(self) -> None:
        """End every session; nothing is done any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.state.schedule.clear()
        for session in list(self.state.sessions.values()):
            session.end(Ending.fin, "simulator ended")

    def change(self, profile: Profile) -> None:
        """Obey other settings from now on."""
        self.state.change(profile)
        self._keepalive.plan()
        for account in self.state.accounts.values():
            self._sender.send_waiting(account)

    def owe(self, system_id: str, deliveries: Sequence[Delivery]) -> None:
        """Send MOs to an account, or keep them until it binds."""
        account = self.state.account(system_id)
        for delivery in deliveries:
            account.outbox.put(delivery)
        self._sender.send_waiting(account)

    def reset(self) -> None:
        """Back to the settings of the start: no messages, faults or counts; sessions stay bound.

        Answers that are due are still given, and message ids go on where they were.
        """
        state = self.state
        state.schedule.keep(lambda thing: isinstance(thing, Respond | CloseUnbound))
        state.counters = Counters()
        state.change(self._start)
        state.seed()
        for account in state.accounts.values():
            account.outbox.clear()
            account.queued = 0
        state.renew_caps()
        self.faults.lift_all()
        self._keepalive.plan(anew=True)
        state.journal.forget()
        self._note_start()

    def opened(self, session: Session) -> None:
        self.state.counters.connections += 1
        self.state.sessions[session.number] = session
        timeout = self.state.profile.init_timeout_ms / 1000
        if timeout:
            self.state.later(self.state.clock() + timeout, CloseUnbound(session))
        self.faults.greet(session)

    def ended(self, session: Session, reason: str) -> None:
        state = self.state
        state.sessions.pop(session.number, None)
        unanswered = 0
        account = state.account_of(session)
        if account is not None:
            del account.sessions[session.number]
            unanswered = account.outbox.leave(session.number)
            state.counters.resent_after_loss += unanswered
        state.journal.add(
            UnbindLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                reason=reason,
                unanswered=unanswered,
            )
        )
        if account is not None:
            self._sender.send_waiting(account)

    def on_bind(self, session: Session, pdu: Pdu, mode: Mode) -> None:
        state = self.state
        session.system_id = pdu.text("system_id")
        self.faults.greet(session)
        is_answered = not self.swallows(session, Silence.binds)
        inject = state.injection(session, Request.bind)
        if inject is not None:
            session.send(inject.octets(pdu.sequence_number))
            is_answered = is_answered and not inject.instead
        status = self._answer_bind(session, pdu, mode) if is_answered else None
        state.journal.add(
            BindLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                mode=mode,
                peer=session.peer,
                status=status,
            )
        )
        if status != 0:
            return
        drop = state.spend(DropOnBind, session)
        if drop is not None:
            session.end(drop.how, "fault drop_on_bind")
        self._sender.send_waiting(state.account(session.system_id))

    def on_submit(self, session: Session, pdu: Pdu) -> None:
        self._intake.on_submit(session, pdu)

    def on_answer(self, session: Session, sequence: int, status: int) -> None:
        account = self.state.account_of(session)
        if account is None:
            self.state.counters.ignored += 1
        else:
            self._sender.on_answer(account, session, sequence, status)

    def on_writable(self, session: Session) -> None:
        account = self.state.account_of(session)
        if account is not None:
            self._sender.send_waiting(account)

    def on_enquire_link(self, session: Session) -> None:
        session.enquire_link_count += 1
        self.state.counters.enquire_links += 1

    def on_enquire_answer(self, session: Session, sequence: int) -> None:
        self.state.counters.enquire_links_answered += 1
        if session.asked == sequence:
            session.asked = None

    def on_octets(self, session: Session, way: Way, octets: bytes) -> None:
        state = self.state
        if state.profile.frames:
            state.journal.add(
                FrameLine(
                    at=state.wall(),
                    session=session.number,
                    system_id=session.system_id,
                    way=way,
                    hex=octets.hex(),
                )
            )

    def on_problem(self, session: Session, problem: str, *, nacked: bool) -> None:
        counters = self.state.counters
        counters.problems += 1
        counters.nacks_sent += nacked
        self.state.journal.add(
            ProblemLine(
                at=self.state.wall(),
                session=session.number,
                system_id=session.system_id,
                problem=problem,
            )
        )

    def swallows(self, session: Session, what: Silence) -> bool:
        state = self.state
        if state.hole(session, Silence.all, what) is None:
            return False
        state.spend(BlackHole, session)
        return True

    def piece(self, session: Session) -> int:
        dribble = self.state.find(Dribble, session)
        return 0 if dribble is None else dribble.octets

    def _answer_bind(self, session: Session, pdu: Pdu, mode: Mode) -> int:
        state, system_id = self.state, session.system_id
        refusal = state.spend(RefuseBinds, session)
        known = state.accounts.get(system_id)
        session_count = 0 if known is None else len(known.sessions)
        status = bind_status(state.profile, system_id, pdu.text("password"), session_count)
        if refusal is not None:
            status = refusal.status
        if status == 0:
            state.counters.binds += 1
            session.bound(pdu, mode, state.profile.system_id)
            account = state.account(system_id)
            account.sessions[session.number] = session
            if session.can_receive:
                account.outbox.join(session.number)
            return 0
        state.counters.binds_refused += 1
        has_body = refusal is not None and refusal.body
        session.respond(pdu, status, {"system_id": state.profile.system_id} if has_body else None)
        session.end(Ending.fin, f"bind refused with 0x{status:02x}")
        return status

    def _arm(self) -> None:
        """See that the timer goes off when the next thing is due."""
        due = self.state.schedule.next_due()
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for thing in self.state.schedule.pop_due(self.state.clock()):
            self._perform(thing)
        self._arm()

    def _perform(self, thing: Later) -> None:
        match thing:
            case Respond():
                self._responder.respond(thing)
            case Release(group):
                self._responder.release(group)
            case Settle(message):
                self._intake.settle(message)
            case Owe(account, delivery):
                account.outbox.put(delivery)
                self._sender.send_waiting(account)
            case Pour():
                self.faults.floods.pour(thing)
            case Enquire():
                self._keepalive.enquire(thing)
            case LiftFaults():
                self.faults.lift_ended()
            case CloseUnbound(session):
                if session.mode is None:
                    session.end(Ending.fin, "no bind in time")
            case _:
                assert_never(thing)

    def _note_start(self) -> None:
        self.state.journal.add(StartLine(at=self.state.wall(), first_id=self.state.next_id))
