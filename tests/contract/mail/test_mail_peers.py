"""Our two sides of SMTP against those of the standard library, which nobody here wrote."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from hermes.mailsink.sink import Sink, SinkSettings
from tests.contract.authority import Authority
from tests.contract.mail.relay_client import client, until


@asynccontextmanager
async def sink(context: ssl.SSLContext | None) -> AsyncIterator[Sink]:
    made = Sink(SinkSettings(tls=context, credentials=("user", "pa ss") if context else None))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def message(number: int) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"] = "a@b.example", "anna@x.example"
    made["Subject"] = f"number {number}"
    made.set_content(".\n..\nGrüße\n" * 50)
    return made


def send_some(port: int) -> list[dict[str, tuple[int, bytes]]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        return [smtp.send_message(message(number)) for number in range(3)]


def send_with_credentials(port: int, mechanism: str) -> tuple[int, bytes]:
    """Send one over STARTTLS; the answer to the credentials."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        smtp.user, smtp.password = "user", "pa ss"
        method: Any = getattr(smtp, f"auth_{mechanism}")
        answer = smtp.auth(mechanism.upper(), method)
        smtp.send_message(message(0))
        return answer


async def test_the_client_of_the_standard_library_is_served() -> None:
    async with sink(None) as made:
        assert await asyncio.to_thread(send_some, made.port) == [{}, {}, {}]
        kept = made.mailbox.since(0, 10)
        assert [b"number %d" % n in kept[n].content for n in range(3)] == [True] * 3
        assert kept[0].content.count(b"\r\n.\r\n..\r\n") == 50


async def test_the_library_speaks_tls_and_gives_its_credentials(tmp_path: Path) -> None:
    async with sink(Authority(tmp_path, "ours").server) as made:
        for mechanism in ("plain", "login"):
            answer = await asyncio.to_thread(send_with_credentials, made.port, mechanism)
            assert answer[0] == 235
        assert made.mailbox.count == 2


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="smtpd left the standard library in 3.12")
async def test_the_server_of_the_standard_library_takes_our_mail() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-W", "ignore", "-m", "smtpd", "-n"),
        *("-c", "DebuggingServer", f"127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await until(lambda: is_open(port))
        async with client(port, connections=2) as made:
            await made.opened()
            assert await made.send_many(10, "anna@x.example") == {"accepted": 10}
            await made.relay.drain()
        assert process.stdout is not None
        async with asyncio.timeout(10):
            printed = b"".join([await process.stdout.readline() for _ in range(10)])
        assert b"Subject: hello" in printed
        assert b"b'.'" in printed
    finally:
        process.kill()
        await process.communicate()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
