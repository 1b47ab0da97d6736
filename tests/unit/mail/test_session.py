"""How a client session opens and ends, and what servers offer."""

from __future__ import annotations

import itertools
import math

import pytest

from hermes.mail.hello import Account, Extensions, read_extensions
from hermes.mail.reply import Reply
from hermes.mail.session import Session
from hermes.mail.session_effect import Effect, End, Free, Opened, Refuse, Send, Stage, StartTls
from hermes.mail.session_table import OPENING, TRANSITIONS, SessionState, Step, Timers
from tests.unit.mail.session_stand import (
    MAIL,
    PLAIN,
    PLAIN_HELLO,
    QUIT,
    answered,
    in_flight,
    opened,
)

S = SessionState
EHLO = Send(b"EHLO hermes.acme.example\r\n")


def test_every_step_leads_somewhere_and_every_state_ends() -> None:
    assert {step for _, step in TRANSITIONS} == set(Step)
    enders = {state for state in S if (state, Step.END) in TRANSITIONS}
    assert enders == set(S) - {S.CLOSED}
    reached = {S.GREETING, *TRANSITIONS.values()}
    assert reached == set(S)
    assert S.IDLE not in OPENING
    for state, step in itertools.product(S, Step):
        if state is S.CLOSED:
            assert (state, step) not in TRANSITIONS


# ---------------------------------------------------------------------- opening


def test_a_session_in_the_clear_greets_and_is_open() -> None:
    session = Session(PLAIN, Timers())
    assert session.begin(5.0) == []
    assert session.next_deadline == 65.0
    assert session.receive(b"220-hi\r\n220 there\r\n", 6.0) == [EHLO]
    assert session.receive(PLAIN_HELLO, 7.0) == [Opened(Extensions(size=1000))]
    assert (session.is_free, session.next_deadline) == (True, 37.0)


def test_a_server_without_ehlo_gets_helo() -> None:
    session = Session(PLAIN, Timers())
    session.begin(0.0)
    session.receive(b"220 hi\r\n", 0.0)
    helo = Send(b"HELO hermes.acme.example\r\n")
    assert session.receive(b"502 what?\r\n", 0.0) == [helo]
    assert session.receive(b"250 hello\r\n", 0.0) == [Opened(Extensions())]


SECURE = Account("h.example", username="user", password="pass")
STARTTLS_HELLO = b"250-relay\r\n250-AUTH LOGIN PLAIN\r\n250 STARTTLS\r\n"


def secured(hello: bytes) -> tuple[Session, list[Effect]]:
    """A session after TLS, and what it does at this EHLO reply."""
    session = Session(SECURE, Timers())
    session.begin(0.0)
    session.receive(b"220 hi\r\n", 0.0)
    assert session.receive(STARTTLS_HELLO, 0.0) == [Send(b"STARTTLS\r\n")]
    assert session.receive(b"220 go ahead\r\n", 0.0) == [StartTls()]
    assert session.secured(0.0) == [Send(b"EHLO h.example\r\n")]
    return session, session.receive(hello, 0.0)


