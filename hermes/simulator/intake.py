"""The submit side of the message centre: judges submits, and settles what it accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from hermes.simulator.account import Accepted, AccountState
from hermes.simulator.admission import submit_status
from hermes.simulator.content import Content, read_content
from hermes.simulator.counters import tally
from hermes.simulator.fault import (
    BlackHole,
    DropOnSubmit,
    DuplicateReceipts,
    EarlyReceipts,
    Refused,
    RefuseSubmits,
    Request,
    Silence,
)
from hermes.simulator.journal import SubmitLine
from hermes.simulator.later import Owe, Respond, Settle
from hermes.simulator.message_id import write_id
from hermes.simulator.outcome import Stat
from hermes.simulator.receipt import (
    Delivery,
    Owed,
    is_due,
    is_receipted_part,
    receipt_frame,
    wants_intermediate,
)
from hermes.simulator.receipt_text import Sent, parse_zone
from hermes.simulator.state import State
from hermes.smpp.pdu import Pdu
from hermes.smpp.tlv import TlvTag

if TYPE_CHECKING:
    from hermes.simulator.response import Responder
    from hermes.simulator.sender import Sender
    from hermes.simulator.session import Session


class Intake:
    """Takes submit_sm from sessions."""

    def __init__(self, state: State, sender: Sender, responder: Responder) -> None:
        self._state = state
        self._sender = sender
        self._responder = responder

    def on_submit(self, session: Session, pdu: Pdu) -> None:
        """Obey the faults that are on, else judge the submit and answer it."""
        state = self._state
        state.counters.submits += 1
        session.submit_count += 1
        content = read_content(pdu, state.profile.default_alphabet)
        if state.faults:
            self._on_disturbed_submit(session, pdu, content)
        else:
            self._judge(session, pdu, content, is_answered=True)

    def _on_disturbed_submit(self, session: Session, pdu: Pdu, content: Content) -> None:
        state = self._state
        hole = state.hole(session, Silence.all, Silence.submits)
        if hole is not None:
            state.spend(BlackHole, session)
        inject = state.injection(session, Request.submit)
        if inject is not None:
            session.send(inject.octets(pdu.sequence_number))
        drop = state.spend(DropOnSubmit, session)
        response = None
        if (hole is not None and not hole.accept) or (drop is not None and not drop.accept):
            self._record(session, pdu, content, None, None)
        else:
            is_replaced = inject is not None and inject.instead
            is_answered = hole is None and drop is None and not is_replaced
            response = self._judge(session, pdu, content, is_answered=is_answered)
        if drop is not None:
            if drop.octets and response is not None:
                session.send(self._responder.frame(response)[: drop.octets])
            session.end(drop.how, "fault drop_on_submit")

    def settle(self, message: Accepted) -> None:
        """A message reaches its final state: free its place, send the receipt if one is due."""
        state, account = self._state, message.account
        account.queued -= 1
        profile, pdu = state.profile, message.pdu
        if not is_due(profile.receipts, pdu.number("registered_delivery"), message.stat):
            return
        if not is_receipted_part(profile.receipt_parts, pdu):
            return
        twice = state.faults.spend(
            DuplicateReceipts, message.session, account.system_id, state.clock()
        )
        receipt = self._receipt(message, message.stat)
        account.outbox.put(receipt)
        for _ in range(twice.copies - 1 if twice is not None else 0):
            account.outbox.put(replace(receipt))
        self._sender.send_waiting(account)

    def _judge(self, session: Session, pdu: Pdu, content: Content, *, is_answered: bool) -> Respond:
        state, now = self._state, self._state.clock()
        account = state.account_of(session)
        status, refused = 0, Refused.bare
        refusal = state.find(RefuseSubmits, session)
        if refusal is not None and session.can_transmit:
            status = state.faults.refuse_submit(
                session.number, session.system_id, now, state.jitter
            )
            refused = refusal.answer if status else Refused.bare
        status = status or submit_status(state.profile, session, account, pdu, now)
        message = None
        if account is not None and status == 0:
            message = self._accept(session, account, pdu, content)
        else:
            tally(state.counters.refused, status)
        self._record(session, pdu, content, status if is_answered else None, message)
        early = message is not None and state.spend(EarlyReceipts, session)
        if message is not None and early:
            self.settle(message)
        latency = state.seconds(state.profile.latency_ms, state.profile.latency_jitter_ms)
        message_id = None if message is None else message.message_id
        response = Respond(session, pdu.sequence_number, status, message_id, refused)
        answered_at = now + latency
        if is_answered:
            answered_at = self._responder.answer(response, latency)
        if message is not None and not early:
            self._plan(message, answered_at)
        return response

    def _plan(self, message: Accepted, since: float) -> None:
        """Schedule the final state, and the intermediate notification on the way to it."""
        state, profile = self._state, self._state.profile
        delay = state.seconds(profile.receipt_delay_ms, profile.receipt_jitter_ms)
        if wants_intermediate(
            profile, message.pdu.number("registered_delivery")
        ) and is_receipted_part(profile.receipt_parts, message.pdu):
            notification = self._receipt(message, Stat.ENROUTE)
            enroute = profile.enroute_ms / 1000 or delay / 2
            state.later(since + enroute, Owe(message.account, notification))
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
            number=number,
            message_id=write_id(number, state.profile.response_id_form),
            receipt_id=write_id(number, state.profile.receipt_id_form),
            stat=state.outcome(pdu.text("source_addr"), pdu.text("destination_addr")),
            at=state.wall(),
            echo=content.text,
        )

    def _receipt(self, message: Accepted, stat: Stat) -> Delivery:
        profile = self._state.profile
        zone = parse_zone(profile.time_zone)
        sent = Sent(
            pdu=message.pdu,
            receipt_id=message.receipt_id,
            stat=stat,
            submitted_at=datetime.fromtimestamp(message.at, zone),
            done_at=datetime.fromtimestamp(self._state.wall(), zone),
            echo=message.echo,
            number=message.number,
        )
        return Delivery(
            owed=Owed.receipt,
            frame=receipt_frame(sent, profile),
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
