"""What a server session answers, asks and refuses."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from hermes.mail.reply import Reply
from hermes.mail.server import MAX_HELD, ServerSession
from hermes.mail.server_effect import (
    Ask,
    AskContent,
    AskRecipient,
    AskSender,
    End,
    Recipient,
    Send,
    ServerEffect,
    ServerPolicy,
    StartTls,
    Transaction,
)

POLICY = ServerPolicy("sink.example", max_size=1000, max_line=100, max_command=512)
OK = Reply(250, ("2.1.0 fine",))
SAID_OK = Send(b"250 2.1.0 fine\r\n")


def session(policy: ServerPolicy = POLICY, hello: bytes = b"EHLO client\r\n") -> ServerSession:
    """A session after its hello."""
    made = ServerSession(policy, 0.0)
    made.greet()
    if hello:
        made.receive(hello, 0.0)
    return made


def said(effects: list[ServerEffect]) -> str:
    """All that was written, ends marked by a stop."""
    parts = [e.octets.decode() if isinstance(e, Send) else type(e).__name__ for e in effects]
    return "".join(parts).replace("\r\n", "|")


def at_content(policy: ServerPolicy = POLICY) -> ServerSession:
    """A session that waits for the message."""
    made = session(policy)
    made.receive(b"MAIL FROM:<a@b.example>\r\n", 0.0)
    made.answer(OK, 0.0)
    made.receive(b"RCPT TO:<u@x.example>\r\n", 0.0)
    made.answer(OK, 0.0)
    assert said(made.receive(b"DATA\r\n", 0.0)) == "354 end with a dot on a line of its own|"
    return made


def test_it_greets_and_tells_what_it_offers() -> None:
    made = ServerSession(replace(POLICY, starttls=True, any_credentials=True), 0.0)
    assert said(made.greet()) == "220 sink.example ESMTP|"
    assert said(made.receive(b"EHLO client\r\n", 0.0)) == (
        "250-sink.example|250-PIPELINING|250-SIZE 1000|250-8BITMIME|250-ENHANCEDSTATUSCODES|"
        "250-DSN|250-STARTTLS|250 AUTH PLAIN LOGIN|"
    )
    assert said(made.receive(b"helo client\n", 0.0)) == "250 sink.example|"


def test_a_mail_is_judged_at_its_sender_its_recipients_and_its_content() -> None:
    made = session()
    sender = "MAIL FROM:<a@b.example> RET=HDRS ENVID=x+2By\r\n"
    begun = Transaction("a@b.example", {"RET": "HDRS", "ENVID": "x+y"})
    assert made.receive(sender.encode(), 0.0) == [Ask(AskSender(begun))]
    assert made.answer(OK, 0.0) == [SAID_OK]
    first = Recipient("u@x.example", {"NOTIFY": "SUCCESS"})
    asked = made.receive(b"rcpt to: <u@x.example> notify=SUCCESS\r\n", 0.0)
    assert asked == [Ask(AskRecipient(begun, first))]
    made.answer(OK, 0.0)
    made.receive(b"RCPT TO:<nobody@x.example>\r\n", 0.0)
    assert said(made.answer(Reply(550, ("no",)), 0.0)) == "550 no|"
    made.receive(b"DATA\r\n", 0.0)
    asked = made.receive(b"Subject: x\r\n\r\n..dot\r\n.\r\n", 0.0)
    whole = replace(begun, recipients=(first,))
    assert asked == [Ask(AskContent(whole, b"Subject: x\r\n\r\n.dot\r\n"))]
    assert made.answer(OK, 0.0) == [SAID_OK]
    assert said(made.receive(b"DATA\r\n", 0.0)) == "503 5.5.1 not at this point|"


def test_commands_sent_ahead_wait_for_the_answer() -> None:
    made = session()
    ahead = b"MAIL FROM:<>\r\nRCPT TO:<u@x.example>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n"
    (asked,) = made.receive(ahead, 0.0)
    assert isinstance(asked, Ask)
    effects = made.answer(OK, 0.0)
    assert (effects[0], type(effects[1])) == (SAID_OK, Ask)
    effects = made.answer(OK, 0.0)
    assert said(effects) == "250 2.1.0 fine|354 end with a dot on a line of its own|Ask"
    assert said(made.answer(OK, 0.0)) == "250 2.1.0 fine|221 2.0.0 bye|End"
    assert made.is_closed


CONTENTS = [
    (b".\r\n", b""),
    (b"a\r\n.\r\n", b"a\r\n"),
    (b"...\r\n..a\r\n.\r\n", b"..\r\n.a\r\n"),
    (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),  # a bare LF ends no message
    (b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n"),
    (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n"),  # a dot before a bare LF is a doubled one
]


@pytest.mark.parametrize(("octets", "content"), CONTENTS)
def test_a_message_ends_at_a_dot_between_two_whole_line_ends(octets: bytes, content: bytes) -> None:
    for size in (1, 2, 3, 1000):
        made = at_content()
        effects: list[ServerEffect] = []
        for start in range(0, len(octets), size):
            effects += made.receive(octets[start : start + size], 0.0)
        (asked,) = effects
        assert isinstance(asked, Ask)
        assert isinstance(asked.question, AskContent)
        assert asked.question.content == content


def test_a_message_that_is_too_large_is_refused_at_its_end_and_not_kept() -> None:
    made = at_content()
    for _ in range(100):
        assert made.receive(b"x" * 50 + b"\r\n", 0.0) == []
    assert said(made.receive(b".\r\n", 0.0)) == "552 5.3.4 the message is too large|"
    assert said(made.receive(b"MAIL FROM:<> SIZE=1001\r\n", 0.0)).startswith("552 5.3.4")
    assert isinstance(made.receive(b"MAIL FROM:<> SIZE=1000\r\n", 0.0)[0], Ask)


def test_a_message_with_a_line_that_is_too_long_is_refused() -> None:
    effects = at_content().receive(b"x" * 101 + b"\r\n.\r\n", 0.0)
    assert said(effects) == "554 5.6.0 a line of the message is too long|"


OUT_OF_ORDER = [
    (b"MAIL FROM:<a@b.example>\r\n", b"", "503"),  # before the hello
    (b"RCPT TO:<a@b.example>\r\n", b"EHLO x\r\n", "503"),
    (b"DATA\r\n", b"EHLO x\r\n", "503"),
    (b"EHLO\r\n", b"", "501"),
    (b"MAIL FROM:a@b.example\r\n", b"EHLO x\r\n", "501"),
    (b"MAIL TO:<a@b.example>\r\n", b"EHLO x\r\n", "501"),
    (b"MAIL FROM <a@b.example>\r\n", b"EHLO x\r\n", "501"),
    (b"EXPN list\r\n", b"EHLO x\r\n", "500"),
    (b"STARTTLS\r\n", b"EHLO x\r\n", "500"),  # not offered
    (b"AUTH PLAIN\r\n", b"EHLO x\r\n", "500"),
    (b"\xff\xfe\r\n", b"EHLO x\r\n", "500"),
    (b"GET / HTTP/1.1\r\n", b"", "500"),
    (b"VRFY user\r\n", b"EHLO x\r\n", "252"),
    (b"NOOP\r\n", b"", "250"),
    (b"x" * 513 + b"\r\n", b"", "500"),
]


@pytest.mark.parametrize(("command", "hello", "code"), OUT_OF_ORDER)
def test_every_command_has_a_reply(command: bytes, hello: bytes, code: str) -> None:
    effects = session(POLICY, hello).receive(command, 0.0)
    assert said(effects)[:3] == code


def test_data_without_a_recipient_is_refused() -> None:
    made = session()
    made.receive(b"MAIL FROM:<>\r\n", 0.0)
    made.answer(OK, 0.0)
    assert said(made.receive(b"DATA\r\n", 0.0)) == "554 5.5.1 no valid recipients|"


def test_a_line_that_is_too_long_is_thrown_away_to_its_end() -> None:
    made = session()
    for _ in range(100):
        assert made.receive(b"x" * 513, 0.0) == []
    assert said(made.receive(b"x\r\nNOOP\r\n", 0.0)) == (
        "500 5.5.2 the line is too long|250 2.0.0 ok|"
    )


def test_too_many_errors_end_the_session() -> None:
    made = session(replace(POLICY, max_errors=2))
    assert said(made.receive(b"X\r\nX\r\n", 0.0)).count("500") == 2
    assert said(made.receive(b"X\r\n", 0.0)) == "421 4.7.0 too many errors|End"
    assert made.receive(b"NOOP\r\n", 0.0) == []


def test_too_many_messages_end_the_session() -> None:
    made = at_content(replace(POLICY, max_messages=1))
    made.receive(b".\r\n", 0.0)
    made.answer(OK, 0.0)
    effects = made.receive(b"MAIL FROM:<>\r\n", 0.0)
    assert said(effects) == "421 4.7.0 enough messages for one session|End"


def test_more_recipients_than_may_be_are_put_off() -> None:
    made = session(replace(POLICY, max_recipients=1))
    for command in (b"MAIL FROM:<>\r\n", b"RCPT TO:<u@x.example>\r\n"):
        made.receive(command, 0.0)
        made.answer(OK, 0.0)
    assert said(made.receive(b"RCPT TO:<v@x.example>\r\n", 0.0)).startswith("452 4.5.3")


def test_what_is_sent_ahead_of_an_open_question_is_bounded() -> None:
    made = session()
    made.receive(b"MAIL FROM:<>\r\n", 0.0)
    assert made.receive(b"x" * MAX_HELD, 0.0) == []
    assert made.receive(b"x", 0.0) == [End("too much sent ahead")]
    assert made.answer(OK, 0.0) == []


def test_a_silent_client_is_left_and_an_open_question_holds_the_session() -> None:
    made = session(replace(POLICY, command_timeout=10.0, session_timeout=100.0))
    assert made.tick(9.9) == []
    assert said(made.tick(10.0)) == "421 4.4.2 the time is over|End"
    made = session(replace(POLICY, command_timeout=10.0, session_timeout=100.0))
    made.receive(b"MAIL FROM:<>\r\n", 5.0)
    assert made.tick(15.0) == []
    assert made.next_deadline == 100.0
    assert said(made.tick(100.0)) == "421 4.4.2 the time is over|End"


def test_a_client_that_goes_on_and_on_is_left() -> None:
    made = session(replace(POLICY, command_timeout=10.0, session_timeout=25.0))
    for now in (9.0, 18.0):
        made.receive(b"NOOP\r\n", now)
    assert made.next_deadline == 25.0
    assert said(made.tick(25.0)).endswith("End")


def test_421_of_the_judge_ends_the_session() -> None:
    made = session()
    made.receive(b"MAIL FROM:<>\r\n", 0.0)
    assert said(made.answer(Reply(421, ("4.3.2 busy",)), 0.0)) == "421 4.3.2 busy|End"


def test_rset_and_hello_forget_the_mail_begun() -> None:
    for command in (b"RSET\r\n", b"EHLO again\r\n"):
        made = session()
        made.receive(b"MAIL FROM:<>\r\n", 0.0)
        made.answer(OK, 0.0)
        made.receive(command, 0.0)
        assert isinstance(made.receive(b"MAIL FROM:<>\r\n", 0.0)[0], Ask)


# ---------------------------------------------------------------------- TLS and credentials


def test_tls_forgets_what_was_said_before() -> None:
    made = session(replace(POLICY, starttls=True))
    effects = made.receive(b"STARTTLS\r\n", 0.0)
    assert effects == [Send(b"220 2.0.0 go ahead\r\n"), StartTls()]
    assert made.secured(0.0) == []
    assert said(made.receive(b"MAIL FROM:<>\r\n", 0.0)).startswith("503")
    assert "STARTTLS" not in said(made.receive(b"EHLO x\r\n", 0.0))
    assert said(made.receive(b"STARTTLS\r\n", 0.0)).startswith("503")
    (asked,) = made.receive(b"MAIL FROM:<>\r\n", 0.0)
    assert asked == Ask(AskSender(Transaction("", {}, is_secure=True)))


def test_text_sent_ahead_of_tls_ends_the_session() -> None:
    made = session(replace(POLICY, starttls=True))
    effects = made.receive(b"STARTTLS\r\nMAIL FROM:<>\r\n", 0.0)
    assert said(effects) == "421 4.5.1 text after STARTTLS|End"


def test_a_handshake_that_does_not_come_ends_the_session() -> None:
    made = session(replace(POLICY, starttls=True, command_timeout=10.0))
    made.receive(b"STARTTLS\r\n", 0.0)
    assert made.tick(10.0) == [End("no TLS handshake")]


LOCKED = replace(POLICY, credentials=("user", "pass"))


def coded(text: str) -> bytes:
    return b64encode(text.encode())


EXCHANGES = [
    ([b"AUTH PLAIN " + coded("\0user\0pass")], "235"),
    ([b"auth plain", coded("\0user\0pass")], "235"),
    ([b"AUTH LOGIN", coded("user"), coded("pass")], "235"),
    ([b"AUTH LOGIN " + coded("user"), coded("pass")], "235"),
    ([b"AUTH PLAIN " + coded("\0user\0wrong")], "535"),
    ([b"AUTH PLAIN " + coded("\0other\0pass")], "535"),
    ([b"AUTH PLAIN ="], "535"),  # an empty response
    ([b"AUTH LOGIN", b"*"], "501"),
    ([b"AUTH LOGIN", b"!!"], "501"),
    ([b"AUTH LOGIN", b"\xff"], "501"),
    ([b"AUTH CRAM-MD5"], "504"),
]


@pytest.mark.parametrize(("lines", "code"), EXCHANGES)
def test_credentials_let_in_or_not(lines: list[bytes], code: str) -> None:
    made = session(LOCKED)
    assert said(made.receive(b"MAIL FROM:<>\r\n", 0.0)).startswith("530")
    effects: list[ServerEffect] = []
    for line in lines:
        effects = made.receive(line + b"\r\n", 0.0) or effects
    assert said(effects)[:3] == code
    is_in = isinstance(made.receive(b"MAIL FROM:<>\r\n", 0.0)[0], Ask)
    assert is_in is (code == "235")
