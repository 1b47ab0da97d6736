"""What JetStream adds: atomic batches, a server that is killed, stopped, or refuses the login."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hermes.adapters.ensure_jetstream import JetStreamAdmin, StreamUnfit
from hermes.adapters.stream_jetstream import BeltRefusedLogin, JetStream
from hermes.core.carrier import Carrier
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.embedded.plan import plan_services
from hermes.ports.stream import (
    BeltSettings,
    Delivery,
    LinkChange,
    PubAck,
    Publication,
    Short,
    StreamFull,
    StreamMissing,
)
from hermes.testing.services import ServiceRunner, halt, options_for_tests

pytestmark = pytest.mark.services

SETTINGS = BeltSettings(
    ack_wait_s=1.0,
    intake_max_bytes=32 * 2**20,
    jobs_max_bytes=64 * 2**20,
    events_max_bytes=4 * 2**20,
    dead_max_bytes=2**20,
)
BATCHES = replace(SETTINGS, atomic_from=2)
ACME = Carrier(id="acme", max_queue=10)
OTP, BULK = "jobs.sms.acme.otp.1", "jobs.sms.acme.marketing.3"


@pytest.fixture(scope="module")
def server(public_dir: Callable[[], Path]) -> Iterator[ServiceRunner]:
    with ServiceRunner(plan_services(options_for_tests(("nats",), public_dir()))) as runner:
        runner.start()
        yield runner


async def connect(server: ServiceRunner, settings: BeltSettings = SETTINGS) -> JetStream:
    url = server.endpoints.nats_url
    return await JetStream.connect(url, name="test", settings=settings, timeout_s=10)


@pytest.fixture
async def belt(server: ServiceRunner) -> AsyncIterator[JetStream]:
    """A belt that publishes every two messages as a batch."""
    belt = await connect(server, BATCHES)
    await JetStreamAdmin(belt.mux, BATCHES).ensure([ACME])
    yield belt
    await JetStreamAdmin(belt.mux, BATCHES).drop("acme")
    await belt.mux.request("$JS.API.STREAM.PURGE.INTAKE", b"")
    await belt.close()


def jobs(subject: str, *names: str) -> list[Publication]:
    return [Publication(subject, b"x", name) for name in names]


async def test_a_batch_is_stored_in_one_piece_with_sequences_in_a_row(belt: JetStream) -> None:
    results = await belt.publish_batch(jobs(OTP, "a", "b") + jobs(BULK, "c"))
    assert results == [PubAck("JOBS_acme", seq) for seq in (1, 2, 3)]


async def test_a_batch_of_which_one_is_known_already_confirms_every_member(
    belt: JetStream,
) -> None:
    await belt.publish(OTP, b"x", "b")
    results = await belt.publish_batch(jobs(OTP, "a", "b", "c"))
    assert [isinstance(r, PubAck) and r.duplicate for r in results] == [False, True, False]


async def test_a_batch_with_one_id_twice_stores_it_once(belt: JetStream) -> None:
    results = await belt.publish_batch(jobs(OTP, "a", "a"))
    assert results == [PubAck("JOBS_acme", 1), PubAck("JOBS_acme", 1, duplicate=True)]


async def test_a_batch_that_is_too_much_for_one_subject_stores_what_fits(belt: JetStream) -> None:
    many = jobs(BULK, *(f"m{i}" for i in range(12)))
    results = await belt.publish_batch([*many, *jobs(OTP, "o")])
    assert [type(r) for r in results] == [PubAck] * 10 + [StreamFull] * 2 + [PubAck]


async def test_a_batch_is_split_by_stream_and_an_unknown_one_is_missing(belt: JetStream) -> None:
    mixed = jobs("jobs.sms.unknown.otp.0", "u1", "u2") + jobs(OTP, "a", "b")
    results = await belt.publish_batch([*mixed, *jobs("intake.otp", "i1", "i2")])
    assert [type(r) for r in results] == [StreamMissing] * 2 + [PubAck] * 4


async def test_more_than_the_server_takes_at_once_goes_in_several_batches(belt: JetStream) -> None:
    results = await belt.publish_batch(jobs("intake.otp", *(f"i{i}" for i in range(1_203))))
    seqs = [r.seq for r in results if isinstance(r, PubAck)]
    assert len(seqs) == len(set(seqs)) == 1_203


async def test_a_message_above_the_limit_of_the_server_is_our_fault(belt: JetStream) -> None:
    with pytest.raises(HermesBug):
        await belt.publish(OTP, b"x" * (2**20 + 1), "big")


async def test_one_message_too_large_does_not_take_its_batch_with_it(belt: JetStream) -> None:
    too_large = Publication(OTP, b"x" * (2**20 + 1), "big")
    results = await belt.publish_batch([*jobs(OTP, "a"), too_large, *jobs(OTP, "b")])
    assert [type(r) for r in results] == [PubAck, HermesBug, PubAck]


async def test_a_wrong_token_is_told_to_the_operator(server: ServiceRunner) -> None:
    host = server.endpoints.nats_url.rpartition("@")[2]
    with pytest.raises(BeltRefusedLogin):
        await JetStream.connect(f"nats://{host}", name="test", token="wrong", timeout_s=10)


async def test_a_server_that_is_not_there_is_waited_for_as_long_as_said() -> None:
    with pytest.raises(StoreUnavailable):
        await JetStream.connect("nats://127.0.0.1:9", name="test", timeout_s=0.3)


async def test_a_stream_that_cannot_become_what_it_should_is_told_to_the_operator(
    belt: JetStream,
) -> None:
    body = b'{"name":"JOBS_odd","subjects":["jobs.*.odd.>"],"retention":"limits"}'
    await belt.mux.request("$JS.API.STREAM.CREATE.JOBS_odd", body)
    admin = JetStreamAdmin(belt.mux, BATCHES)
    with pytest.raises(StreamUnfit, match="JOBS_odd"):
        await admin.ensure([Carrier(id="odd")])
    await admin.drop("odd")


async def test_storage_that_is_all_reserved_is_told_to_the_operator(belt: JetStream) -> None:
    huge = replace(SETTINGS, jobs_max_bytes=2**50)
    with pytest.raises(StreamUnfit, match="storage"):
        await JetStreamAdmin(belt.mux, huge).ensure([Carrier(id="huge")])


async def test_what_an_operator_set_beside_ours_survives_an_update(belt: JetStream) -> None:
    admin = JetStreamAdmin(belt.mux, BATCHES)
    await belt.mux.request(
        "$JS.API.STREAM.CREATE.JOBS_own",
        b'{"name":"JOBS_own","subjects":["jobs.*.own.>"],"retention":"workqueue",'
        b'"storage":"file","discard":"new","compression":"s2"}',
    )
    await admin.ensure([Carrier(id="own")])
    told = await belt.mux.request("$JS.API.STREAM.INFO.JOBS_own", b"")
    assert b'"compression":"s2"' in told.data
    assert b'"allow_atomic":true' in told.data
    await admin.drop("own")


async def test_a_server_that_does_not_answer_is_unavailable_and_the_same_id_is_safe(
    server: ServiceRunner,
) -> None:
    belt = await connect(server, replace(SETTINGS, publish_timeout_s=0.3))
    await JetStreamAdmin(belt.mux, SETTINGS).ensure([])
    pid = server.processes["nats"].pid
    halt(pid)
    try:
        results = await belt.publish_batch(jobs("intake.otp", "s1", "s2"))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [type(r).__mro__[1] for r in results] == [StoreUnavailable] * 2
    assert belt.mux.timeouts >= 2
    again = await belt.publish("intake.otp", b"x", "s1")
    once_more = await belt.publish("intake.otp", b"x", "s1")
    assert once_more == PubAck("INTAKE", again.seq, duplicate=True)
    await belt.mux.request("$JS.API.STREAM.PURGE.INTAKE", b"")
    await belt.close()


class Ledger:
    """What a test published and pulled, and whether every message asked is accounted for."""

    def __init__(self) -> None:
        self.stored: set[bytes] = set()
        self.seen: set[bytes] = set()
        self.asked = self.came = self.short = 0
        self.why: set[Short] = set()
        self.links: list[LinkChange] = []
        self.replies: asyncio.Queue[str] = asyncio.Queue()

    def item(self, delivery: Delivery) -> None:
        self.came += 1
        self.seen.add(delivery.data)
        self.replies.put_nowait(delivery.reply)

    def fell_short(self, _durable: str, n: int, why: Short) -> None:
        self.short += n
        self.why.add(why)

    def link(self, change: LinkChange, _detail: str) -> None:
        self.links.append(change)


async def publish_for_ever(belt: JetStream, ledger: Ledger) -> None:
    number = 0
    while True:
        names = [f"k{number + i}" for i in range(20)]
        number += 20
        todo = [Publication("intake.otp", name.encode(), name) for name in names]
        while todo:
            results = await belt.publish_batch(todo)
            for item, result in zip(todo, results, strict=True):
                if isinstance(result, PubAck):
                    ledger.stored.add(item.data)
            todo = [i for i, r in zip(todo, results, strict=True) if not isinstance(r, PubAck)]
            await asyncio.sleep(0.01 if not todo else 0.1)


async def acknowledge_for_ever(belt: JetStream, ledger: Ledger) -> None:
    while True:
        reply = await ledger.replies.get()
        try:
            await belt.ack(reply)
        except StoreUnavailable:
            continue


async def ask_for_ever(belt: JetStream, ledger: Ledger) -> None:
    """Keep 50 asked, and hold the count: asked == came + short + outstanding."""
    puller = await belt.pull_by_demand("INTAKE", ledger.item, ledger.fell_short)
    while True:
        outstanding = puller.outstanding("otp")
        assert ledger.asked == ledger.came + ledger.short + outstanding
        if outstanding < 25:
            try:
                await puller.pull("otp", 50 - outstanding, 5.0)
                ledger.asked += 50 - outstanding
            except StoreUnavailable:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", ["by demand", "continuously"])
async def test_a_server_killed_under_load_loses_nothing_stored_and_service_resumes(
    server: ServiceRunner, how: str
) -> None:
    ledger = Ledger()
    url = server.endpoints.nats_url
    belt = await JetStream.connect(
        url, name="test", settings=SETTINGS, on_link=ledger.link, timeout_s=10
    )
    await JetStreamAdmin(belt.mux, SETTINGS).ensure([])
    tasks = [
        asyncio.create_task(publish_for_ever(belt, ledger)),
        asyncio.create_task(acknowledge_for_ever(belt, ledger)),
    ]
    if how == "by demand":
        tasks.append(asyncio.create_task(ask_for_ever(belt, ledger)))
    else:
        await belt.pull_continuously("INTAKE", "otp", ledger.item, lambda: None, batch=50)

    async def until_stored(n: int) -> None:
        async with asyncio.timeout(30):
            while len(ledger.stored) < n:
                assert not any(task.done() for task in tasks), tasks
                await asyncio.sleep(0.01)

    await until_stored(200)
    for round_number in (1, 2):
        before = len(ledger.seen)
        server.kill("nats")
        server.start("nats")  # from this thread: its end would end the server
        await until_stored(200 + 400 * round_number)
        async with asyncio.timeout(20):
            while len(ledger.seen) < before + 200:
                await asyncio.sleep(0.01)
    tasks[0].cancel()
    async with asyncio.timeout(20):
        while not ledger.seen >= ledger.stored:
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True] * len(tasks)
    if how == "by demand":
        assert Short.LOST in ledger.why
    wanted = {LinkChange.DISCONNECTED, LinkChange.RECONNECTED}
    assert wanted <= set(ledger.links)
    assert LinkChange.CLOSED not in ledger.links
    await belt.mux.request("$JS.API.STREAM.PURGE.INTAKE", b"")
    await belt.close()


async def test_a_puller_that_hears_nothing_gives_up_and_asks_on_a_fresh_inbox(
    server: ServiceRunner,
) -> None:
    ledger = Ledger()
    belt = await connect(server)
    await JetStreamAdmin(belt.mux, SETTINGS).ensure([])
    puller = await belt.pull_by_demand("INTAKE", ledger.item, ledger.fell_short)
    await puller.pull("otp", 10, 30.0)
    pid = server.processes["nats"].pid
    halt(pid)
    try:
        async with asyncio.timeout(15):
            while ledger.short < 10:
                await asyncio.sleep(0.05)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ledger.why == {Short.LOST}
    await belt.publish("intake.otp", b"x", "after")
    await puller.pull("otp", 10, 5.0)
    async with asyncio.timeout(10):
        while not ledger.came:
            await asyncio.sleep(0.01)
    await belt.mux.request("$JS.API.STREAM.PURGE.INTAKE", b"")
    await belt.close()
