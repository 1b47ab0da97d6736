"""The sink as a process: ready line, signals, exit codes."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from functools import partial

import aiohttp
import pytest

from hermes.mailsink.server import EXIT_NO_PORT, EXIT_USAGE
from tests.contract import started_process
from tests.contract.mail.relay_client import client

READY = re.compile(
    r"^mailsink ready smtp=127\.0\.0\.1:(\d+) control=(off|http://127\.0\.0\.1:\d+)\n$"
)


started = partial(started_process.started, "hermes.mailsink")
ready = partial(started_process.ready, line=READY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_takes_mail_shows_it_and_ends_by_a_signal(number: signal.Signals) -> None:
    async with started("--port", "0", "--control-port", "0") as process:
        port, url = await ready(process)
        async with client(port) as made:
            await made.opened()
            assert (await made.send("silent@x.example")).is_accepted
            async with aiohttp.ClientSession() as http, http.get(f"{url}/mails") as answer:
                (mail,) = (await answer.json())["mails"]
                assert (mail["recipient"], mail["fate"]) == ("silent@x.example", "silent")
            process.send_signal(number)  # with a connection open
            async with asyncio.timeout(10):
                assert await process.wait() == 0


async def test_it_runs_without_a_control_api() -> None:
    async with started("--port", "0", "--control-port", "-1") as process:
        _, url = await ready(process)
        assert url == "off"


@pytest.mark.parametrize("option", ["--port", "--control-port"])
async def test_a_port_in_use_is_one_sentence_and_an_exit_code(option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": "0", "--control-port": "0", option: str(taken.getsockname()[1])}
        async with started(*(word for pair in ports.items() for word in pair)) as process:
            async with asyncio.timeout(20):
                _, told = await process.communicate()
            assert process.returncode == EXIT_NO_PORT
            assert told == b"mailsink: cannot listen: address already in use\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--port", "x"), b"argument --port: invalid _port value: 'x'"),
        (("--port", "70000"), b"70000 is no port of 0 to 65535"),
        (("--reports", "x"), b"'x' is not HOST:PORT"),
        (("--confirm-after", "-1"), b"-1 is not between 0 and 86400 seconds"),
        (("--keep", "0"), b"0 is not between 1 and 100000"),
        (("--what",), b"unrecognized arguments: --what"),
    ],
)
async def test_wrong_options_are_one_sentence_and_an_exit_code(
    options: tuple[str, ...], told: bytes
) -> None:
    async with started(*options) as process:
        async with asyncio.timeout(20):
            _, said = await process.communicate()
        assert process.returncode == EXIT_USAGE
        assert said.startswith(b"mailsink: ")
        assert told in said
        assert said.count(b"\n") == 1
