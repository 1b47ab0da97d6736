"""Every link engine speaks with SMSCs that were written by others."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from hermes.ports.link import TlsSettings
from hermes.smpp.decode import decode
from hermes.smpp.message_id import forms
from hermes.smpp.receipt_text import is_receipt, parse_receipt
from hermes.smpp.segment import single_segment
from tests.contract.authority import Authority
from tests.contract.link_client import ENGINES, client

pytestmark = pytest.mark.parametrize("engine", ENGINES)

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "peers"
NODE_FOLDER = ROOT / ".hermes" / "peers"
GSM_TEXT = "Price: 12 € [net] ~ Ça va? ñ Ω @"
UCS2_TEXT = "Привет, 你好 😀"


class Peer:
    """A foreign SMSC as a process, and what it has told so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.rows: list[dict[str, Any]] = []
        self._process = process
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.rows.append(json.loads(line))

    def told(self, key: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if key in row]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                assert not self._task.done(), f"the peer ended, it told {self.rows}"
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._task


@asynccontextmanager
async def peer(*argv: str) -> AsyncIterator[tuple[Peer, int]]:
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    running = Peer(process)
    try:
        await running.until(lambda: bool(running.told("port")))
        yield running, running.told("port")[0]["port"]
    finally:
        await running.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def npm_peer(*words: str) -> AbstractAsyncContextManager[tuple[Peer, int]]:
    """Run the npm package as an SMSC; skips where it is missing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE_FOLDER / "node_modules" / "smpp").is_dir():
        pytest.skip(f"npm package smpp 0.5.1 is not installed in {NODE_FOLDER}")
    return peer(node, str(PEERS / "smpp_server.js"), str(NODE_FOLDER), *words)


async def test_npm_smpp_over_tls_binds_accepts_and_receipts(engine: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "root")
    tls = TlsSettings(str(authority.ca_file), server_name="smsc.example")
    async with (
        npm_peer(str(authority.chain_file)) as (smsc, port),
        client(engine, port, tls=tls) as esme,
    ):
        await esme.bound()
        esme.send(GSM_TEXT, receipt=True)
        assert await esme.outcomes() == {"accepted": 1}
        await smsc.until(lambda: len(smsc.told("receipt")) == 1)
        assert [row["status"] for row in smsc.told("receipt")] == [0]
        await esme.link.drain()
        assert await esme.reason() == "drained"


async def test_npm_smpp_accepts_reads_and_receipts_our_messages(engine: str) -> None:
    async with (
        npm_peer() as (smsc, port),
        client(engine, port, enquire_interval=0.2) as esme,
    ):
        await esme.bound()
        esme.send(GSM_TEXT, receipt=True)
        esme.send(UCS2_TEXT, receipt=True)
        assert await esme.outcomes() == {"accepted": 2}
        await smsc.until(lambda: len(smsc.told("receipt")) == 2)
        await smsc.until(lambda: bool(smsc.told("enquire_link")))
        await esme.link.drain()
        assert await esme.reason() == "drained"
        assert smsc.told("bind") == [
            {"bind": "bind_transceiver", "system_id": "esme", "password": "secret"}
        ]
        submits = smsc.told("submit")
        assert [row["text"] for row in submits] == [GSM_TEXT, UCS2_TEXT]
        assert [row["data_coding"] for row in submits] == [0, 8]
        ids = [future.result().message_id for future in esme.submits]
        assert ids == [row["submit"] for row in submits]
        assert [row["status"] for row in smsc.told("receipt")] == [0, 0]
        receipts = [decode(inbound.frame) for inbound in esme.inbound]
        assert all(is_receipt(receipt) for receipt in receipts)
        assert [parse_receipt(receipt).id for receipt in receipts] == ids
        assert [parse_receipt(receipt).stat for receipt in receipts] == ["DELIVRD"] * 2
        assert len(smsc.told("unbind")) == 1


async def test_smpp34_accepts_and_receipts_our_messages_in_another_notation(engine: str) -> None:
    if find_spec("smpp34") is None:
        pytest.skip("PyPI package smpp34 1.5.0 is not installed")
    script = str(PEERS / "smpp34_server.py")
    async with (
        peer(sys.executable, script, str(free_port())) as (smsc, port),
        client(engine, port, enquire_interval=0.2) as esme,
    ):
        await esme.bound()
        esme.send(GSM_TEXT, receipt=True)
        esme.send(UCS2_TEXT, receipt=True)
        assert await esme.outcomes() == {"accepted": 2}
        await smsc.until(lambda: len(smsc.told("receipt")) == 2)
        await esme.link.drain()
        assert await esme.reason() == "drained"
        # its threads tell in any order
        submits = sorted(smsc.told("submit"), key=lambda row: row["data_coding"])
        expected = [single_segment(text) for text in (GSM_TEXT, UCS2_TEXT)]
        assert [row["octets"] for row in submits] == [part.octets.hex() for part in expected]
        assert [row["data_coding"] for row in submits] == [0, 8]
        assert [row.get("status") for row in smsc.told("receipt")] == [0, 0]
        ids = sorted(future.result().message_id for future in esme.submits)
        receipts = [parse_receipt(decode(inbound.frame)).id for inbound in esme.inbound]
        assert (ids, sorted(receipts)) == (["a", "b"], ["10", "11"])
        for ours, theirs in zip(ids, sorted(receipts), strict=True):
            assert {key.key for key in forms(ours)} & {key.key for key in forms(theirs)}
        await smsc.until(lambda: bool(smsc.told("unbind")))


async def test_smpp34_takes_a_thousand_messages_with_receipts(engine: str) -> None:
    if find_spec("smpp34") is None:
        pytest.skip("PyPI package smpp34 1.5.0 is not installed")
    script = str(PEERS / "smpp34_server.py")
    async with (
        peer(sys.executable, script, str(free_port())) as (smsc, port),
        client(engine, port, window=50) as esme,
    ):
        await esme.bound()
        for number in range(1000):
            await esme.until(lambda: esme.link.credit > 0)
            esme.send(f"message {number}", receipt=True)
        assert await esme.outcomes() == {"accepted": 1000}
        await esme.until(lambda: len(esme.inbound) == 1000)
        await smsc.until(lambda: len(smsc.told("receipt")) == 1000)
        assert {row.get("status") for row in smsc.told("receipt")} == {0}
        assert esme.link.credit == 50
