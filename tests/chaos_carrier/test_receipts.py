"""Receipts find their messages, whenever and however they come: judged by what the tenant sees."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest

from hermes.testing.daemon_process import DaemonProcess
from tests.chaos.footprint import Sample, named, sample
from tests.chaos_carrier.mesh import Mesh, Wanted, numbers, running_mesh, tenant_of

pytestmark = pytest.mark.chaos

COUNT = 100
FIRST, OTHER = 4_520_000_000, 4_620_000_000
LATE_BY = 600.0
BURST = 10_000
BURST_MEMORY_MB = 30.0
RATE = 200


def finals(view: dict[str, Any]) -> list[str]:
    """The final events of a message's trail."""
    kinds = [event["kind"] for event in view["events"]]
    return [kind for kind in kinds if kind not in ("sent", "enroute", "queued")]


async def test_receipts_before_their_responses_are_matched() -> None:
    with running_mesh({"early": Wanted({"latency_ms": 100})}) as mesh:
        mesh.control("early", "POST", "/faults/early_receipts")
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all(numbers(FIRST, COUNT))
            views = await tenant.final(30)
    assert Counter(tuple(finals(v)) for v in views.values()) == {("delivered",): COUNT}


@pytest.mark.parametrize(
    ("response", "receipt"),
    [
        ("hex", "decimal"),
        ("decimal", "hex"),
        ("hex-upper", "decimal-padded"),
        ("hex-padded", "hex"),
        ("decimal-padded", "hex-0x"),
        ("uuid", "uuid-upper"),
    ],
)
async def test_ids_in_another_notation_are_matched(response: str, receipt: str) -> None:
    options = {"response_id_form": response, "receipt_id_form": receipt, "receipt_form": "text"}
    with running_mesh({"notes": Wanted(options)}) as mesh:
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all(numbers(FIRST, COUNT))
            views = await tenant.final(30)
    assert Counter(tuple(finals(v)) for v in views.values()) == {("delivered",): COUNT}


async def test_equal_ids_of_two_carriers_stay_apart() -> None:
    wanted = {
        "one": Wanted({"first_id": 1000}, "452"),
        "two": Wanted({"first_id": 1000}, "462"),
    }
    with running_mesh(wanted) as mesh:
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all([*numbers(FIRST, COUNT, 0), *numbers(OTHER, COUNT, 3)])
            views = await tenant.final(30)
            ids = [{line["message_id"] for line in mesh.accepted(c)} for c in ("one", "two")]
    assert ids[0] == ids[1]
    ends = Counter((tenant.accepted[n][:4], view["state"]) for n, view in views.items())
    assert ends == {("+452", "delivered"): COUNT, ("+462", "undelivered"): COUNT}


async def test_duplicates_count_once() -> None:
    with running_mesh({"twice": Wanted({})}) as mesh:
        mesh.control("twice", "POST", "/faults/duplicate_receipts", copies=3)
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all(numbers(FIRST, COUNT))
            await tenant.final(30)
            await until_answered(mesh, "twice", 2 * COUNT)
            views = await tenant.final(10)
    assert Counter(tuple(finals(v)) for v in views.values()) == {("delivered",): COUNT}


async def until_answered(mesh: Mesh, carrier: str, count: int) -> None:
    """Wait until so many receipts are acknowledged."""
    async with asyncio.timeout(30):
        while True:
            mesh.control(carrier, "POST", "/flush")
            lines = mesh.carriers[carrier].log()
            if sum(line["event"] == "answer" for line in lines) >= count:
                return
            await asyncio.sleep(0.2)


async def test_receipts_ten_minutes_late_are_matched_after_everything_was_restarted() -> None:
    with running_mesh({"late": Wanted({"receipt_delay_ms": LATE_BY * 1000})}) as mesh:
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all(numbers(FIRST, COUNT))
            async with asyncio.timeout(30):
                while len(mesh.accepted("late")) < COUNT:
                    await asyncio.sleep(0.2)
        await asyncio.to_thread(restart, mesh.daemon)
        async with tenant_of(mesh.daemon) as after:
            after.accepted = tenant.accepted
            views = await after.final(LATE_BY + 60)
    assert Counter(tuple(finals(v)) for v in views.values()) == {("delivered",): COUNT}


def restart(daemon: DaemonProcess) -> None:
    """Stop the daemon and its services, and start them all again."""
    daemon.stop()
    daemon.start()


async def test_a_burst_of_10_000_receipts_costs_no_receipt_and_little_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {"latency_ms": 5, "deliver_window": 1000}
    with running_mesh({"burst": Wanted(options, bind="window = 50")}) as mesh:
        async with tenant_of(mesh.daemon) as tenant:
            await tenant.send_all(numbers(FIRST, 2000))
            await tenant.final(60)
            mesh.control("burst", "POST", "/faults/pause_receipts")
            await tenant.send_all(numbers(FIRST + 10_000, BURST))
            async with asyncio.timeout(120):
                while len(mesh.accepted("burst")) < BURST + 2000:
                    await asyncio.sleep(0.5)
            watch = Watch(mesh.daemon)
            watch.start()
            await asyncio.sleep(2)
            sending = asyncio.create_task(keep_sending(tenant))
            await asyncio.sleep(5)
            before = len(watch.samples)
            mesh.control("burst", "DELETE", "/faults/pause_receipts")
            views = await tenant.final(120)
            sending.cancel()
            watch.stop()
    grown = grown_mb(watch.samples[:before], watch.samples[before:])
    with capsys.disabled():
        worst = sorted(grown.items(), key=lambda item: -item[1])[:4]
        shown = ", ".join(f"{name} {mb:+.1f}" for name, mb in worst)
        print(
            f"\n{len(views)} messages final; sum of Hermes {sum(grown.values()):+.1f} MB: {shown}"
        )
    assert {view["state"] for view in views.values()} == {"delivered"}
    assert sum(grown.values()) <= BURST_MEMORY_MB


async def keep_sending(tenant: Any) -> None:
    """Send at a steady rate."""
    for to in numbers(OTHER, 1_000_000):
        await tenant.send(to)
        await asyncio.sleep(1 / RATE)


class Watch:
    """Looks at the memory of Hermes' own processes a few times a second."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.pids = {
            name: pid
            for name, pid in named(daemon).items()
            if not (name.startswith("root/services/") and name.endswith(" process"))
        }
        self.samples: list[Sample] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            self.samples.append(sample(self.pids, 0))


def grown_mb(before: list[Sample], during: list[Sample]) -> dict[str, float]:
    """Give by how much each process was larger at its peak than just before."""
    return {
        name: max(s[name].memory_mb for s in during if name in s) - size.memory_mb
        for name, size in before[-1].items()
    }
