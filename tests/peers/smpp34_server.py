"""An SMSC on the PyPI package smpp34: response ids in hex, receipt ids in decimal.

usage: python smpp34_server.py <port>; prints the port, then one JSON object per event.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import smpp34


def say(**row: object) -> None:
    print(json.dumps(row), flush=True)


async def receipt(esme: Any, event: Any, number: int) -> None:
    try:
        await esme.deliver_sm(
            event.source_addr,
            b"id:%d stat:DELIVRD err:000" % number,
            source_addr=event.destination_addr,
            esm_class=4,
        )
    except smpp34.SmppError as error:
        say(receipt=number, error=str(error))
    else:
        say(receipt=number, status=0)


async def main(port: int) -> None:
    server = smpp34.Server("127.0.0.1", port, system_id="rust-peer", inbound_capacity=4096)
    await server.start()
    say(port=port)
    esme: Any = None
    number, receipts = 9, set()
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            esme = event
            say(bind=esme.system_id)
        elif isinstance(event, smpp34.Unbound):
            say(unbind=1)
        else:
            number += 1
            octets = bytes(event.short_message).hex()
            say(submit=f"{number:x}", octets=octets, data_coding=event.data_coding)
            event.accept(f"{number:x}")
            if event.registered_delivery:
                task = asyncio.create_task(receipt(esme, event, number))
                receipts.add(task)
                task.add_done_callback(receipts.discard)


asyncio.run(main(int(sys.argv[1])))
