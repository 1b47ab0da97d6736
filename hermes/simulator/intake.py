"""The submit side of the message centre: judges, answers, and settles what it accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hermes.simulator.account import Accepted, AccountState
from hermes.simulator.admission import submit_status
from hermes.simulator.content import Content, read_content
from hermes.simulator.counters import tally
from hermes.simulator.fault import BlackHole, DuplicateReceipts, EarlyReceipts, Silence
from hermes.simulator.journal import ResponseLostLine, SubmitLine
from hermes.simulator.message_id import write_id
from hermes.simulator.outcome import Stat
from hermes.simulator.receipt import (
    Delivery,
    Owed,
    Sent,
    is_due,
    receipt_frame,
    wants_intermediate,
)
from hermes.simulator.state import Owe, Respond, Settle, State
from hermes.smpp.command import CommandId
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import TlvTag

if TYPE_CHECKING:
    from hermes.simulator.sender import Sender
    from hermes.simulator.session import Session


class Intake:
    """Takes submit_sm from sessions."""

    def __init__(self, state: State, sender: Sender) -> None:
        self._state = state
        self._sender = sender

    def on_submit(self, session: Session, pdu: Pdu) -> None:
        """Obey the faults that are on, else judge the submit and answer it."""
        state = self._state
        state.counters.submits += 1
        session.submit_count += 1
        content = read_content(pdu, state.profile.default_alphabet)
        if not state.faults:
            self._judge(session, pdu, content, is_answered=True)
            return
        now, number, system_id = state.clock(), session.number, session.system_id
        hole = state.hole(session, Silence.all, Silence.submits)
        if hole is not None:
            state.faults.spend(BlackHole, number, system_id, now)
        drop = state.faults.drop_on_submit(number, system_id, now)
        if (hole is not None and not hole.accept) or (drop is not None and not drop.accept):
            self._record(session, pdu, content, None, None)
        else:
            self._judge(session, pdu, content, is_answered=hole is None and drop is None)
        if drop is not None:
            session.end(drop.how, "fault drop_on_submit")

    def respond(self, response: Respond) -> None:
        """Write a submit_sm_resp, unless there is nobody to write to any more."""
        state, session, status = self._state, response.session, response.status
        session.in_flight -= 1
        hole = state.hole(session, Silence.all, Silence.submits)
        if session.is_open and hole is None:
            state.counters.responses += 1
            if response.message_id is None:
                head = encode_header_only(CommandId.submit_sm_resp, status, response.sequence)
                session.send(head)
                return
            fields: dict[str, object] = {"message_id": response.message_id}
            session.send(encode(Pdu(CommandId.submit_sm_resp, status, response.sequence, fields)))
            return
        state.counters.responses_lost += 1
        state.journal.add(
            ResponseLostLine(
                at=state.wall(),
                session=session.number,
                system_id=session.system_id,
                seq=response.sequence,
                status=status,
                message_id=response.message_id,
                reason="session ended" if hole is None else "black hole",
            )
        )

    def settle(self, message: Accepted) -> None:
        """A message reaches its final state: free its place, send the receipt if one is due."""
        state, account = self._state, message.account
        account.queued -= 1
        if not is_due(
            state.profile.receipts, message.pdu.number("registered_delivery"), message.stat
        ):
            return
        twice = state.faults.spend(
            DuplicateReceipts, message.session, account.system_id, state.clock()
        )
        receipt = self._receipt(message, message.stat)
        account.outbox.put(receipt)
        for _ in range(twice.copies - 1 if twice is not None else 0):
            account.outbox.put(replace(receipt))
        self._sender.send_waiting(account)

    def _judge(self, session: Session, pdu: Pdu, content: Content, *, is_answered: bool) -> None:
        state, now = self._state, self._state.clock()
        account = state.account_of(session)
        status = 0
        if state.faults and session.can_transmit:
            status = state.faults.refuse_submit(
                session.number, session.system_id, now, state.jitter
            )
        status = status or submit_status(state.profile, session, account, pdu, now)
        message = None
        if account is not None and status == 0:
            message = self._accept(session, account, pdu, content)
        else:
            tally(state.counters.refused, status)
        self._record(session, pdu, content, status if is_answered else None, message)
        early = message is not None and state.faults.spend(
            EarlyReceipts, session.number, session.system_id, now
        )
        if message is not None and early:
            self.settle(message)
        latency = state.seconds(state.profile.latency_ms, state.profile.latency_jitter_ms)
        if is_answered:
            message_id = None if message is None else message.message_id
            self._answer(Respond(session, pdu.sequence_number, status, message_id), now, latency)
        if message is not None and not early:
            self._plan(message, now + latency)

    def _answer(self, response: Respond, now: float, latency: float) -> None:
        session = response.session
        session.in_flight += 1
        session.max_in_flight = max(session.max_in_flight, session.in_flight)
        if latency:
            self._state.later(now + latency, response)
        else:
            self.respond(response)

    def _plan(self, message: Accepted, since: float) -> None:
        """Schedule the final state, and the intermediate notification half way to it."""
        state, profile = self._state, self._state.profile
        delay = state.seconds(profile.receipt_delay_ms, profile.receipt_jitter_ms)
        if wants_intermediate(profile.receipts, message.pdu.number("registered_delivery")):
            notification = self._receipt(message, Stat.ENROUTE)
            state.later(since + delay / 2, Owe(message.account, notification))
        state.later(since + delay, Settle(message))

    def _accept(
        self, session: Session, account: AccountState, pdu: Pdu, content: Content
    ) -> Accepted:
        state, number = self._state, self._state.next_id
        state.next_id += 1
        state.counters.accepted += 1
        account.queued += 1
        return Accepted(
            account=account,
            session=session.number,
            pdu=pdu,
            message_id=write_id(number, state.profile.response_id_form),
            receipt_id=write_id(number, state.profile.receipt_id_form),
            stat=state.outcome(pdu.text("destination_addr")),
            at=state.wall(),
            echo=content.text,
        )

    def _receipt(self, message: Accepted, stat: Stat) -> Delivery:
        sent = Sent(
            pdu=message.pdu,
            receipt_id=message.receipt_id,
            stat=stat,
            submitted_at=datetime.fromtimestamp(message.at, UTC),
            done_at=datetime.fromtimestamp(self._state.wall(), UTC),
            echo=message.echo,
        )
        return Delivery(
            owed=Owed.receipt,
            frame=receipt_frame(sent, self._state.profile.receipt_form),
            session=message.session,
            message_id=message.message_id,
            receipt_id=message.receipt_id,
            destination=message.pdu.text("destination_addr"),
            stat=stat,
        )

    def _record(
        self,
        session: Session,
        pdu: Pdu,
        content: Content,
        status: int | None,
        message: Accepted | None,
    ) -> None:
        tlvs = {
            f"0x{tag:04x}": value.hex() for tag, value in pdu.tlvs if tag != TlvTag.message_payload
        }
        self._state.journal.add(
            SubmitLine(
                at=self._state.wall(),
                session=session.number,
                system_id=session.system_id,
                seq=pdu.sequence_number,
                source=pdu.text("source_addr"),
                destination=pdu.text("destination_addr"),
                data_coding=pdu.number("data_coding"),
                esm_class=pdu.number("esm_class"),
                registered_delivery=pdu.number("registered_delivery"),
                text=content.text,
                hex=content.octets.hex(),
                status=status,
                message_id=None if message is None else message.message_id,
                stat=None if message is None else message.stat,
                tlvs=tlvs or None,
            )
        )