def test_tls_comes_before_the_credentials_and_the_offers_are_asked_for_again() -> None:
    session, effects = secured(b"250-relay\r\n250 AUTH PLAIN\r\n")
    assert effects == [Send(b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n")]
    assert session.receive(b"235 2.7.0 in\r\n", 0.0) == [Opened(Extensions(auth=("PLAIN",)))]


def test_login_is_spoken_where_plain_is_not() -> None:
    session, effects = secured(b"250-relay\r\n250 AUTH=LOGIN CRAM-MD5\r\n")
    assert effects == [Send(b"AUTH LOGIN\r\n")]
    assert session.receive(b"334 VXNlcm5hbWU6\r\n", 0.0) == [Send(b"dXNlcg==\r\n")]
    assert session.receive(b"334 UGFzc3dvcmQ6\r\n", 0.0) == [Send(b"cGFzcw==\r\n")]
    assert session.receive(b"235 in\r\n", 0.0) == [Opened(session.extensions)]


def test_a_server_that_passes_over_the_initial_response_gets_it_once_more() -> None:
    session, _ = secured(b"250-relay\r\n250 AUTH PLAIN\r\n")
    assert session.receive(b"334 \r\n", 0.0) == [Send(b"AHVzZXIAcGFzcw==\r\n")]
    effects = session.receive(b"334 \r\n", 0.0)
    assert effects[0] == Refuse(Stage.AUTH, "refused", Reply(334, ("",)))


REFUSALS = [
    (PLAIN, [b"554 no\r\n"], Refuse(Stage.CONNECT, "refused", Reply(554, ("no",)))),
    (PLAIN, [b"421 busy\r\n"], Refuse(Stage.CONNECT, "refused", Reply(421, ("busy",)))),
    (PLAIN, [b"220 hi\r\n", b"421 busy\r\n"], Refuse(Stage.EHLO, "refused", Reply(421, ("busy",)))),
    (
        PLAIN,
        [b"220 hi\r\n", b"500 what\r\n", b"550 no\r\n"],
        Refuse(Stage.EHLO, "refused", Reply(550, ("no",))),
    ),
    (SECURE, [b"220 hi\r\n", PLAIN_HELLO], Refuse(Stage.EHLO, "no STARTTLS is offered")),
    (
        SECURE,
        [b"220 hi\r\n", b"502 what\r\n"],
        Refuse(Stage.EHLO, "no EHLO, so no TLS", Reply(502, ("what",))),
    ),
    (
        SECURE,
        [b"220 hi\r\n", STARTTLS_HELLO, b"454 not now\r\n"],
        Refuse(Stage.STARTTLS, "refused", Reply(454, ("not now",))),
    ),
    (
        Account("h.example", "plain", "user", "pass"),
        [b"220 hi\r\n", STARTTLS_HELLO],
        Refuse(Stage.EHLO, "credentials are not sent in the clear"),
    ),
    (
        Account("h.example", "implicit", "user", "pass"),
        [b"220 hi\r\n", b"250-relay\r\n250 AUTH CRAM-MD5\r\n"],
        Refuse(Stage.EHLO, "neither AUTH PLAIN nor LOGIN is offered, but CRAM-MD5"),
    ),
    (
        Account("h.example", "plain", "user", "pass", clear_credentials=True),
        [b"220 hi\r\n", STARTTLS_HELLO, b"535 5.7.8 no\r\n"],
        Refuse(Stage.AUTH, "refused", Reply(535, ("5.7.8 no",))),
    ),
]


@pytest.mark.parametrize(("account", "replies", "refusal"), REFUSALS)
def test_a_session_that_cannot_open_says_by_whom_and_why(
    account: Account, replies: list[bytes], refusal: Refuse
) -> None:
    session = Session(account, Timers())
    session.begin(0.0)
    effects: list[Effect] = []
    for reply in replies:
        effects = session.receive(reply, 0.0)
    told = f"{refusal.why}: {refusal.reply.line}" if refusal.reply else refusal.why
    assert effects == [refusal, QUIT, End(told)]
    assert (session.state, session.next_deadline) == (S.CLOSED, math.inf)


@pytest.mark.parametrize("tail", [b"250 x\r\n", b"250", b"\r"])
def test_text_in_the_clear_behind_the_reply_to_starttls_ends_the_session(tail: bytes) -> None:
    session = Session(SECURE, Timers())
    session.begin(0.0)
    session.receive(b"220 hi\r\n", 0.0)
    session.receive(STARTTLS_HELLO, 0.0)
    effects = session.receive(b"220 go ahead\r\n" + tail, 0.0)
    assert effects[-1] == End("text in the clear after the reply to STARTTLS")
    assert session.secured(0.0) == []


def test_an_opening_that_takes_too_long_ends() -> None:
    session = Session(PLAIN, Timers(greeting=10.0))
    session.begin(0.0)
    assert session.tick(9.9) == []
    assert session.tick(10.0) == [End("no reply within 10 s in state greeting")]


def test_credentials_are_not_shown_and_hold_no_nul() -> None:
    assert "pass" not in repr(SECURE)
    with pytest.raises(ValueError, match="credentials hold a NUL"):
        Account("h.example", username="u", password="a\0b")
    with pytest.raises(ValueError, match="the name 'localhost' for EHLO: its domain has no dot"):
        Account("localhost")
    assert Account("[192.0.2.1]").name == "[192.0.2.1]"


# ---------------------------------------------------------------------- ends


def test_a_free_session_quits_at_once() -> None:
    session = opened()
    assert session.quit(10.0) == [QUIT]
    assert session.next_deadline == 12.0
    assert session.receive(b"221 bye\r\n", 10.0) == [End("drained", is_orderly=True)]


def test_a_quit_that_is_not_answered_ends_after_two_seconds() -> None:
    session = opened()
    session.quit(10.0)
    assert session.tick(11.9) == []
    assert session.tick(12.0) == [End("drained", is_orderly=True)]


def test_a_busy_session_quits_after_its_mail() -> None:
    session = in_flight(3, opened())
    assert session.quit(1.0) == []
    assert session.receive(b"250 ok\r\n", 1.0) == [answered(b"250 ok", Stage.CONTENT), QUIT]
    assert not session.is_free


def test_a_session_quits_after_the_mails_it_may_carry() -> None:
    session = in_flight(3, opened(max_messages=2))
    assert session.receive(b"250 ok\r\n", 1.0)[-1] == Free()
    in_flight(3, session)
    assert session.receive(b"250 ok\r\n", 1.0)[-1] == QUIT


def test_an_idle_session_quits() -> None:
    session = opened()
    assert session.tick(29.9) == []
    assert session.tick(30.0) == [QUIT]


def test_a_session_quits_before_it_is_open() -> None:
    session = Session(PLAIN, Timers())
    session.begin(0.0)
    assert session.quit(0.0) == [End("drained", is_orderly=True)]


def test_nothing_happens_after_the_end() -> None:
    session = opened()
    session.lost("gone")
    assert session.lost("again") == []
    assert session.receive(b"250 ok\r\n", 0.0) == []
    assert (session.tick(1e9), session.quit(0.0)) == ([], [])
    with pytest.raises(ValueError, match="a mail in state CLOSED"):
        session.submit(MAIL, 0.0)


# ---------------------------------------------------------------------- what is offered


@pytest.mark.parametrize(
    ("lines", "extensions"),
    [
        (("relay",), Extensions()),
        (("relay", "size"), Extensions()),  # without a number: no limit is known
        (("relay", "SIZE 0"), Extensions()),  # RFC 1870, 4: 0 is no limit
        (("relay", "SIZE x"), Extensions()),
        (("relay", "SIZE " + "9" * 50), Extensions()),
        (("relay", "pipelining", "size 10", "dsn", "8bitmime", "starttls"),
         Extensions(True, True, True, True, 10)),
        (("relay", "AUTH PLAIN LOGIN", "AUTH=LOGIN NTLM"),
         Extensions(auth=("PLAIN", "LOGIN", "NTLM"))),
    ],
)  # fmt: skip
def test_offers_are_read_in_any_case(lines: tuple[str, ...], extensions: Extensions) -> None:
    assert read_extensions(Reply(250, lines)) == extensions
