"""The simulator against clients that share no code with it: smpp34 (Rust) and smpp (npm)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
import smpp34

from tests.contract.simulator_esme import running

PEERS = Path(os.environ.get("HERMES_PEERS", ".hermes/peers"))
CLIENT = """
const smpp = require(process.argv[2]);
const session = smpp.connect({ url: 'smpp://127.0.0.1:' + process.argv[3] }, () => {
  session.bind_transceiver({ system_id: 'npm', password: 'secret' }, (bound) => {
    const out = { bind: bound.command_status, version: bound.sc_interface_version, receipts: [] };
    session.on('deliver_sm', (pdu) => {
      session.send(pdu.response());
      out.receipts.push({
        source: pdu.source_addr, esm_class: pdu.esm_class, text: pdu.short_message.message,
        id: pdu.receipted_message_id, state: pdu.message_state,
      });
      if (out.receipts.length < 2) return;
      session.enquire_link({}, (link) => {
        out.enquire = link.command_status;
        session.unbind({}, (unbound) => {
          out.unbind = unbound.command_status;
          session.close();
          console.log(JSON.stringify(out));
        });
      });
    });
    for (const digit of ['0', '5'])
      session.submit_sm({
        source_addr: 'Hermes', destination_addr: '44770090012' + digit,
        short_message: 'gr\\u00fc\\u00dfe @', data_coding: 0, registered_delivery: 1,
      }, (pdu) => { out['id' + digit] = [pdu.command_status, pdu.message_id]; });
  });
});
session.on('error', (error) => { console.error(error); process.exit(1); });
"""


async def test_the_rust_client_submits_and_gets_the_receipt() -> None:
    async with running() as bench:
        client = smpp34.Client("127.0.0.1", bench.simulator.port, "rust", "secret", bind_type="TRX")
        smsc = await client.connect()
        response = await smsc.submit_sm(
            "447700900123", b"hello", source_addr="Hermes", registered_delivery=1
        )
        assert (response.is_success, response.message_id) == (True, "1000")
        async with asyncio.timeout(5):
            receipt = await smsc.next()
        assert isinstance(receipt, smpp34.DeliverSmEvent)
        assert (receipt.source_addr, receipt.destination_addr) == ("447700900123", "Hermes")
        assert receipt.esm_class == 4
        assert receipt.short_message.startswith(b"id:1000 sub:001 dlvrd:000 ")
        assert b" stat:UNDELIV err:003 text:hello" in receipt.short_message
        assert {tlv.tag: tlv.value for tlv in receipt.tlvs} == {
            0x001E: b"1000\0",
            0x0427: b"\x05",
            0x0423: b"\x03\x00\x03",
        }
        await bench.logged("answer", 1)
        await smsc.unbind()
        await client.stop()
        await bench.logged("unbind", 1)


async def test_the_rust_client_sees_a_throttle() -> None:
    async with running() as bench:
        client = smpp34.Client("127.0.0.1", bench.simulator.port, "rust", "secret")
        smsc = await client.connect()
        await bench.fault("refuse_submits", status=0x58)
        response = await smsc.submit_sm("447700900123", b"hello", source_addr="Hermes")
        assert (response.is_success, response.command_status) == (False, 0x58)
        await client.stop()


async def test_the_node_client_binds_submits_and_unbinds(tmp_path: Path) -> None:
    node, module = shutil.which("node"), PEERS / "node_modules" / "smpp"
    if node is None:
        pytest.skip("node is not installed")
    if not module.is_dir():
        pytest.skip(f"the npm package smpp is not in {PEERS}: npm install --prefix {PEERS} smpp")
    script = tmp_path / "client.js"
    script.write_text(CLIENT)
    async with running() as bench:
        process = await asyncio.create_subprocess_exec(
            node,
            script,
            str(module.resolve()),
            str(bench.simulator.port),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(20):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert err == b""
        seen = json.loads(out)
        texts = [receipt.pop("text") for receipt in seen["receipts"]]
        assert seen == {
            "bind": 0,
            "version": 0x34,
            "id0": [0, "1000"],
            "id5": [0, "1001"],
            "enquire": 0,
            "unbind": 0,
            "receipts": [
                {"source": "447700900120", "esm_class": 4, "id": "1000", "state": 2},
                {"source": "447700900125", "esm_class": 4, "id": "1001", "state": 8},
            ],
        }
        assert "id:1000 sub:001 dlvrd:001" in texts[0]
        assert "stat:REJECTD err:005" in texts[1]
        lines = await bench.lines("submit")
        assert [line["text"] for line in lines] == ["grüße @", "grüße @"]
