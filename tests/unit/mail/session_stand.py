"""Sessions that opened in the ordinary way, and how their effects are written."""

from __future__ import annotations

from hermes.mail.hello import Account
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mail.session import Session
from hermes.mail.session_effect import Answered, Send, Settle, Stage
from hermes.mail.session_table import Timers

PLAIN = Account("hermes.acme.example", security="plain")
MAIL = Mail("b+x@b.example", "u@x.example", b"Subject: x\r\n\r\n.dot\r\n", "ref", "ref")
QUIT = Send(b"QUIT\r\n")
PLAIN_HELLO = b"250-relay\r\n250 SIZE 1000\r\n"
FULL_HELLO = b"250-relay\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 DSN\r\n"


def opened(hello: bytes = PLAIN_HELLO, max_messages: int = 0) -> Session:
    """A session free for its first mail."""
    session = Session(PLAIN, Timers(), max_messages)
    session.begin(0.0)
    session.receive(b"220 hi\r\n", 0.0)
    session.receive(hello, 0.0)
    assert session.is_free
    return session


def in_flight(count: int, session: Session) -> Session:
    """A session with a mail, after so many good replies to it."""
    session.submit(MAIL, 0.0)
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")[:count]:
        session.receive(reply, 0.0)
    return session


def answered(text: bytes, stage: Stage) -> Settle:
    """The outcome of a mail that got this answer."""
    code, _, words = text.decode().partition(" ")
    return Settle(Answered(Reply(int(code), (words,)), stage))
