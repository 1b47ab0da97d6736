"""TLS is verified: the right authority and name, or no bind."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from hermes.ports.link import TlsSettings
from hermes.smpp.command import CommandId
from tests.contract.authority import Authority
from tests.contract.link_client import ENGINES, client
from tests.contract.scripted_smsc import Conversation, deliver_sm, smsc

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def bind_only(talk: Conversation) -> None:
    await talk.bind()
    await talk.answer(await talk.expect(CommandId.unbind))
    await talk.closed()


@pytest.mark.parametrize("insecure", [False, True])
async def test_a_certificate_of_the_given_authority_and_name_binds(
    engine: str, insecure: bool, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "ours")
    tls = TlsSettings(ca_file=str(ours.ca_file), server_name="smsc.example")
    if insecure:
        tls = TlsSettings(insecure=True)
    async with smsc(bind_only, ours.server) as port, client(engine, port, tls=tls) as esme:
        await esme.bound()
        await esme.link.drain(0.1)


async def test_large_submits_and_receipts_go_over_tls(engine: str, tmp_path: Path) -> None:
    async def script(talk: Conversation) -> None:
        await talk.bind()
        await talk.send(*(deliver_sm(n, b"id:%d stat:DELIVRD" % n) for n in range(100)))
        answered = 0
        while True:
            pdu = await talk.read()
            answered += pdu.command == "deliver_sm_resp"
            if pdu.command == "submit_sm":
                await talk.answer(pdu, message_id=str(answered))
            elif not pdu.is_response:
                await talk.answer(pdu)

    ours = Authority(tmp_path, "ours")
    tls = TlsSettings(ca_file=str(ours.ca_file), server_name="smsc.example")
    async with (
        smsc(script, ours.server) as port,
        client(engine, port, tls=tls, window=200, response_timeout=5.0) as esme,
    ):
        await esme.bound()
        for _ in range(200):
            esme.send(payload=bytes(20_000))
        assert await esme.outcomes() == {"accepted": 200}
        esme.send()
        assert await esme.outcomes() == {"accepted": 201}
        assert esme.submits[-1].result().message_id == "100"
        await esme.link.drain()
        assert await esme.reason() == "drained"


@pytest.mark.parametrize("wrong", ["authority", "name", "no authority given"])
async def test_a_wrong_authority_or_name_is_refused(
    engine: str, wrong: str, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    tls = {
        "authority": TlsSettings(ca_file=str(theirs.ca_file), server_name="smsc.example"),
        "name": TlsSettings(ca_file=str(ours.ca_file)),
        "no authority given": TlsSettings(server_name="smsc.example"),
    }[wrong]
    async with smsc(bind_only, ours.server) as port, client(engine, port, tls=tls) as esme:
        with pytest.raises(ssl.SSLCertVerificationError):
            await esme.reason()


async def test_a_carrier_without_tls_does_not_get_the_password(engine: str, tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def script(talk: Conversation) -> None:
        seen.append(await talk._reader.read(4096))
        talk.close()

    tls = TlsSettings(ca_file=str(Authority(tmp_path, "ours").ca_file))
    async with smsc(script) as port, client(engine, port, tls=tls) as esme:
        with pytest.raises(OSError):
            await esme.reason()
    assert seen
    assert not any(b"secret" in octets for octets in seen)
