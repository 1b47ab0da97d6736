"""What the belt promises, kept by JetStream and by the memory twin alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.carrier import Bind, Carrier
from hermes.core.errors import HermesBug
from hermes.ports.stream import (
    DEAD,
    EVENTS,
    INTAKE,
    RECORDER,
    Backlog,
    Belt,
    BeltAdmin,
    BeltSettings,
    Delivery,
    PubAck,
    Publication,
    Short,
    StreamFull,
    StreamMissing,
)
from hermes.testing.memory_stream import MemoryBelt, MemoryStreams
from hermes.testing.services import running_services

SETTINGS = BeltSettings(
    ack_wait_s=0.4,
    intake_max_bytes=4 * 2**20,
    jobs_max_bytes=8 * 2**20,
    events_max_bytes=4 * 2**20,
    dead_max_bytes=2**20,
)
ACME = Carrier(
    id="acme",
    max_queue=5,
    bind=(Bind(id="one", host="localhost", port=2775, system_id="x", window=20),),
)
OTP, BULK = "jobs.sms.acme.otp.1", "jobs.sms.acme.marketing.3"


@pytest.fixture(scope="module")
def nats_url(public_dir: Callable[[], Path]) -> Iterator[str]:
    """A server of this module's own: the shared streams are made and removed in it."""
    with running_services(("nats",), public_dir()) as endpoints:
        yield endpoints.nats_url


@dataclass
class Host:
    """A belt, its administration, and a connection as another process would have one."""

    belt: Belt
    admin: BeltAdmin
    elsewhere: Belt


@pytest.fixture(params=["memory", pytest.param("jetstream", marks=pytest.mark.services)])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    if request.param == "memory":
        streams = MemoryStreams(SETTINGS)
        await streams.ensure([ACME])
        yield Host(MemoryBelt(streams), streams, MemoryBelt(streams))
        return
    url = request.getfixturevalue("nats_url")
    belt = await JetStream.connect(url, name="test", settings=SETTINGS, timeout_s=10)
    elsewhere = await JetStream.connect(url, name="other", settings=SETTINGS, timeout_s=10)
    admin = JetStreamAdmin(belt.mux, SETTINGS)
    await admin.ensure([ACME])
    yield Host(belt, admin, elsewhere)
    for stream in (INTAKE, EVENTS, DEAD, "JOBS_acme"):
        await belt.mux.request(f"$JS.API.STREAM.DELETE.{stream}", b"")
    await belt.close()
    await elsewhere.close()


@dataclass
class Came:
    """What a puller called back."""

    items: list[Delivery] = field(default_factory=list)
    shorts: list[tuple[str, int, Short]] = field(default_factory=list)

    def item(self, delivery: Delivery) -> None:
        self.items.append(delivery)

    def short(self, durable: str, n: int, why: Short) -> None:
        self.shorts.append((durable, n, why))

    async def until(self, items: int = 0, shorts: int = 0) -> None:
        async with asyncio.timeout(10):
            while len(self.items) < items or len(self.shorts) < shorts:
                await asyncio.sleep(0.005)


async def gone(host: Host, stream: str, seq: int) -> None:
    """Wait until a sequence has left its stream."""
    async with asyncio.timeout(10):
        while await host.admin.live(stream, [seq]):
            await asyncio.sleep(0.005)


async def test_what_is_published_is_pulled_with_its_sequence_and_leaves_on_ack(host: Host) -> None:
    stored = await host.belt.publish(OTP, b"hello", "a.0.0")
    assert stored == PubAck("JOBS_acme", stored.seq)
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 3)
    await came.until(items=1, shorts=1)
    [job] = came.items
    assert job == Delivery(OTP, b"hello", job.reply, stored.seq, 1, "JOBS_acme", "otp")
    assert came.shorts == [("otp", 2, Short.EMPTY)]
    assert puller.outstanding("otp") == 0
    assert await host.admin.live("JOBS_acme", [stored.seq, stored.seq + 1]) == {stored.seq}
    await host.belt.ack(job.reply)
    await gone(host, "JOBS_acme", stored.seq)


async def test_a_reply_subject_acknowledges_from_another_process(host: Host) -> None:
    stored = await host.belt.publish(OTP, b"hello", "a.0.0")
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 1)
    await came.until(items=1)
    await host.elsewhere.progress(came.items[0].reply)
    await host.elsewhere.ack(came.items[0].reply)
    await gone(host, "JOBS_acme", stored.seq)


async def test_an_id_published_again_is_a_duplicate_of_the_first(host: Host) -> None:
    first = await host.belt.publish(OTP, b"x", "a.0.0")
    again = await host.belt.publish(OTP, b"x", "a.0.0")
    assert again == PubAck("JOBS_acme", first.seq, duplicate=True)


