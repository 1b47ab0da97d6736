"""Cascades in the tests of a whole daemon: send them, wait for their end, see what came."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hermes.testing.daemon_process import CarrierProcess, Client, DaemonProcess

WITHIN = 40.0
DELIVERED, UNDELIVERED, SILENT = "0", "3", "4"
"""Last digits of numbers: what the simulated carrier makes of them."""


async def registered(daemon: DaemonProcess) -> None:
    """Wait until the engine knows the endpoint."""
    async with asyncio.timeout(WITHIN):
        while True:
            found = await asyncio.to_thread(daemon.admin, "/v1/cascades/versions")
            if found and found.get("versions"):
                return
            await asyncio.sleep(0.1)


class Numbers:
    """Gives numbers nobody used before."""

    next = 4_810_000_000

    @classmethod
    def new(cls, fate: str) -> str:
        cls.next += 1
        return f"+{cls.next}{fate}"


def sms(fate: str, wait: float | None = None, **more: Any) -> dict[str, Any]:
    """Give a step to a number of its own."""
    waits = {} if wait is None else {"wait": wait}
    return {"channel": "sms", "to": Numbers.new(fate), **waits, **more}


async def send(client: Client, *steps: dict[str, Any], **more: Any) -> str:
    """Send a cascade; give its id."""
    body = {"text": "hello", "cascade": list(steps), **more}
    async with client.session.post(f"{client.url}/v1/messages", json=body) as answer:
        found = await answer.json()
        assert answer.status == 202, found
        return str(found["id"])


async def final(client: Client, name: str) -> dict[str, Any]:
    """Wait until a message is final."""
    ended: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(WITHIN):
        while not await client.look([name], ended):
            await asyncio.sleep(0.02)
    return ended[name]


def submits(carrier: CarrierProcess, *steps: dict[str, Any]) -> list[int]:
    """Count what came for the numbers of the steps."""
    came = Counter(
        line["destination"]
        for line in carrier.log()
        if line["event"] == "submit" and line.get("message_id")
    )
    return [came[step["to"].removeprefix("+")] for step in steps]


def at_carrier(carrier: CarrierProcess, step: dict[str, Any]) -> float:
    """Give when a step came to the carrier."""
    number = step["to"].removeprefix("+")
    return next(
        float(line["at"])
        for line in carrier.log()
        if line["event"] == "submit" and line["destination"] == number
    )


def find(node: dict[str, Any], path: str) -> dict[str, Any]:
    """Find a node of the tree."""
    for child in node.get("children", ()):
        if path == child["path"]:
            return dict(child)
        if path.startswith(child["path"] + "/"):
            return find(child, path)
    raise AssertionError(path)
