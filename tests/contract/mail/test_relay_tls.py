"""TLS to a relay is verified: the right authority and name, or no session; then credentials."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hermes.mail.hello import Account
from hermes.mail.session_effect import Stage
from hermes.mailsink.sink import Sink, SinkSettings
from hermes.ports.link import TlsSettings
from hermes.ports.relay import RelayOpened, RelayRefused
from tests.contract.authority import Authority
from tests.contract.mail.relay_client import client
from tests.contract.mail.scripted_relay import Conversation, relay

NAME = "smsc.example"  # whom the authority's certificate is for
LOCKED = Account("hermes.acme.example", username="user", password="pass")


@asynccontextmanager
async def sink(context: ssl.SSLContext) -> AsyncIterator[Sink]:
    made = Sink(SinkSettings(tls=context, credentials=("user", "pass")))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.mark.parametrize("insecure", [False, True])
async def test_a_mail_goes_over_starttls_with_credentials(insecure: bool, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    tls = TlsSettings(ca_file=str(ours.ca_file), server_name=NAME)
    if insecure:
        tls = TlsSettings(insecure=True)
    async with sink(ours.server) as relay_sink:
        async with client(relay_sink.port, account=LOCKED, tls=tls) as made:
            await made.opened()
            (opened,) = made.of(RelayOpened)
            assert opened.extensions.starttls is False  # as told over TLS
            assert await made.send_many(20, "anna@x.example") == {"accepted": 20}
            await made.relay.drain()
        assert relay_sink.mailbox.count == 20


BAD_TLS = [
    TlsSettings(ca_file="theirs", server_name=NAME),  # another authority
    TlsSettings(ca_file="ours", server_name="other.example"),  # another name
    TlsSettings(ca_file="ours"),  # the address is not in the certificate
    TlsSettings(server_name=NAME),  # an authority the system does not know
]


@pytest.mark.parametrize("security", ["starttls", "implicit"])
@pytest.mark.parametrize("tls", BAD_TLS)
async def test_a_certificate_that_does_not_fit_lets_nothing_out(
    tls: TlsSettings, security: str, tmp_path: Path
) -> None:
    folders = {name: Authority(tmp_path, name) for name in ("ours", "theirs")}
    ca_file = str(folders[tls.ca_file].ca_file) if tls.ca_file else None
    tls = TlsSettings(ca_file=ca_file, server_name=tls.server_name)
    heard: list[str] = []

    async def script(talk: Conversation) -> None:
        await talk.hello("250-relay.example\r\n250 STARTTLS\r\n")
        await talk.expect("STARTTLS")
        await talk.say("220 go ahead")
        await talk.writer.start_tls(folders["ours"].server)
        heard.append(await talk.line())

    account = Account("hermes.acme.example", security, "user", "pass")  # type: ignore[arg-type]
    context = folders["ours"].server if security == "implicit" else None
    async with relay(script, context) as port, client(port, account=account, tls=tls) as made:
        with pytest.raises(ssl.SSLCertVerificationError):
            await made.life
    assert heard == []


async def test_a_mail_goes_over_tls_from_the_first_octet(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")

    async def script(talk: Conversation) -> None:
        await talk.hello()
        await talk.envelope()
        await talk.say("250 ok\r\n250 ok\r\n354 go")
        await talk.content()
        await talk.say("250 ok")
        await talk.expect("QUIT")
        await talk.say("221 bye")

    account = Account("hermes.acme.example", security="implicit")
    tls = TlsSettings(ca_file=str(ours.ca_file), server_name=NAME)
    async with relay(script, ours.server) as port, client(port, account=account, tls=tls) as made:
        await made.opened()
        assert (await made.send("anna@x.example")).is_accepted
        await made.relay.drain()


async def test_wrong_credentials_are_refused_at_auth(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    account = Account("hermes.acme.example", username="user", password="wrong")
    tls = TlsSettings(ca_file=str(ours.ca_file), server_name=NAME)
    async with (
        sink(ours.server) as relay_sink,
        client(relay_sink.port, account=account, tls=tls) as made,
    ):
        with pytest.raises(RelayRefused) as caught:
            await made.life
        assert caught.value.stage is Stage.AUTH
        assert caught.value.reply is not None
        assert caught.value.reply.code == 535


async def test_text_put_behind_the_reply_to_starttls_is_not_taken_for_the_servers(
    tmp_path: Path,
) -> None:
    ours = Authority(tmp_path, "ours")

    async def script(talk: Conversation) -> None:
        await talk.hello("250-relay.example\r\n250 STARTTLS\r\n")
        await talk.expect("STARTTLS")
        await talk.say("220 go ahead\r\n250-relay.example\r\n250 AUTH PLAIN")
        await talk.closed()

    tls = TlsSettings(ca_file=str(ours.ca_file), server_name=NAME)
    async with relay(script) as port, client(port, account=LOCKED, tls=tls) as made:
        with pytest.raises(ConnectionResetError, match="text in the clear"):
            await made.life


async def test_a_file_of_authorities_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    tls = TlsSettings(ca_file=str(tmp_path / "none.pem"))
    async with client(1, account=LOCKED, tls=tls) as made:
        with pytest.raises(FileNotFoundError):
            await made.life