async def test_a_full_subject_refuses_and_leaves_the_others_alone(host: Host) -> None:
    filling = [Publication(BULK, b"x", f"m{i}.0.0") for i in range(7)]
    others = [Publication(OTP, b"x", "o.0.0")]
    results = await host.belt.publish_batch([*filling, *others])
    assert [type(r) for r in results] == [PubAck] * 5 + [StreamFull] * 2 + [PubAck]
    with pytest.raises(StreamFull) as caught:
        await host.belt.publish(BULK, b"x", "m5.0.0")
    assert caught.value.subject == BULK


async def test_a_refused_id_stays_usable_once_an_ack_made_room(host: Host) -> None:
    await host.belt.publish_batch([Publication(BULK, b"x", f"m{i}.0.0") for i in range(6)])
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("marketing", 1)
    await came.until(items=1)
    await host.belt.ack_sync(came.items[0].reply)
    assert not (await host.belt.publish(BULK, b"x", "m5.0.0")).duplicate
    with pytest.raises(StreamFull):
        await host.belt.publish(BULK, b"x", "m6.0.0")


async def test_a_batch_over_several_streams_answers_each_message_in_order(host: Host) -> None:
    results = await host.belt.publish_batch(
        [
            Publication("intake.otp", b"1", "i1"),
            Publication("nowhere.at.all", b"2", "n1"),
            Publication(OTP, b"3", "j1"),
            Publication("intake.otp", b"1", "i1"),
        ]
    )
    first, missing, job, again = results
    assert isinstance(first, PubAck)
    assert isinstance(missing, StreamMissing)
    assert isinstance(job, PubAck)
    assert (first.stream, job.stream) == (INTAKE, "JOBS_acme")
    assert again == replace_duplicate(first)


def replace_duplicate(ack: PubAck) -> PubAck:
    return PubAck(ack.stream, ack.seq, duplicate=True)


async def test_an_empty_batch_is_no_work(host: Host) -> None:
    assert await host.belt.publish_batch([]) == []


async def test_a_subject_without_a_stream_says_so(host: Host) -> None:
    with pytest.raises(StreamMissing):
        await host.belt.publish("jobs.sms.unknown.otp.0", b"x", "u.0.0")


async def test_what_is_handed_back_comes_again_at_once_and_counted(host: Host) -> None:
    await host.belt.publish(OTP, b"x", "a.0.0")
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 2, 5.0)
    await came.until(items=1)
    await host.belt.nak(came.items[0].reply)
    await came.until(items=2)
    assert [item.num_delivered for item in came.items] == [1, 2]


async def test_what_nobody_acknowledges_comes_again_unless_progress_is_told(host: Host) -> None:
    for name in ("held", "forgotten"):
        await host.belt.publish(OTP, name.encode(), name)
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 3, 10.0)
    await came.until(items=2)
    held = next(item for item in came.items if item.data == b"held")
    async with asyncio.timeout(10):
        while len(came.items) < 3:
            await host.belt.progress(held.reply)
            await asyncio.sleep(0.05)
    assert (came.items[2].data, came.items[2].num_delivered) == (b"forgotten", 2)


async def test_what_is_terminated_never_comes_again(host: Host) -> None:
    stored = await host.belt.publish(OTP, b"x", "a.0.0")
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 1)
    await came.until(items=1)
    await host.belt.term(came.items[0].reply)
    await gone(host, "JOBS_acme", stored.seq)


async def test_a_pull_never_delivers_more_than_was_asked(host: Host) -> None:
    await host.belt.publish_batch([Publication(OTP, b"x", f"a{i}.0.0") for i in range(5)])
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 3)
    await came.until(items=3)
    await puller.pull("marketing", 1)
    await came.until(items=3, shorts=1)
    assert (len(came.items), puller.outstanding("otp")) == (3, 0)
    backlog = await host.admin.backlog("acme")
    assert backlog["otp"] == Backlog(pending=2, unacked=3)
    assert backlog["marketing"] == Backlog(pending=0, unacked=0)


async def test_a_long_poll_takes_what_comes_and_reports_the_rest(host: Host) -> None:
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 3, 0.3)
    assert puller.outstanding("otp") == 3
    await host.belt.publish(OTP, b"x", "a.0.0")
    await came.until(items=1, shorts=1)
    assert came.shorts == [("otp", 2, Short.EMPTY)]
    assert puller.outstanding("otp") == 0


async def test_two_long_polls_of_one_durable_add_up(host: Host) -> None:
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 2, 0.3)
    await puller.pull("otp", 3, 0.3)
    await host.belt.publish_batch([Publication(OTP, b"x", f"a{i}.0.0") for i in range(3)])
    await came.until(items=3, shorts=1)
    async with asyncio.timeout(5):
        while puller.outstanding("otp"):
            await asyncio.sleep(0.01)
    assert sum(n for _, n, _ in came.shorts) == 2


