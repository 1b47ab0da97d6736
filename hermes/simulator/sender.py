"""Sends deliver_sm to the sessions of an account and hears the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hermes.simulator.counters import tally
from hermes.simulator.fault import PauseReceipts, Silence
from hermes.simulator.journal import AnswerLine, GivenUpLine, MoLine, ReceiptLine
from hermes.simulator.later import Owe
from hermes.simulator.receipt import Delivery, Owed, with_sequence
from hermes.simulator.state import State
from hermes.smpp.status import CommandStatus

if TYPE_CHECKING:
    from hermes.simulator.account import AccountState
    from hermes.simulator.session import Session

RETRIED: Final = frozenset({CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_RMSGQFUL})
"""Answers after which a deliver_sm is sent again; any other but 0 is final."""


class Sender:
    """The deliver side of the message centre."""

    def __init__(self, state: State) -> None:
        self._state = state

    def send_waiting(self, account: AccountState) -> None:
        """Send what waits, to every session that can take it."""
        outbox = account.outbox
        for number in list(outbox.lanes):
            session = account.sessions[number]
            if self._is_held(session):
                continue
            window = self._state.profile.deliver_window
            while session.is_writable and (delivery := outbox.take(number, window)) is not None:
                self._send(account, session, delivery)

    def on_answer(
        self, account: AccountState, session: Session, sequence: int, status: int
    ) -> None:
        """A deliver_sm_resp or generic_nack; one for a sequence that is not open is ignored."""
        state = self._state
        delivery = account.outbox.answered(session.number, sequence)
        if delivery is None:
            state.counters.ignored += 1
            return
        tally(state.counters.answers, status)
        state.journal.add(
            AnswerLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                seq=sequence,
                owed=delivery.owed,
                message_id=delivery.message_id,
                status=status,
            )
        )
        if status == 0:
            state.counters.acknowledged += 1
        elif status in RETRIED:
            self._retry(account, delivery, status)
        else:
            self._give_up(delivery, status)
        self.send_waiting(account)

    def retry_overdue(self) -> None:
        """Take every deliver_sm that was not answered in time as refused for now."""
        state = self._state
        if not state.profile.deliver_timeout_ms:
            return
        before = state.clock() - state.profile.deliver_timeout_ms / 1000
        for account in state.accounts.values():
            late = account.outbox.overdue(before)
            for delivery in late:
                self._retry(account, delivery, None)
            if late:
                self.send_waiting(account)

    def _is_held(self, session: Session) -> bool:
        if self._state.find(PauseReceipts, session) is not None:
            return True
        return self._state.hole(session, Silence.all) is not None

    def _send(self, account: AccountState, session: Session, delivery: Delivery) -> None:
        state, sequence = self._state, session.next_sequence()
        delivery.sendings += 1
        session.send(with_sequence(delivery.frame, sequence))
        account.outbox.sent(session.number, sequence, delivery, state.clock())
        if delivery.owed is Owed.receipt:
            state.counters.receipts_sent += 1
            state.journal.add(
                ReceiptLine(
                    at=state.wall(),
                    session=session.number,
                    system_id=session.system_id,
                    seq=sequence,
                    message_id=delivery.message_id,
                    receipt_id=delivery.receipt_id,
                    destination=delivery.destination,
                    stat=delivery.stat,
                    attempt=delivery.sendings,
                )
            )
            return
        state.counters.mos_sent += 1
        state.journal.add(
            MoLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                seq=sequence,
                message_id=delivery.message_id,
                source=delivery.source,
                destination=delivery.destination,
                attempt=delivery.sendings,
            )
        )

    def _retry(self, account: AccountState, delivery: Delivery, status: int | None) -> None:
        state = self._state
        delivery.attempts += 1
        limit = state.profile.retry_attempts
        if limit and delivery.attempts >= limit:
            self._give_up(delivery, status)
            return
        state.counters.retries += 1
        state.later(state.clock() + state.profile.retry_ms / 1000, Owe(account, delivery))

    def _give_up(self, delivery: Delivery, status: int | None) -> None:
        state = self._state
        state.counters.given_up += 1
        state.journal.add(
            GivenUpLine(
                at=state.wall(),
                owed=delivery.owed,
                message_id=delivery.message_id,
                status=status,
            )
        )
