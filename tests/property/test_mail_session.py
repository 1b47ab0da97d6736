"""A client session against any octets, split anywhere, in any state, at any time."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.mail.hello import Account
from hermes.mail.message import Mail
from hermes.mail.reply import BadReply, Reply, ReplyReader, encode_reply
from hermes.mail.session import Session
from hermes.mail.session_effect import (
    Answered,
    Effect,
    End,
    Free,
    NotSent,
    Opened,
    Refuse,
    Send,
    Settle,
    StartTls,
    Uncertain,
)
from hermes.mail.session_table import OPENING, SessionState, Timers

S = SessionState
ACCOUNTS = [
    Account("h.example", security="plain"),
    Account("h.example", "plain", "user", "pass", clear_credentials=True),
    Account("h.example", "starttls", "user", "pass"),
    Account("h.example", "implicit", "user", "pass"),
]
MAIL = Mail("b+x@b.example", "u@x.example", b"Subject: x\r\n\r\nhi\r\n", "ref", "ref")
HELLO = (
    b"250-r\r\n250-PIPELINING\r\n250-DSN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 99\r\n"
)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    """Replies and near replies, the codes most often those that mean something."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=40)) + b"\r\n"
    codes = st.sampled_from([220, 221, 235, 250, 251, 334, 354, 421, 450, 454, 502, 535, 550, 554])
    lines = draw(
        st.lists(
            st.sampled_from(
                [
                    "ok",
                    "",
                    "5.1.1 no",
                    "PIPELINING",
                    "STARTTLS",
                    "AUTH PLAIN",
                    "AUTH LOGIN",
                    "SIZE 9",
                ]
            ),
            min_size=1,
            max_size=4,
        )
    )
    return encode_reply(Reply(draw(codes), tuple(lines)))


octets = st.lists(replies(), max_size=12).map(b"".join)


def opened(account: Account, hello: bytes = HELLO) -> Session:
    """A session that opened in the ordinary way."""
    session = Session(account, Timers())
    session.begin(0.0)
    session.receive(b"220 hi\r\n", 0.0)
    session.receive(hello, 0.0)
    if session.state is S.STARTTLS:
        session.receive(b"220 go\r\n", 0.0)
        session.secured(0.0)
        session.receive(hello, 0.0)
    if session.state is S.AUTH:
        session.receive(b"235 in\r\n", 0.0)
    assert session.is_free
    return session


class Accounts:
    """Drives a session as a shell does and holds it to its promises."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.submitted = self.settled = 0
        self.was_ended = False
        self.is_open = session.is_free
        self.has_content = False

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert not self.was_ended, effect
            match effect:
                case Send(octets=octets):
                    assert octets.endswith(b"\r\n")
                    self.has_content = self.has_content or octets.endswith(b"hi\r\n.\r\n")
                case Settle(outcome=outcome):
                    self.settled += 1
                    match outcome:
                        case Answered(reply=reply):
                            assert reply.is_refusal or self.has_content
                        case Uncertain():
                            assert self.has_content
                        case NotSent():
                            assert not self.has_content
                    self.has_content = False
                case Opened() | Free():
                    self.is_open = True
                    # replies to nothing may have ended it in the same breath
                    assert self.session.is_free or isinstance(effects[-1], End)
                case Refuse():
                    assert not self.is_open
                case StartTls():
                    assert self.session.state is S.HANDSHAKE
                case End():
                    self.was_ended = True
        assert self.settled <= self.submitted
        assert self.was_ended == (self.session.state is S.CLOSED)
        is_busy = self.session.state in (S.ENVELOPE, S.CONTENT)
        assert self.submitted - self.settled == (1 if is_busy else 0)
        assert (self.session.next_deadline == math.inf) is self.was_ended

    def submit(self) -> None:
        if self.session.is_free:
            self.submitted += 1
            self.take(self.session.submit(MAIL, 0.0))


steps = st.lists(
    st.one_of(
        octets.map(lambda data: ("receive", data)),
        st.sampled_from(
            [("submit", b""), ("quit", b""), ("tick", b""), ("lost", b""), ("secured", b"")]
        ),
    ),
    max_size=20,
)


@settings(max_examples=500)
@given(
    account=st.sampled_from(ACCOUNTS),
    is_opened=st.booleans(),
    is_pipelined=st.booleans(),
    run=steps,
)
def test_every_mail_has_one_outcome_whatever_comes(
    account: Account, is_opened: bool, is_pipelined: bool, run: list[tuple[str, bytes]]
) -> None:
    hello = HELLO if is_pipelined else HELLO.replace(b"250-PIPELINING\r\n", b"")
    session = opened(account, hello) if is_opened else Session(account, Timers())
    accounts = Accounts(session)
    if not is_opened:
        accounts.take(session.begin(0.0))
    for what, data in run:
        match what:
            case "receive":
                accounts.submit()
                accounts.take(session.receive(data, 0.0))
            case "submit":
                accounts.submit()
            case "quit":
                accounts.take(session.quit(0.0))
            case "tick":
                accounts.take(session.tick(session.next_deadline))
            case "secured":
                accounts.take(session.secured(0.0))
            case _:
                accounts.take(session.lost("gone"))
    accounts.take(session.lost("over"))
    assert accounts.was_ended
    assert accounts.settled == accounts.submitted


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The octets in pieces."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[a:b] for a, b in pairwise(marks)]


@settings(max_examples=300)
@given(
    account=st.sampled_from(ACCOUNTS[:2]),
    is_opened=st.booleans(),
    data=octets,
    at=st.lists(st.integers(0, 500), max_size=8),
)
def test_a_split_anywhere_does_the_same(
    account: Account, is_opened: bool, data: bytes, at: list[int]
) -> None:
    found: list[list[Effect]] = []
    for pieces in ([data], cut(data, at)):
        session = opened(account) if is_opened else Session(account, Timers())
        effects = session.submit(MAIL, 0.0) if is_opened else session.begin(0.0)
        for piece in pieces:
            effects += session.receive(piece, 0.0)
        found.append(effects)
    assert found[0] == found[1]


@given(data=st.binary(max_size=200), at=st.lists(st.integers(0, 200), max_size=6))
def test_a_reader_gives_the_same_replies_at_any_split(data: bytes, at: list[int]) -> None:
    def read(pieces: list[bytes]) -> tuple[list[Reply], str]:
        reader, found = ReplyReader(), list[Reply]()
        for piece in pieces:
            try:
                found += reader.feed(piece)
            except BadReply as error:
                return found + error.replies, error.why
        return found, ""

    assert read([data]) == read(cut(data, at))


@given(st.integers(200, 599), st.lists(st.text(), min_size=1, max_size=5))
def test_what_a_server_writes_a_client_reads(code: int, lines: list[str]) -> None:
    octets = encode_reply(Reply(code, tuple(lines)))
    (found,) = ReplyReader().feed(octets)
    assert found.code == code
    assert len(found.lines) == len(lines)
    assert encode_reply(found) == octets


def test_opening_ends_where_mail_begins() -> None:
    assert {S.IDLE, S.ENVELOPE, S.CONTENT}.isdisjoint(OPENING)
