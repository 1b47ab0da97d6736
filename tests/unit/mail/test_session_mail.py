"""What a client session does with mails, and how each of them ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hermes.mail.message import ALWAYS, Mail
from hermes.mail.reply import Reply
from hermes.mail.session import Session
from hermes.mail.session_effect import (
    Answered,
    Effect,
    End,
    Free,
    NotSent,
    Send,
    Settle,
    Stage,
    Uncertain,
)
from tests.unit.mail.session_stand import FULL_HELLO, MAIL, PLAIN_HELLO, answered, in_flight, opened

CONTENT = Send(b"Subject: x\r\n\r\n..dot\r\n.\r\n")
MAIL_FROM = b"MAIL FROM:<b+x@b.example> SIZE=20\r\n"
RCPT_TO = b"RCPT TO:<u@x.example>\r\n"


def test_a_mail_goes_command_by_command_where_no_pipelining_is_offered() -> None:
    session = opened()
    assert session.submit(MAIL, 1.0) == [Send(MAIL_FROM)]
    assert session.receive(b"250 ok\r\n", 1.0) == [Send(RCPT_TO)]
    assert session.receive(b"250 ok\r\n", 1.0) == [Send(b"DATA\r\n")]
    assert session.receive(b"354 go\r\n", 1.0) == [CONTENT]
    assert session.receive(b"250 taken\r\n", 1.0) == [answered(b"250 taken", Stage.CONTENT), Free()]
    assert session.submit(MAIL, 1.0) == [Send(MAIL_FROM)]


def test_a_mail_goes_in_one_piece_where_pipelining_is_offered() -> None:
    session = opened(FULL_HELLO)
    envelope = (
        b"MAIL FROM:<b+x@b.example> SIZE=20 RET=HDRS ENVID=ref\r\n"
        b"RCPT TO:<u@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;u@x.example\r\n"
        b"DATA\r\n"
    )
    assert session.submit(MAIL, 1.0) == [Send(envelope)]
    assert session.receive(b"250 ok\r\n250 ok\r\n354 go\r\n", 1.0) == [CONTENT]
    assert session.receive(b"250 taken\r\n", 1.0) == [answered(b"250 taken", Stage.CONTENT), Free()]


def test_reports_are_asked_for_in_the_words_of_rfc_3461() -> None:
    session = opened(b"250-relay\r\n250-PIPELINING\r\n250 DSN\r\n")
    mail = Mail("", '"a=b"@x.example', b"x\r\n", envelope_id="a b+c", notify=ALWAYS)
    (sent,) = session.submit(mail, 0.0)
    assert sent == Send(
        b"MAIL FROM:<> RET=HDRS ENVID=a+20b+2Bc\r\n"
        b'RCPT TO:<"a=b"@x.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;"a+3Db"@x.example\r\n'
        b"DATA\r\n"
    )
    quiet = Mail("a@b.example", "u@x.example", b"x\r\n", notify=())
    assert b"NOTIFY=NEVER" in repr(opened(FULL_HELLO).submit(quiet, 0.0)).encode()


def test_eight_bit_content_says_so_where_it_is_offered() -> None:
    mail = Mail("a@b.example", "u@x.example", b"\xc3\xa9\r\n")
    session = opened(b"250-relay\r\n250 8BITMIME\r\n")
    assert session.submit(mail, 0.0) == [Send(b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n")]


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b"\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\n.\nMAIL FROM:<>\n", b"a\r\n..\r\nMAIL FROM:<>\r\n.\r\n"),  # a bare LF ends no message
        (b"a\r.\rb\r\n.\n", b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
    ],
)
def test_no_content_holds_its_own_end(content: bytes, wire: bytes) -> None:
    session = opened()
    session.submit(Mail("a@b.example", "u@x.example", content), 0.0)
    session.receive(b"250 ok\r\n", 0.0)
    session.receive(b"250 ok\r\n", 0.0)
    assert session.receive(b"354 go\r\n", 0.0) == [Send(wire)]


RSET = Send(b"RSET\r\n")


@pytest.mark.parametrize(
    ("replies", "settle"),
    [
        ([b"550 no"], answered(b"550 no", Stage.MAIL)),
        ([b"250 ok", b"450 no"], answered(b"450 no", Stage.RCPT)),
        ([b"250 ok", b"251 ok", b"451 no"], answered(b"451 no", Stage.DATA)),
        ([b"250 ok", b"250 ok", b"354 go", b"554 no"], answered(b"554 no", Stage.CONTENT)),
    ],
)
def test_a_refused_mail_has_its_outcome_and_the_session_goes_on_after_rset(
    replies: list[bytes], settle: Settle
) -> None:
    session = opened()
    session.submit(MAIL, 0.0)
    effects: list[Effect] = []
    for reply in replies:
        effects = session.receive(reply + b"\r\n", 0.0)
    assert effects == [settle, RSET]
    assert session.receive(b"250 ok\r\n", 0.0) == [Free()]


@pytest.mark.parametrize(
    ("replies", "settle"),
    [
        (b"550 a\r\n503 b\r\n503 c\r\n", answered(b"550 a", Stage.MAIL)),
        (b"250 ok\r\n550 b\r\n554 c\r\n", answered(b"550 b", Stage.RCPT)),
        (b"250 ok\r\n250 ok\r\n451 c\r\n", answered(b"451 c", Stage.DATA)),
    ],
)
def test_a_mail_refused_in_one_piece_has_the_first_refusal(replies: bytes, settle: Settle) -> None:
    session = opened(FULL_HELLO)
    session.submit(MAIL, 0.0)
    assert session.receive(replies, 0.0) == [settle, RSET]
    assert session.receive(b"250 ok\r\n", 0.0) == [Free()]


@pytest.mark.parametrize("last", [b"554 nobody\r\n", b"250 taken\r\n"])
def test_a_server_that_wants_a_message_for_nobody_gets_an_empty_one(last: bytes) -> None:
    """RFC 2920, 3.1: the reply to it says nothing of the mail."""
    session = opened(FULL_HELLO)
    session.submit(MAIL, 0.0)
    assert session.receive(b"250 ok\r\n550 no\r\n354 go\r\n", 0.0) == [Send(b".\r\n")]
    assert session.receive(last, 0.0) == [answered(b"550 no", Stage.RCPT), RSET]


def test_a_mail_larger_than_the_relay_takes_is_refused_here() -> None:
    session = opened()
    effects = session.submit(Mail("a@b.example", "u@x.example", b"x" * 1001), 0.0)
    why = "5.3.4 the message has 1001 octets, the relay takes 1000"
    assert effects == [Settle(Answered(Reply(552, (why,)), Stage.SIZE)), Free()]
    assert session.is_free


def test_421_is_a_refusal_and_the_end() -> None:
    for replies, stage in (
        ([b"421 bye"], Stage.MAIL),
        ([b"250 ok", b"250 ok", b"354 go", b"421 bye"], Stage.CONTENT),
    ):
        session = opened()
        session.submit(MAIL, 0.0)
        effects: list[Effect] = []
        for reply in replies:
            effects = session.receive(reply + b"\r\n", 0.0)
        assert effects == [answered(b"421 bye", stage), End("the server leaves: 421 bye")]


@pytest.mark.parametrize("hello", [PLAIN_HELLO, FULL_HELLO])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_mail_whose_content_was_not_written_is_not_sent(hello: bytes, count: int) -> None:
    ends: list[tuple[Callable[[Session], list[Effect]], str]] = [
        (lambda session: session.lost("gone"), "gone"),
        (lambda session: session.receive(b"?\r\n", 0.0), "not an SMTP reply"),
        (lambda session: session.tick(9999.0), "no reply within 300 s in state envelope"),
    ]
    for end, reason in ends:
        settle, ended = end(in_flight(count, opened(hello)))
        assert isinstance(settle, Settle)
        assert isinstance(settle.outcome, NotSent)
        assert settle.outcome.why.startswith(reason)
        assert isinstance(ended, End)


def test_a_mail_whose_final_dot_was_written_is_uncertain() -> None:
    ends: list[tuple[Callable[[Session], list[Effect]], str]] = [
        (lambda session: session.lost("gone"), "gone"),
        (lambda session: session.receive(b"?\r\n", 0.0), "not an SMTP reply"),
        (lambda session: session.receive(b"354 go\r\n", 0.0), "354 is no reply to a message"),
        (lambda session: session.tick(600.0), "no reply within 600 s in state content"),
    ]
    for end, reason in ends:
        settle, ended = end(in_flight(3, opened()))
        assert isinstance(settle, Settle)
        assert isinstance(settle.outcome, Uncertain)
        assert settle.outcome.why.startswith(reason)
        assert isinstance(ended, End)


def test_a_refusal_that_is_known_stays_when_the_connection_is_lost_behind_it() -> None:
    session = opened(FULL_HELLO)
    session.submit(MAIL, 0.0)
    assert session.receive(b"550 no\r\n", 0.0) == []
    assert session.lost("gone") == [answered(b"550 no", Stage.MAIL), End("gone")]


def test_a_reply_that_answers_nothing_ends_a_free_session() -> None:
    assert opened().receive(b"250 ok\r\n", 0.0) == [End("a reply to nothing: 250 ok")]
    leaving = opened().receive(b"421 4.4.2 idle\r\n", 0.0)
    assert leaving == [End("the server leaves: 421 4.4.2 idle", is_orderly=True)]


@pytest.mark.parametrize("reply", [b"354 go\r\n", b"220 hi\r\n"])
def test_a_reply_out_of_place_ends_the_session_before_anything_is_sent(reply: bytes) -> None:
    session = opened()
    session.submit(MAIL, 0.0)
    if reply.startswith(b"220"):
        session.receive(b"250 ok\r\n", 0.0)
        session.receive(b"250 ok\r\n", 0.0)
    settle, ended = session.receive(reply, 0.0)
    assert isinstance(settle, Settle)
    assert isinstance(settle.outcome, NotSent)
    assert isinstance(ended, End)
