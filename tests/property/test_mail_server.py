"""A server session against any client, and our own client against our own server."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.mail.hello import Account
from hermes.mail.message import Mail
from hermes.mail.reply import Reply
from hermes.mail.server import MAX_HELD, ServerSession
from hermes.mail.server_effect import Ask, AskContent, ServerEffect, ServerPolicy
from hermes.mail.server_effect import End as ServerEnd
from hermes.mail.server_effect import Send as ServerSend
from hermes.mail.session import Session
from hermes.mail.session_effect import Answered, Effect, Free, Send, Settle, Stage
from hermes.mail.session_table import Timers

POLICY = ServerPolicy("sink.example", max_size=500, max_line=200, max_command=100, max_errors=50)
COMMANDS = [
    b"EHLO x",
    b"HELO x",
    b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME",
    b"RCPT TO:<u@x.example> NOTIFY=NEVER",
    b"DATA",
    b".",
    b"..",
    b"hello",
    b"RSET",
    b"NOOP",
    b"AUTH PLAIN AHUAcA==",
    b"AUTH LOGIN",
    b"dXNlcg==",
    b"*",
    b"STARTTLS",
    b"QUIT",
    b"",
]

lines = st.one_of(st.sampled_from(COMMANDS), st.binary(max_size=30))
clients = st.lists(
    st.tuples(lines, st.sampled_from([b"\r\n", b"\n", b"\r", b""])), max_size=40
).map(lambda parts: b"".join(line + end for line, end in parts))
ANSWERS = [Reply(250, ("2.0.0 ok",)), Reply(450, ("4.2.0 no",)), Reply(550, ("5.1.1 no",))]


def run(
    policy: ServerPolicy, pieces: list[bytes], answers: list[Reply]
) -> tuple[list[ServerEffect], ServerSession]:
    """All effects, with every question answered at once, in turn."""
    session = ServerSession(policy, 0.0)
    effects = session.greet()
    asked = 0
    for piece in pieces:
        fresh = session.receive(piece, 0.0)
        while fresh:
            effects += fresh
            if not isinstance(fresh[-1], Ask):
                break
            fresh = session.answer(answers[asked % len(answers)], 0.0)
            asked += 1
    return effects, session


def cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[a:b] for a, b in pairwise(marks)]


@settings(max_examples=500)
@given(
    data=clients,
    at=st.lists(st.integers(0, 1000), max_size=8),
    answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4),
    has_auth=st.booleans(),
)
def test_any_client_is_answered_the_same_at_any_split(
    data: bytes, at: list[int], answers: list[Reply], has_auth: bool
) -> None:
    policy = ServerPolicy(
        POLICY.name,
        max_size=POLICY.max_size,
        max_line=POLICY.max_line,
        max_command=POLICY.max_command,
        max_errors=POLICY.max_errors,
        any_credentials=has_auth,
    )
    whole, session = run(policy, [data], answers)
    split, _ = run(policy, cut(data, at), answers)
    assert whole == split
    for effect in whole:
        if isinstance(effect, ServerSend):
            assert effect.octets.endswith(b"\r\n")
            assert effect.octets.isascii()
        if isinstance(effect, Ask) and isinstance(effect.question, AskContent):
            assert len(effect.question.content) <= policy.max_size
    assert session.is_closed == any(isinstance(effect, ServerEnd) for effect in whole)


@settings(max_examples=100)
@given(data=st.binary(min_size=1, max_size=2000), times=st.integers(1, 400))
def test_a_session_keeps_no_more_than_its_limits(data: bytes, times: int) -> None:
    session = ServerSession(POLICY, 0.0)
    session.greet()
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n", 0.0)
    for _ in range(times):
        session.receive(data, 0.0)
    assert len(session._buffer) <= MAX_HELD + len(data)
    session.answer(ANSWERS[0], 0.0)
    session.receive(b"RCPT TO:<u@x.example>\r\n", 0.0)
    session.answer(ANSWERS[0], 0.0)
    session.receive(b"DATA\r\n", 0.0)
    for _ in range(times):
        session.receive(data, 0.0)
    assert session.is_closed or len(session._buffer) <= MAX_HELD + len(data)


contents = st.lists(
    st.sampled_from([b".", b"..", b"", b"a", b".\r", b"\r", b"\n.", b"MAIL FROM:<x@y.z>", b"\xff"]),
    max_size=12,
).flatmap(lambda parts: st.sampled_from([b"\r\n", b"\n", b"\r"]).map(lambda end: end.join(parts)))


@settings(max_examples=300)
@given(content=contents, is_pipelined=st.booleans())
def test_what_our_client_sends_our_server_gets_whole_and_once(
    content: bytes, is_pipelined: bool
) -> None:
    server = ServerSession(ServerPolicy("s.example", pipelining=is_pipelined), 0.0)
    client = Session(Account("c.example", security="plain"), Timers())
    got: list[bytes] = []
    outcomes: list[Effect] = []

    def serve(effects: list[ServerEffect]) -> None:
        for effect in effects:
            if isinstance(effect, ServerSend):
                hear(client.receive(effect.octets, 0.0))
            elif isinstance(effect, Ask):
                if isinstance(effect.question, AskContent):
                    got.append(effect.question.content)
                serve(server.answer(ANSWERS[0], 0.0))

    def hear(effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                serve(server.receive(effect.octets, 0.0))
            elif isinstance(effect, Settle | Free):
                outcomes.append(effect)

    client.begin(0.0)
    serve(server.greet())
    for _ in range(2):
        hear(client.submit(Mail("a@b.example", "u@x.example", content), 0.0))
    taken = [Settle(Answered(ANSWERS[0], Stage.CONTENT)), Free()]
    assert outcomes == taken * 2
    wanted = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    wanted = wanted if wanted.endswith(b"\r\n") else wanted + b"\r\n"
    assert got == [wanted, wanted]
