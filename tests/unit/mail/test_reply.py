"""Replies: lines to values, and what of them may be told."""

from __future__ import annotations

import pytest

from hermes.mail.reply import (
    MAX_LINE,
    MAX_LINES,
    BadReply,
    EnhancedCode,
    Reply,
    ReplyReader,
    encode_reply,
    parse_enhanced,
    parse_reply,
    public_text,
)


def test_a_reply_of_several_lines_is_one_value() -> None:
    octets = b"550-5.1.1 The account\r\n550-5.1.1 is unknown.\r\n550 5.1.1 Sorry\r\n250 ok\r\n"
    first, second = ReplyReader().feed(octets)
    assert first == Reply(550, ("5.1.1 The account", "5.1.1 is unknown.", "5.1.1 Sorry"))
    assert (first.enhanced, str(first.enhanced)) == (EnhancedCode(5, 1, 1), "5.1.1")
    assert first.text == "The account is unknown. Sorry"
    assert first.line == "550 5.1.1 The account is unknown. Sorry"
    assert second == Reply(250, ("ok",))


LINES = [
    (b"250\r\n", Reply(250, ("",))),  # no text at all
    (b"250 \r\n", Reply(250, ("",))),
    (b"250 ok\n", Reply(250, ("ok",))),  # a bare LF
    (b"220 \xc3\xa9\xff\r\n", Reply(220, ("é\ufffd",))),  # not ASCII
    (b"451-a\r\n250 b\r\n", Reply(250, ("a", "b"))),  # the last line's code is the reply's
]


@pytest.mark.parametrize(("octets", "reply"), LINES)
def test_what_servers_really_send_is_read(octets: bytes, reply: Reply) -> None:
    assert ReplyReader().feed(octets) == [reply]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"hello\r\n", "a line begins with no code of 200 to 599"),
        (b"199 x\r\n", "a line begins with no code of 200 to 599"),
        (b"2500 x\r\n", "a line begins with no code of 200 to 599"),
        (b"250x\r\n", "a line begins with no code of 200 to 599"),
        ("²50 x\r\n".encode(), "a line begins with no code of 200 to 599"),
        (b"\x15\x03\x01\x00\x02\x02\r\n", "a line begins with no code of 200 to 599"),  # TLS
        (b"2" * (MAX_LINE + 1), f"a line has more than {MAX_LINE} octets"),
        (b"250 " + b"x" * MAX_LINE + b"\r\n", f"a line has more than {MAX_LINE} octets"),
        (b"250-x\r\n" * MAX_LINES, f"it has more than {MAX_LINES} lines"),
    ],
)
def test_what_is_no_reply_is_refused_and_what_came_before_is_kept(octets: bytes, why: str) -> None:
    with pytest.raises(BadReply) as caught:
        ReplyReader().feed(b"220 hi\r\n" + octets)
    assert (caught.value.why, caught.value.replies) == (why, [Reply(220, ("hi",))])


def test_a_reply_without_enhanced_code_has_none() -> None:
    reply = Reply(550, ("5.1 million users",))
    assert (reply.enhanced, reply.line) == (None, "550 5.1 million users")
    assert parse_enhanced("5.1.1234 x") is None
    assert parse_enhanced("3.1.1 x") is None
    assert parse_enhanced("5.1.1") == EnhancedCode(5, 1, 1)


def test_a_quoted_reply_is_read() -> None:
    assert parse_reply(" 550-5.1.1 no such user ") == Reply(550, ("5.1.1 no such user",))
    assert parse_reply("no such user") is None


def test_a_reply_is_written_with_its_code_on_every_line_and_nothing_unprintable() -> None:
    reply = Reply(250, ("a\r\n250 b", "é"))
    assert encode_reply(reply) == b"250-a 250 b\r\n250 ?\r\n"


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("<user@example.net>: unknown", "(address): unknown"),
        ('<"a b"@example.net> is unknown', "(address) is unknown"),
        ("user@example.net... User unknown", "(address) User unknown"),
        ("to=user@example.net,ok", "(address),ok"),
        ("user@[192.0.2.1] unknown", "(address) unknown"),
        ("Jörg.Müller@bücher.example unknown", "(address) unknown"),
        ("a\r\nb\x00c\u2028d", "a b c d"),
        ("x" * 300, "x" * 200),
    ],
)
def test_what_is_told_of_a_reply_holds_no_address_and_one_line(text: str, public: str) -> None:
    assert public_text(text) == public