async def test_an_immediate_pull_beside_an_open_one_is_misuse(host: Host) -> None:
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 1, 5.0)
    with pytest.raises(HermesBug):
        await puller.pull("otp", 1)
    with pytest.raises(HermesBug):
        await puller.pull("marketing", 0)


async def test_a_pull_from_what_does_not_exist_says_so(host: Host) -> None:
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_unknown", came.item, came.short)
    await puller.pull("otp", 4)
    await came.until(shorts=1)
    assert came.shorts == [("otp", 4, Short.MISSING)]


async def test_a_stopped_puller_calls_nobody(host: Host) -> None:
    came = Came()
    puller = await host.belt.pull_by_demand("JOBS_acme", came.item, came.short)
    await puller.pull("otp", 5, 5.0)
    await puller.stop()
    await host.belt.publish(OTP, b"x", "a.0.0")
    other = Came()
    taker = await host.belt.pull_by_demand("JOBS_acme", other.item, other.short)
    await taker.pull("otp", 1, 5.0)
    await other.until(items=1)
    assert (came.items, came.shorts) == ([], [])


async def test_a_continuous_puller_drains_more_than_its_batch(host: Host) -> None:
    came = Came()
    steady = await host.belt.pull_continuously(
        INTAKE, "transactional", came.item, lambda: None, batch=8
    )
    items = [Publication("intake.transactional", b"%d" % i, f"t{i}") for i in range(40)]
    await host.belt.publish_batch(items)
    await came.until(items=40)
    assert [item.data for item in came.items] == [item.data for item in items]
    await host.belt.ack_many([item.reply for item in came.items])
    assert steady.outstanding() <= 8
    await gone(host, INTAKE, came.items[-1].seq)


async def test_a_continuous_puller_asks_for_what_is_missing_to_be_made(host: Host) -> None:
    later = replace_id(ACME, "later")
    came, missing = Came(), asyncio.Event()
    await host.belt.pull_continuously("JOBS_later", "otp", came.item, missing.set, batch=4)
    await asyncio.wait_for(missing.wait(), 10)
    await host.admin.ensure([later])
    await host.belt.publish("jobs.sms.later.otp.0", b"x", "l.0.0")
    await came.until(items=1)
    await host.admin.drop("later")


def replace_id(carrier: Carrier, name: str) -> Carrier:
    return Carrier(id=name, max_queue=carrier.max_queue, bind=carrier.bind)


async def test_an_event_leaves_when_the_recorder_has_it(host: Host) -> None:
    stored = await host.belt.publish("events.host1", b"envelope", "e1")
    came = Came()
    puller = await host.belt.pull_by_demand(EVENTS, came.item, came.short)
    await puller.pull(RECORDER, 1)
    await came.until(items=1)
    await host.belt.ack(came.items[0].reply)
    await gone(host, EVENTS, stored.seq)


async def test_a_dead_letter_stays(host: Host) -> None:
    stored = await host.belt.publish("dead.JOBS_acme", b"{}", "d1")
    assert await host.admin.live(DEAD, [stored.seq]) == {stored.seq}


async def test_ensure_changes_nothing_the_second_time_and_updates_a_bound(host: Host) -> None:
    stored = await host.belt.publish(OTP, b"x", "a.0.0")
    created = await host.admin.stream_created("JOBS_acme")
    await host.admin.ensure([ACME])
    wider = Carrier(id="acme", max_queue=6, bind=ACME.bind)
    await host.admin.ensure([wider])
    assert await host.admin.stream_created("JOBS_acme") == created
    assert await host.admin.live("JOBS_acme", [stored.seq]) == {stored.seq}
    results = await host.belt.publish_batch(
        [Publication(BULK, b"x", f"m{i}.0.0") for i in range(7)]
    )
    assert [type(r) for r in results] == [PubAck] * 6 + [StreamFull]


async def test_a_stream_made_again_is_another_one(host: Host) -> None:
    created = await host.admin.stream_created("JOBS_acme")
    await host.admin.drop("acme")
    await host.admin.drop("acme")
    with pytest.raises(StreamMissing):
        await host.admin.stream_created("JOBS_acme")
    with pytest.raises(StreamMissing):
        await host.admin.backlog("acme")
    with pytest.raises(StreamMissing):
        await host.admin.live("JOBS_acme", [1])
    await host.admin.ensure([ACME])
    assert await host.admin.stream_created("JOBS_acme") > created


async def test_the_size_of_a_stream_is_a_bound_too(host: Host) -> None:
    big = b"x" * 900_000
    items = [Publication("intake.marketing", big, f"b{i}") for i in range(6)]
    results = await host.belt.publish_batch(items)
    assert isinstance(results[0], PubAck)
    assert isinstance(results[-1], StreamFull)
