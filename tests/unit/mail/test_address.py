"""Which texts are addresses mail can be sent to, and what is said of the others."""

from __future__ import annotations

import pytest

from hermes.mail.address import Address, BadAddress, Mailbox, parse_address, parse_mailbox

GOOD = [
    ("user@example.net", "user", "example.net"),
    ("User.Name+tag@Example.NET", "User.Name+tag", "example.net"),  # the local part is kept
    ("a!#$%&'*+/=?^_`{|}~-b@x.io", "a!#$%&'*+/=?^_`{|}~-b", "x.io"),
    ('"a b"@example.net', '"a b"', "example.net"),  # a quoted string
    ('"a\\"b"@example.net', '"a\\"b"', "example.net"),
    ("u@xn--bcher-kva.example", "u", "xn--bcher-kva.example"),
    ("u@1.2.3.example", "u", "1.2.3.example"),
    ("x" * 64 + "@example.net", "x" * 64, "example.net"),
]


@pytest.mark.parametrize(("text", "local", "domain"), GOOD)
def test_an_address_is_read_whole(text: str, local: str, domain: str) -> None:
    assert parse_address(text) == Address(local, domain)


BAD = [
    ("", "it is not of the form local@domain"),
    ("user", "it is not of the form local@domain"),
    ("@example.net", "it is not of the form local@domain"),
    ("user@", "it is not of the form local@domain"),
    ("user@localhost", "its domain has no dot"),
    ("user@bücher.example", "its domain is not ASCII: write it in its xn-- form"),
    ("jörg@example.net", "its local part is not ASCII, and SMTPUTF8 is not spoken here"),
    ("user@[192.0.2.1]", "an address literal stands for its domain"),
    ("user@192.0.2.1", "its domain ends in a number"),
    ("user@-x.example", "its domain is no domain name"),
    ("user@x..example", "its domain is no domain name"),
    ("user@x_y.example", "its domain is no domain name"),
    (".user@example.net", "its local part holds what must not stand there"),
    ("us..er@example.net", "its local part holds what must not stand there"),
    ("us er@example.net", "its local part holds what must not stand there"),
    ("us<er@example.net", "its local part holds what must not stand there"),
    ('"a>b"@example.net', "its local part holds what must not stand there"),
    (" user@example.net", "its local part holds what must not stand there"),
    ("user@example.net\r\nRCPT TO:<x@y.z>", "it holds a control character"),
    ("x" * 65 + "@example.net", "its local part has 65 octets, the limit is 64"),
    ("u@" + "x" * 64 + ".io", "a part of its domain has 64 octets, the limit is 63"),
    ("u@" + "x." * 126 + "long", "its domain has 256 octets, the limit is 255"),
    ("x" * 64 + "@" + "x." * 94 + "io", "it has 255 octets, the limit is 254"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_text_that_is_no_address_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse_address(text)
    assert caught.value.why == why
    assert str(caught.value) == f"not a mail address: {why}"


MAILBOXES = [
    ("a@b.example", "a@b.example", ""),
    ("<a@b.example>", "a@b.example", ""),
    ("Acme <a@b.example>", "a@b.example", "Acme"),
    ('"Acme, \\"Inc\\"" <a@b.example>', "a@b.example", 'Acme, "Inc"'),
    ("Ацме ☂ <a@b.example>", "a@b.example", "Ацме ☂"),
]


@pytest.mark.parametrize(("text", "address", "name"), MAILBOXES)
def test_a_mailbox_has_an_address_and_a_name(text: str, address: str, name: str) -> None:
    assert parse_mailbox(text) == Mailbox(parse_address(address), name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Acme\r\nBcc: x@y.z <a@b.example>", "its name holds a control character"),
        ("x" * 201 + " <a@b.example>", "its name has 201 characters, the limit is 200"),
        ("Acme <b.example>", "it is not of the form local@domain"),
        ("Acme", "it is not of the form local@domain"),
    ],
)
def test_a_mailbox_that_would_leave_its_line_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse_mailbox(text)
    assert caught.value.why == why
