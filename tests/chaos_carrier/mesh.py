"""A daemon with carriers of its own configuration, and what the carriers and the tenant saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from hermes.testing.carrier_control import ask_carrier
from hermes.testing.daemon_process import (
    FINAL,
    CarrierProcess,
    DaemonProcess,
    running_carrier,
    running_daemon,
)

BATCH = 100
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A carrier to run: options of the simulator, and lines of its profile and of its bind."""

    options: Mapping[str, float | str]
    prefix: str = ""
    profile: str = ""
    bind: str = ""


@dataclass
class Mesh:
    """The daemon and its carriers by id."""

    daemon: DaemonProcess
    carriers: dict[str, CarrierProcess]

    def submits(self, carrier: str) -> list[dict[str, Any]]:
        """What came to a carrier, refused ones too, in its order."""
        self.control(carrier, "POST", "/flush")
        return [line for line in self.carriers[carrier].log() if line["event"] == "submit"]

    def accepted(self, carrier: str) -> list[dict[str, Any]]:
        """What a carrier took."""
        return [line for line in self.submits(carrier) if line.get("message_id")]

    def control(self, carrier: str, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Ask a carrier's control API."""
        return ask_carrier(self.carriers[carrier].control, method, path, **body)


@contextmanager
def running_mesh(
    wanted: Mapping[str, Wanted], env: Mapping[str, str] | None = None
) -> Iterator[Mesh]:
    """Run carriers, then a daemon that knows them all by their prefixes."""
    with ExitStack() as stack:
        carriers = {
            name: stack.enter_context(running_carrier(**one.options))
            for name, one in wanted.items()
        }
        folder = configure(carriers, wanted)
        daemon = stack.enter_context(running_daemon(env, config=folder))
        yield Mesh(daemon, carriers)


def configure(carriers: Mapping[str, CarrierProcess], wanted: Mapping[str, Wanted]) -> Path:
    """Write the configuration beside the first carrier; give its folder."""
    folder = next(iter(carriers.values())).place / "config"
    (folder / "carriers").mkdir(parents=True)
    for name, one in wanted.items():
        (folder / "carriers" / f"{name}.toml").write_text(
            f'[[carrier]]\nid = "{name}"\ndefault_sender = "Hermes"\n'
            f'prefixes = ["{one.prefix}"]\n{one.profile}\n'
            f'[[carrier.bind]]\nid = "1"\nhost = "127.0.0.1"\nport = {carriers[name].port}\n'
            f'system_id = "hermes"\ntls = {{ insecure = true }}\n{one.bind}\n'
        )
    return folder


@dataclass
class Tenant:
    """Sends, and remembers what was accepted: id -> number."""

    session: aiohttp.ClientSession
    url: str
    accepted: dict[str, str] = field(default_factory=dict)

    async def send(self, to: str, text: str = "hi", **more: str) -> str:
        """Post one message; refused for pressure it is posted again."""
        while True:
            body = {"to": to, "text": text, **more}
            async with self.session.post(f"{self.url}/v1/messages", json=body) as answer:
                if answer.status == 202:
                    name: str = (await answer.json())["id"]
                    self.accepted[name] = to
                    return name
                assert answer.status in (429, 503), await answer.text()
            await asyncio.sleep(0.1)

    async def send_all(self, numbers: Iterable[str], text: str = "hi", **more: str) -> None:
        """Post a message to each number, in batches."""
        rest = list(numbers)
        while rest:
            batch, rest = rest[:BATCH], rest[BATCH:]
            body = {"messages": [{"to": to, "text": text, **more} for to in batch]}
            async with self.session.post(f"{self.url}/v1/messages/batch", json=body) as answer:
                assert answer.status == 202, await answer.text()
                results = (await answer.json())["messages"]
            for to, result in zip(batch, results, strict=True):
                self.accepted[result["id"]] = to

    async def view(self, name: str) -> dict[str, Any]:
        """Get one message."""
        async with self.session.get(f"{self.url}/v1/messages/{name}") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def final(self, within_s: float) -> dict[str, dict[str, Any]]:
        """Wait until everything accepted is final; give it by id. Raises TimeoutError."""
        found: dict[str, dict[str, Any]] = {}

        async def look(names: Iterator[str]) -> None:
            for name in names:
                while (view := await self.view(name)).get("state") not in FINAL:
                    await asyncio.sleep(0.25)
                found[name] = view

        async with asyncio.timeout(within_s):
            names = iter([name for name in self.accepted if name not in found])
            await asyncio.gather(*(look(names) for _ in range(AT_ONCE)))
        return found


@asynccontextmanager
async def tenant_of(daemon: DaemonProcess) -> AsyncIterator[Tenant]:
    """Give a client with the demo key."""
    headers = {"Authorization": f"Bearer {daemon.key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Tenant(session, daemon.url)


def numbers(first: int, count: int, digit: int = 0) -> Sequence[str]:
    """Give so many E.164 numbers that end in a digit, which says what becomes of them."""
    return [f"+{first + n}{digit}" for n in range(count)]
