"""What a session does in each state: the tables, its answers and its timers."""

from __future__ import annotations

import itertools
import math

import pytest

from hermes.smpp.command import MAX_SEQUENCE, CommandId, response_to
from hermes.smpp.encode import encode, encode_header_only
from hermes.smpp.pdu import Pdu
from hermes.smpp.session import Session, encode_deliver_resp
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
from hermes.smpp.session_table import BOUND, HEARINGS, SUBMITTING, TRANSITIONS, SessionState, Step

S = SessionState
BIND = encode_header_only(CommandId.bind_transceiver, 0, 0)
ACCEPTED = encode(Pdu(CommandId.bind_transceiver_resp, 0, 1, {"system_id": "SCRIPT"}))


def bound(bind: int = CommandId.bind_transceiver, interval: float = 30.0) -> Session:
    session = Session(encode_header_only(bind, 0, 0), interval, 10.0)
    session.bind()
    session.receive(encode_header_only(response_to(bind), 0, 1), 0.0)
    return session


def header(command: int, sequence: int = 7, status: int = 0) -> bytes:
    return encode_header_only(command, status, sequence)


def test_the_table_of_transitions_is_that_of_the_specification() -> None:
    """2.2: a bind leads from OPEN to its own state, an unbind from any of those to the end."""
    found = {
        (state, step): TRANSITIONS.get((state, step))
        for state, step in itertools.product(SessionState, Step)
    }
    expected: dict[tuple[SessionState, Step], SessionState | None] = dict.fromkeys(
        itertools.product(SessionState, Step)
    )
    expected[S.OPEN, Step.BIND] = S.BINDING
    expected[S.BINDING, Step.ACCEPT_TX] = S.BOUND_TX
    expected[S.BINDING, Step.ACCEPT_RX] = S.BOUND_RX
    expected[S.BINDING, Step.ACCEPT_TRX] = S.BOUND_TRX
    for state in (S.BOUND_TX, S.BOUND_RX, S.BOUND_TRX):
        expected[state, Step.UNBIND] = S.UNBINDING
    for state in SessionState:
        if state is not S.CLOSED:
            expected[state, Step.END] = S.CLOSED
    assert found == expected
    assert HEARINGS.keys() == set(SessionState)


def test_submits_may_be_written_where_the_specification_lets_an_esme_submit() -> None:
    """Table 2-1: submit_sm in BOUND_TX and BOUND_TRX."""
    assert {S.BOUND_TX, S.BOUND_TRX} == SUBMITTING
    assert {S.BOUND_TX, S.BOUND_RX, S.BOUND_TRX, S.UNBINDING} == BOUND


def test_a_bind_gets_the_first_sequence_number_and_its_acceptance_binds() -> None:
    session = Session(BIND, 30.0, 10.0)
    assert (session.state, session.next_deadline) == (S.OPEN, math.inf)
    assert session.bind() == [Send(header(CommandId.bind_transceiver, 1))]
    assert (session.state, session.may_submit) == (S.BINDING, False)
    assert session.receive(ACCEPTED, 5.0) == [Announce("SCRIPT")]
    assert (session.state, session.may_submit) == (S.BOUND_TRX, True)
    assert (session.next_deadline, session.next_sequence()) == (35.0, 2)


REFUSALS = [
    (header(CommandId.bind_transceiver_resp, 1, 0x0E), 0x0E),
    (header(CommandId.bind_transceiver_resp, 1, 0x40A), 0x40A),
    (header(CommandId.bind_transmitter_resp, 1), 0x03),  # the answer to another bind
    (header(CommandId.generic_nack, 1), 0x03),
    (header(CommandId.generic_nack, 1, 0x02), 0x02),
]


@pytest.mark.parametrize(("answer", "status"), REFUSALS)
def test_any_other_answer_to_a_bind_refuses_it(answer: bytes, status: int) -> None:
    session = Session(BIND, 30.0, 10.0)
    session.bind()
    end = End(f"bind refused with status 0x{status:08x}")
    assert session.receive(answer, 0.0) == [Refuse(status), end]
    assert session.state is S.CLOSED


def answered(command: int, sequence: int = 7, status: int = 0) -> Send:
    return Send(header(command, sequence, status))


UNBOUND: list[Effect] = [answered(CommandId.unbind_resp), End("peer unbind")]
NACK = answered(CommandId.generic_nack, status=3)
ALERT = header(CommandId.alert_notification)
HEARD: list[tuple[int, list[Effect]]] = [
    (CommandId.enquire_link, [answered(CommandId.enquire_link_resp)]),
    (CommandId.unbind, UNBOUND),
    (CommandId.deliver_sm, [Deliver(header(CommandId.deliver_sm), 7)]),
    (CommandId.data_sm, [Deliver(header(CommandId.data_sm), 7)]),
    (CommandId.outbind, [Notify(CommandId.outbind, header(CommandId.outbind))]),
    (CommandId.alert_notification, [Notify(CommandId.alert_notification, ALERT)]),
    (CommandId.submit_sm, [NACK, Complain("unexpected request submit_sm", header(4))]),
    (0x0999, [NACK, Complain("unexpected request 0x00000999", header(0x0999))]),
    (CommandId.submit_sm_resp, [Match(header(CommandId.submit_sm_resp), 0x8000_0004)]),
    (CommandId.generic_nack, [Match(header(CommandId.generic_nack), 0x8000_0000)]),
    (CommandId.unbind_resp, [Match(header(CommandId.unbind_resp), 0x8000_0006)]),
    (0x8000_0999, [Match(header(0x8000_0999), 0x8000_0999)]),
]


