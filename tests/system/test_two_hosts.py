"""Two hosts on the same external stores share a carrier: both send, one may die.

Judged from the carrier's log against the clients' lists of 202s.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from hermes.adapters.clock_store_postgres import SWEEP_LOCK
from hermes.testing.daemon_process import Client, DaemonProcess, client_of
from tests.system.hosts import WINDOW, Hosts, most_in_a_second, running_hosts
from tests.system.outage import QUICK_MS, WALL, judged, until
from tests.system.outside import How

pytestmark = pytest.mark.daemon

MAX_RATE = 60.0
EACH = 80
WITHIN = 60.0
# the burst of the shared bucket, and what a busy machine reads late
SLACK = 1.15
EXTRA = 4


@pytest.fixture(scope="module")
def running() -> Iterator[Hosts]:
    """Host a holds two of the carrier's binds, host b the third."""
    with running_hosts((["a"], ["a"], ["b"]), MAX_RATE) as found:
        yield found


@pytest.fixture
def hosts(running: Hosts) -> Hosts:
    """Both hosts; one that a test has killed is there again."""
    running.b.control("POST", "/reset")
    process = running.a.daemon.process
    if process is not None and process.poll() is not None:
        running.a.daemon.start()
    return running


async def test_two_hosts_sweep_in_turn_send_each_message_once_and_keep_the_contract_rate(
    hosts: Hosts,
) -> None:
    before, outside, began = moved(hosts), hosts.a.outside, WALL()
    async with client_of(hosts.a.daemon) as at_a, client_of(hosts.b.daemon) as at_b:
        with psycopg.connect(outside.runner.endpoints.postgres_dsn) as other:
            with outside.without("nats", How.STOPPED):
                await asyncio.gather(
                    at_a.send_many(EACH, 4_640_000_000), at_b.send_many(EACH, 4_641_000_000)
                )
                await asyncio.sleep(2.5)  # no publication is tried any more, and each row is due
                other.execute("select pg_advisory_lock(%s)", (SWEEP_LOCK,))
            await asyncio.sleep(0.7)
            assert moved(hosts) == before, "another sweeper has the lock"
        at_b.accepted |= at_a.accepted
        verdict = await judged(hosts.b, at_b, WITHIN)
    assert verdict.accepted == 2 * EACH
    assert verdict.faults() == []
    assert moved(hosts) - before == Counter(admitted=2 * EACH), "a row was handed out twice"
    submits = hosts.a.lines("submit", began, WALL())
    assert len({line["session"] for line in submits}) == 3
    most = most_in_a_second([line["at"] for line in submits])
    assert MAX_RATE / 2 <= most <= MAX_RATE * SLACK + EXTRA


def moved(hosts: Hosts) -> Counter[str]:
    """Sum what the sweepers of both hosts have moved."""
    return Counter(hosts.a.swept()) + Counter(hosts.b.swept())


async def test_a_host_that_dies_leaves_its_work_to_the_other(hosts: Hosts) -> None:
    hosts.b.control("PUT", "/settings", latency_ms=1000)
    hosts.b.control("POST", "/faults/pause_receipts")
    async with client_of(hosts.a.daemon) as at_a, client_of(hosts.b.daemon) as at_b:
        await asyncio.gather(at_a.send_many(40, 4_660_000_000), at_b.send_many(40, 4_661_000_000))
        at_b.accepted |= at_a.accepted
        await until(lambda: is_busy(hosts), WITHIN)
        killed_at = WALL()
        kill(hosts.a.daemon)
        hosts.b.control("PUT", "/settings", latency_ms=QUICK_MS)
        # the carrier took what was in flight, and its answers found nobody
        await until(lambda: set() < unanswered(hosts, killed_at) <= doubled(hosts), WITHIN)
        hosts.b.control("DELETE", "/faults/pause_receipts")
        verdict = await judged(hosts.b, at_b, WITHIN, most_extra=2 * WINDOW)
        marked = await marks(at_b, unanswered(hosts, killed_at))
    assert verdict.accepted == 80
    assert verdict.faults() == []
    assert marked == {("uncertain", "possible_duplicate")}


def is_busy(hosts: Hosts) -> bool:
    """Say whether every bind of both hosts has a submit open."""
    sessions = hosts.b.control("GET", "/stats")["sessions"]
    return all(session["in_flight"] > 0 for session in sessions)


def kill(daemon: DaemonProcess) -> None:
    """End a daemon and everything of it with SIGKILL."""
    assert daemon.process is not None
    for pid in daemon.pids():
        os.kill(pid, signal.SIGKILL)
    daemon.process.wait()


def unanswered(hosts: Hosts, since: float) -> set[str]:
    """Give the destinations of accepted submits whose answer found no session any more."""
    lost = {line["message_id"] for line in hosts.b.lines("response_lost", since, WALL())}
    submits = hosts.b.lines("submit", 0, WALL())
    return {line["destination"] for line in submits if line.get("message_id") in lost}


def doubled(hosts: Hosts) -> set[str]:
    """Give the destinations the carrier accepted more than one message for."""
    submits = hosts.b.lines("submit", 0, WALL())
    came = Counter(line["destination"] for line in submits if line.get("message_id"))
    return {number for number, count in came.items() if count > 1}


async def marks(client: Client, numbers: set[str]) -> set[tuple[str, ...]]:
    """Give which of the two marks the messages to these numbers bear."""
    wanted = [name for name, to in client.accepted.items() if to.removeprefix("+") in numbers]
    assert len(wanted) == len(numbers)
    views = [await client.view(name) for name in wanted]
    kinds = ({event["kind"] for event in view["events"]} for view in views)
    return {tuple(k for k in ("uncertain", "possible_duplicate") if k in found) for found in kinds}
