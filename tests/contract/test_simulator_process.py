"""The simulator as a process: ready line, log file, signals, exit codes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from hermes.simulator.server import EXIT_NO_LOG, EXIT_NO_PORT
from tests.contract import started_process
from tests.contract.simulator_esme import Esme, eventually

READY = re.compile(
    r"^simulator ready smpp=127\.0\.0\.1:(\d+) control=(off|http://127\.0\.0\.1:\d+)\n$"
)


started = partial(started_process.started, "hermes.simulator")
ready = partial(started_process.ready, line=READY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_and_the_log_is_whole(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "smsc.jsonl"
    options = ("--port", "0", "--receipt-delay-ms", "0", "--log", str(path))
    async with started(*options) as process:
        port, url = await ready(process)
        assert url.startswith("http://")
        esme = await Esme.connect(port)
        assert (await esme.bind()).command_status == 0
        await esme.submitted()
        await eventually(lambda: len(esme.delivered) == 1)
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        await esme.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert [event for event in events if event != "answer"] == [
        "start",
        "bind",
        "submit",
        "receipt",
        "unbind",
    ]
    assert lines[-1]["reason"] == "simulator ended"
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))


async def test_the_log_of_a_killed_simulator_has_what_is_older_than_the_flush(
    tmp_path: Path,
) -> None:
    path = tmp_path / "smsc.jsonl"
    async with started("--port", "0", "--control-port", "-1", "--log", str(path)) as process:
        port, url = await ready(process)
        assert url == "off"
        esme = await Esme.connect(port)
        await esme.bind()
        await esme.submitted()
        await eventually(lambda: '"event":"submit"' in path.read_text())
        process.kill()
        await process.wait()
        await esme.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()][:3] == [
        "start",
        "bind",
        "submit",
    ]


@pytest.mark.parametrize("option", ["--port", "--control-port"])
async def test_a_port_in_use_ends_it_with_one_sentence(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = {"--port": "0", "--control-port": "0", option: str(port)}
        argv = [word for pair in options.items() for word in pair]
        async with started(*argv) as process:
            out, err = await process.communicate()
    assert out == b""
    assert err.decode() == f"simulator: cannot listen on 127.0.0.1:{port}: the port is in use\n"
    assert process.returncode == EXIT_NO_PORT == 74


async def test_a_log_that_cannot_be_written_ends_it_with_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "log"
    async with started("--port", "0", "--log", str(path)) as process:
        _, err = await process.communicate()
    assert err.decode() == f"simulator: cannot write the log {path}: No such file or directory\n"
    assert process.returncode == EXIT_NO_LOG == 73


async def test_ids_do_not_repeat_after_a_restart() -> None:
    ids = []
    for _ in range(2):
        async with started("--port", "0", "--control-port", "-1") as process:
            port, _ = await ready(process)
            esme = await Esme.connect(port)
            await esme.bind()
            ids.append(int((await esme.submitted()).text("message_id")))
            await esme.close()
    assert ids[1] > ids[0] + 100