@pytest.mark.parametrize(("command", "effects"), HEARD)
@pytest.mark.parametrize(
    "bind", [CommandId.bind_transmitter, CommandId.bind_receiver, CommandId.bind_transceiver]
)
def test_a_bound_session_answers_each_command_alike_in_every_mode(
    bind: int, command: int, effects: list[Effect]
) -> None:
    assert bound(bind).receive(header(command), 1.0) == effects


def test_while_binding_only_enquire_link_is_answered() -> None:
    session = Session(BIND, 30.0, 10.0)
    session.bind()
    hurried = [CommandId.outbind, CommandId.deliver_sm, CommandId.unbind, CommandId.enquire_link]
    effects = session.receive(b"".join(map(header, hurried)) + ACCEPTED, 0.0)
    assert effects == [answered(CommandId.enquire_link_resp), Announce("SCRIPT")]


def test_what_follows_an_unbind_is_not_heard() -> None:
    frames = header(CommandId.unbind) + header(CommandId.deliver_sm)
    session = bound()
    assert session.receive(frames, 0.0) == UNBOUND
    assert session.receive(header(CommandId.enquire_link), 1.0) == []
    assert session.end("connection closed by peer") == []
    assert session.unbind(2.0) == session.tick(1e9) == []


def test_octets_that_are_no_smpp_end_the_session_after_the_frames_before_them() -> None:
    session = bound()
    effects = session.receive(header(CommandId.enquire_link) + b"HTTP/1.1", 0.0)
    end = End("command_length 1213486160 is outside 16..66560")
    assert effects == [answered(CommandId.enquire_link_resp), end]
    assert session.buffered == 0


def test_half_a_pdu_is_counted() -> None:
    session = bound()
    assert session.receive(header(CommandId.enquire_link)[:9], 0.0) == []
    assert session.buffered == 9
    assert session.end("connection closed by peer") == [End("connection closed by peer")]


ENDS: list[bytes] = [header(CommandId.unbind_resp, 2), header(CommandId.unbind), b"HTTP/1.1"]


@pytest.mark.parametrize("octets", ENDS)
def test_an_unbind_of_ours_is_drained_however_it_ends(octets: bytes) -> None:
    session = bound()
    assert session.unbind(5.0) == [Send(header(CommandId.unbind, 2))]
    assert session.unbind(5.0) == []
    assert (session.may_submit, session.is_bound) == (False, True)
    late = header(CommandId.submit_sm_resp)
    assert session.receive(late, 6.0) == [Match(late, 0x8000_0004)]
    assert session.receive(octets, 6.0)[-1] == End("drained")


def test_an_unbind_that_is_not_answered_ends_after_two_seconds() -> None:
    session = bound()
    session.tick(30.0)
    session.unbind(31.0)
    assert session.next_deadline == 33.0
    answer = header(CommandId.enquire_link_resp, 2)
    assert session.receive(answer, 32.0) == [Measure(2.0)]
    assert session.tick(32.9) == []
    assert session.tick(33.0) == [End("drained")]
    assert session.next_deadline == math.inf


@pytest.mark.parametrize("command", [CommandId.enquire_link_resp, CommandId.generic_nack])
def test_an_enquire_link_is_sent_in_time_and_measures(command: int) -> None:
    session = bound()
    assert session.tick(29.9) == []
    assert session.tick(30.0) == [Send(header(CommandId.enquire_link, 2))]
    assert session.next_deadline == 40.0
    assert session.receive(header(command, 2), 30.5) == [Measure(0.5)]
    assert session.next_deadline == 60.0
    again = header(command, 2)
    assert session.receive(again, 31.0) == [Match(again, command)]


def test_an_enquire_link_without_an_answer_ends_the_session() -> None:
    session = bound()
    session.tick(30.0)
    assert session.tick(39.9) == []
    assert session.tick(40.0) == [End("enquire_link unanswered for 10.0 s")]


def test_one_enquire_link_is_out_at_a_time() -> None:
    session = bound(interval=4.0)
    assert session.tick(4.0) == [Send(header(CommandId.enquire_link, 2))]
    assert (session.tick(8.0), session.next_deadline) == ([], 14.0)
    assert session.receive(header(CommandId.enquire_link_resp, 2), 9.0) == [Measure(5.0)]
    assert session.tick(14.0) == [Send(header(CommandId.enquire_link, 3))]


def test_sequence_numbers_begin_again_after_the_last_one() -> None:
    session = bound()
    session._sequence = MAX_SEQUENCE - 1
    assert [session.next_sequence(), session.next_sequence()] == [MAX_SEQUENCE, 1]


def test_the_answer_to_a_message_has_an_empty_message_id() -> None:
    answer = encode(Pdu(CommandId.data_sm_resp, 0x64, 9, {"message_id": ""}))
    assert encode_deliver_resp(CommandId.data_sm, 0x64, 9) == answer
