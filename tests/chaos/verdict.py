"""Judges a load from the carrier's log against the client's 202s."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from hermes.testing.daemon_process import FINAL, DaemonProcess
from tests.chaos.carrier_log import Seen
from tests.chaos.pacer import Accepted, Pacer

SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """Lost: not at the carrier, and not final with a reason. Unmarked: came twice, and says not."""

    lost: tuple[str, ...]
    doubled: int
    unmarked: tuple[str, ...]
    ended_otherwise: tuple[str, ...]
    slowest_s: float

    def faults(self, most_doubled: int) -> list[str]:
        """Give a sentence for everything wrong."""
        said = [f"lost {name}" for name in self.lost[:SHOWN]]
        said += [f"{name} came twice without a mark" for name in self.unmarked[:SHOWN]]
        if self.doubled > most_doubled:
            said.append(f"{self.doubled} came twice, {most_doubled} is the bound")
        if len(self.lost) > SHOWN:
            said.append(f"lost {len(self.lost)} in all")
        return said


async def judge(daemon: DaemonProcess, pacer: Pacer, seen: Seen) -> Verdict:
    """Judge; asks the API only about what is missing or came twice."""
    came = {number: seen.submits.get(number.removeprefix("+"), []) for number in pacer.accepted}
    odd = [number for number, times in came.items() if len(times) != 1]
    views = await views_of(daemon, [pacer.accepted[number].id for number in odd])
    named = {number: views[pacer.accepted[number].id] for number in odd}
    missing = [number for number in odd if not came[number]]
    twice = [number for number in odd if len(came[number]) > 1]
    return Verdict(
        lost=tuple(told(pacer, n, named[n]) for n in missing if not is_explained(named[n])),
        doubled=sum(len(came[number]) - 1 for number in twice),
        unmarked=tuple(pacer.accepted[n].id for n in twice if not named[n]["possible_duplicate"]),
        ended_otherwise=tuple(told(pacer, n, named[n]) for n in missing if is_explained(named[n])),
        slowest_s=slowest(pacer.accepted, came),
    )


def is_explained(view: Mapping[str, Any]) -> bool:
    """Say whether a message is final with a reason."""
    return view["state"] in FINAL and view["state"] != "delivered" and view["reason"] is not None


def told(pacer: Pacer, number: str, view: Mapping[str, Any]) -> str:
    """Name a message, its state and its last event."""
    last = view["events"][-1] if view["events"] else None
    tail = "no event" if last is None else f"last event {last['kind']} by {last['source']}"
    waits = view["waits_for"] or [a["waits_for"] for a in view["attempts"]]
    return f"{pacer.accepted[number].id} ({view['state']}, {tail}, waits for {waits})"


def slowest(accepted: Mapping[str, Accepted], came: Mapping[str, Sequence[float]]) -> float:
    """Give the longest time from a 202 to the carrier in seconds, among those that came."""
    waits = (came[number][0] - accepted[number].at for number in accepted if came[number])
    return max(waits, default=0.0)


async def views_of(daemon: DaemonProcess, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Get messages over the API, each again until it is there."""
    headers = {"Authorization": f"Bearer {daemon.key}"}
    found: dict[str, dict[str, Any]] = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for name in names:
            found[name] = await view_of(session, daemon.url, name)
    return found


async def view_of(session: aiohttp.ClientSession, url: str, name: str) -> dict[str, Any]:
    """Get one message, trying for half a minute."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"{url}/v1/messages/{name}") as answer:
                    if answer.status == 200:
                        view: dict[str, Any] = await answer.json()
                        return view
            except (aiohttp.ClientError, OSError):
                pass
            await asyncio.sleep(0.2)
