"""A relay that misbehaves, leaves, or lets nobody in: what becomes of the mails and the run."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from hermes.adapters import relay_pool
from hermes.mail.hello import Account
from hermes.mail.reply import Reply
from hermes.mail.session_effect import Stage
from hermes.mail.session_table import Timers
from hermes.ports.link import Lost, NotSent
from hermes.ports.relay import RelayClosed, RelayOpened, RelayRefused, RelayResult
from tests.contract.mail.relay_client import client, mail_to, until
from tests.contract.mail.scripted_relay import HELLO, Conversation, relay

MAIL = mail_to("anna@x.example")


async def take(talk: Conversation, reply: str = "250 2.0.0 ok") -> None:
    """Take one mail, and answer it."""
    await talk.envelope()
    await talk.say("250 ok\r\n250 ok\r\n354 go")
    assert await talk.content() == [
        "Subject: hello",
        "Message-ID: <ref@acme.example>",
        "",
        "hello",
        "..",
        "bye",
    ]
    await talk.say(reply)


async def one_mail(talk: Conversation) -> None:
    await talk.hello()
    await take(talk)
    await talk.closed()


async def test_a_mail_goes_as_it_was_written() -> None:
    async with relay(one_mail) as port, client(port) as made:
        await made.opened()
        result = await made.send("anna@x.example")
        assert (result.reply, result.stage) == (Reply(250, ("2.0.0 ok",)), Stage.CONTENT)
        assert 0 <= result.latency < 10


async def test_an_answer_that_never_comes_makes_the_mail_uncertain() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()
        await talk.say("250 ok\r\n250 ok\r\n354 go")
        await talk.content()
        await talk.closed()

    timers = Timers(content=0.2)
    async with relay([script, one_mail]) as port, client(port, timers=timers) as made:
        await made.opened()
        with pytest.raises(Lost, match=r"no reply within 0.2 s in state content"):
            await made.submit("anna@x.example")
        assert (await made.send("anna@x.example")).is_accepted


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_connection_lost_behind_the_final_dot_makes_the_mail_uncertain(
    is_reset: bool,
) -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()
        await talk.say("250 ok\r\n250 ok\r\n354 go")
        await talk.content()
        if is_reset:
            talk.writer.transport.abort()

    async with relay([script, one_mail]) as port, client(port) as made:
        await made.opened()
        with pytest.raises(Lost):
            await made.submit("anna@x.example")
        assert (await made.send("anna@x.example")).is_accepted


async def test_a_connection_lost_before_the_content_leaves_the_mail_unsent() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()

    async with relay([script, one_mail]) as port, client(port) as made:
        await made.opened()
        with pytest.raises(NotSent):
            await made.submit("anna@x.example")
        assert (await made.send("anna@x.example")).is_accepted


async def test_what_is_no_reply_ends_the_connection() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()
        await talk.say("HTTP/1.1 400 Bad Request")
        await talk.closed()

    async with relay([script, one_mail]) as port, client(port) as made:
        await made.opened()
        with pytest.raises(NotSent, match="not an SMTP reply"):
            await made.submit("anna@x.example")


async def test_421_is_an_answer_and_the_next_mail_takes_another_connection() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()
        await talk.say("421 4.7.0 slow down")

    async with relay([script, one_mail]) as port, client(port) as made:
        await made.opened()
        result = await made.send("anna@x.example")
        assert (result.reply.code, result.stage, result.is_accepted) == (421, Stage.MAIL, False)
        await until(lambda: made.relay.credit == 4)
        assert (await made.send("anna@x.example")).is_accepted


async def test_a_relay_that_leaves_an_idle_connection_harms_nothing() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await take(talk)
        await talk.say("421 4.4.2 idle for too long")

    async with relay([script, one_mail]) as port, client(port) as made:
        await made.opened()
        assert (await made.send("anna@x.example")).is_accepted
        await asyncio.sleep(0.05)
        assert not made.life.done()
        assert (await made.send("anna@x.example")).is_accepted


async def test_an_idle_connection_is_left_with_quit_and_the_credit_stays() -> None:
    quits: list[str] = []

    async def script(talk: Conversation) -> None:
        await talk.hello()
        quits.append(await talk.expect("QUIT"))
        await talk.say("221 bye")
        await talk.closed()

    async with relay([script, one_mail]) as port, client(port, timers=Timers(idle=0.1)) as made:
        await made.opened()
        await until(lambda: bool(quits))
        assert made.relay.credit == 4
        assert (await made.send("anna@x.example")).is_accepted


async def test_a_connection_is_used_for_so_many_mails_and_no_more() -> None:
    mails: Counter[int] = Counter()

    async def script(talk: Conversation) -> None:
        await talk.hello()
        for _ in range(3):
            await take(talk)
            mails[talk.number] += 1
        await talk.expect("QUIT")
        await talk.say("221 bye")

    async with relay(script) as port, client(port, connections=1, max_messages=3) as made:
        await made.opened()
        for _ in range(7):
            assert (await made.send("anna@x.example")).is_accepted
            await until(lambda: made.relay.credit == 1)
        assert dict(mails) == {1: 3, 2: 3, 3: 1}


async def test_connections_are_opened_as_mails_need_them() -> None:
    seen: set[int] = set()
    gate = asyncio.Event()

    async def script(talk: Conversation) -> None:
        await talk.hello()
        while True:
            await talk.envelope()
            seen.add(talk.number)
            await gate.wait()
            await talk.say("250 ok\r\n250 ok\r\n354 go")
            await talk.content()
            await talk.say("250 ok")

    async with relay(script) as port, client(port, connections=3) as made:
        await made.opened()
        for _ in range(3):
            made.begin("anna@x.example")
        await until(lambda: len(seen) == 3)
        assert made.relay.credit == 0
        gate.set()
        assert await made.outcomes() == {"accepted": 3}
        assert await made.send_many(10, "anna@x.example") == {"accepted": 13}
        assert len(seen) == 3


async def test_a_further_connection_that_is_refused_makes_the_relay_narrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_pool, "NARROW_FOR", 0.3)
    gate = asyncio.Event()

    async def patient(talk: Conversation) -> None:
        await talk.hello()
        while True:
            await talk.envelope()
            await gate.wait()
            await talk.say("250 ok\r\n250 ok\r\n354 go")
            await talk.content()
            await talk.say("250 ok")

    async def full(talk: Conversation) -> None:
        await talk.say("421 4.7.0 too many connections")

    async with relay([patient, full, patient]) as port, client(port, connections=2) as made:
        await made.opened()
        made.begin("anna@x.example")
        made.begin("bert@x.example")  # waits for the one connection there is
        await until(lambda: made.relay.credit == 0 and len(made.submits) == 2)
        gate.set()
        assert await made.outcomes() == {"accepted": 2}
        assert not made.life.done()
        await until(lambda: made.relay.credit == 2)
        assert await made.send_many(4, "anna@x.example") == {"accepted": 6}


@pytest.mark.parametrize(
    ("account", "says", "stage", "reply"),
    [
        (None, ["554 5.3.2 not for you"], Stage.CONNECT, Reply(554, ("5.3.2 not for you",))),
        (None, ["220 hi", "421 4.3.2 busy"], Stage.EHLO, Reply(421, ("4.3.2 busy",))),
        (Account("h.acme.example"), ["220 hi", "250 relay.example"], Stage.EHLO, None),
        (
            Account("h.acme.example", "plain", "user", "pass", clear_credentials=True),
            ["220 hi", "250-relay\r\n250 AUTH PLAIN", "535 5.7.8 no"],
            Stage.AUTH,
            Reply(535, ("5.7.8 no",)),
        ),
    ],
)
async def test_a_relay_that_lets_nobody_in_ends_the_run(
    account: Account | None, says: list[str], stage: Stage, reply: Reply | None
) -> None:
    async def script(talk: Conversation) -> None:
        for text in says:
            await talk.say(text)
            await talk.line()
        await talk.closed()

    more = {} if account is None else {"account": account}
    async with relay(script) as port, client(port, **more) as made:
        with pytest.raises(RelayRefused) as caught:
            await made.life
        assert (caught.value.stage, caught.value.reply) == (stage, reply)
        assert made.events == []
        with pytest.raises(NotSent, match="no credit"):
            await made.submit("anna@x.example")


async def test_nobody_listening_is_an_os_error() -> None:
    async with relay(one_mail) as port:
        pass
    async with client(port) as made:
        with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
            await made.life


@pytest.mark.parametrize("says", [b"", b"220 hi\r\n", b"220"])
async def test_a_server_that_leaves_before_the_session_is_open_is_an_os_error(says: bytes) -> None:
    async def script(talk: Conversation) -> None:
        talk.writer.write(says)

    async with relay(script) as port, client(port) as made:
        with pytest.raises(ConnectionResetError, match="before the session was open"):
            await made.life


async def test_a_server_that_says_nothing_is_left() -> None:
    async def script(talk: Conversation) -> None:
        await talk.closed()

    async with relay(script) as port, client(port, timers=Timers(greeting=0.2)) as made:
        with pytest.raises(ConnectionResetError, match=r"no reply within 0.2 s in state greeting"):
            await made.life


async def test_sessions_that_bring_no_answer_end_the_run() -> None:
    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()

    async with relay(script) as port, client(port, connections=1) as made:
        await made.opened()
        for _ in range(relay_pool.MAX_BARREN):
            await until(lambda: made.relay.credit == 1)
            with pytest.raises(NotSent):
                await made.submit("anna@x.example")
        reason = await asyncio.wait_for(made.life, 10)
        assert reason.startswith("3 sessions in a row brought no answer: connection")
        assert made.of(RelayClosed) == [RelayClosed(reason)]


async def test_a_relay_that_is_gone_ends_the_run_at_the_next_mail() -> None:
    async with relay(one_mail) as port:
        made_client = client(port)
        made = await made_client.__aenter__()
        await made.opened()
        assert (await made.send("anna@x.example")).is_accepted
    try:
        async with asyncio.timeout(10):
            while not made.life.done():
                with pytest.raises(NotSent):  # the first may meet the old connection
                    await made.submit("anna@x.example")
                await asyncio.sleep(0.01)
        with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
            await made.life
        assert len(made.of(RelayOpened)) == len(made.of(RelayClosed)) == 1
    finally:
        await made_client.__aexit__(None, None, None)


async def test_a_large_mail_to_a_slow_reader_arrives_whole() -> None:
    size = 3_000_000
    got: list[int] = []

    async def script(talk: Conversation) -> None:
        await talk.hello(HELLO.replace("DSN", "SIZE 5000000"))
        await talk.envelope()
        await talk.say("250 ok\r\n250 ok\r\n354 go")
        await asyncio.sleep(0.2)
        total = 0
        while not (octets := await talk.reader.read(65536)).endswith(b"\r\n.\r\n"):
            total += len(octets)
        got.append(total + len(octets) - 3)
        await talk.say("250 ok")
        await talk.closed()

    content = (b"x" * 78 + b"\r\n") * (size // 80)
    async with relay(script) as port, client(port) as made:
        await made.opened()
        assert (await made.send("anna@x.example", content=content)).is_accepted
        assert got == [len(content)]


async def test_the_same_pool_sends_what_was_handed_back() -> None:
    results: list[RelayResult] = []

    async def leave(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()

    async with relay([leave, leave, one_mail]) as port, client(port, connections=1) as made:
        await made.opened()
        while not results:
            await until(lambda: made.relay.credit == 1)
            try:
                results.append(await made.submit("anna@x.example"))
            except NotSent:
                continue
        assert results[0].is_accepted
