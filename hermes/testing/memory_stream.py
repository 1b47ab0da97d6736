"""The belt in this process: streams with quotas, durables, redelivery; time is the event loop's."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hermes.adapters.puller_continuous import SteadyPuller
from hermes.core.carrier import Carrier
from hermes.core.errors import HermesBug, HermesError
from hermes.core.job import stream_of
from hermes.core.units import PRIORITIES, Priority
from hermes.ports.stream import (
    DEAD,
    EVENTS,
    INTAKE,
    RECORDER,
    Backlog,
    BeltSettings,
    ContinuousPuller,
    Delivery,
    DemandPuller,
    OnItem,
    OnMissing,
    OnShort,
    PubAck,
    Publication,
    PublishResult,
    Short,
    StreamFull,
    StreamMissing,
)

FIRST_CREATED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Durable:
    """One consumer: what it has to deliver, what is out, and who waits for how many."""

    subject: str
    most: int
    pending: list[int] = field(default_factory=list)
    out: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)


@dataclass(slots=True)
class Stream:
    """One stream: messages by sequence, what ids it knows, its consumers."""

    name: str
    subject: str
    created: datetime
    max_bytes: int
    retention: str = "workqueue"
    max_per_subject: int | None = None
    last: int = 0
    messages: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    ids: dict[str, tuple[int, float]] = field(default_factory=dict)
    durables: dict[str, Durable] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Pull:
    """One open request of a puller."""

    puller: MemoryPuller
    durable: str
    left: int
    timer: asyncio.TimerHandle | None = None


class MemoryStreams:
    """The server: implements BeltAdmin, and what MemoryBelt needs."""

    def __init__(self, settings: BeltSettings | None = None) -> None:
        self.settings = settings or BeltSettings()
        self.streams: dict[str, Stream] = {}
        self._made = 0

    async def ensure(self, carriers: Iterable[Carrier]) -> None:
        """See `BeltAdmin.ensure`."""
        numbers = self.settings
        intake = self._make(INTAKE, "intake.*", numbers.intake_max_bytes)
        for priority in PRIORITIES:
            self._durable(intake, priority, f"intake.{priority}", numbers.intake_ack_pending)
        events = self._make(EVENTS, "events.>", numbers.events_max_bytes)
        events.retention = "interest"
        self._durable(events, RECORDER, "events.>", numbers.events_ack_pending)
        self._make(DEAD, "dead.>", numbers.dead_max_bytes).retention = "limits"
        for carrier in carriers:
            jobs = self._make(
                stream_of(carrier.id), f"jobs.*.{carrier.id}.>", numbers.jobs_max_bytes
            )
            jobs.max_per_subject = carrier.max_queue
            most = max(
                numbers.job_ack_pending_least, numbers.job_ack_pending_windows * carrier.window
            )
            for priority in PRIORITIES:
                self._durable(jobs, priority, f"jobs.*.{carrier.id}.{priority}.>", most)

    async def drop(self, carrier: str) -> None:
        """See `BeltAdmin.drop`."""
        stream = self.streams.pop(stream_of(carrier), None)
        for durable in () if stream is None else stream.durables.values():
            for timer in durable.out.values():
                timer.cancel()

    async def stream_created(self, stream: str) -> datetime:
        """See `BeltAdmin.stream_created`."""
        return self._stream(stream).created

    async def live(self, stream: str, seqs: Sequence[int]) -> set[int]:
        """See `BeltAdmin.live`."""
        return set(seqs) & self._stream(stream).messages.keys()

    async def backlog(self, carrier: str) -> dict[Priority, Backlog]:
        """See `BeltAdmin.backlog`."""
        durables = self._stream(stream_of(carrier)).durables
        return {p: Backlog(len(durables[p].pending), len(durables[p].out)) for p in PRIORITIES}

    def store(self, item: Publication) -> PubAck:
        """Store a message and hand it to whoever waits. Raises StreamFull, StreamMissing."""
        subject, data, msg_id = item
        now = asyncio.get_running_loop().time()
        stream = next((s for s in self.streams.values() if matches(s.subject, subject)), None)
        if stream is None:
            raise StreamMissing(subject)
        known = stream.ids.get(msg_id)
        if known is not None and now - known[1] < self.settings.duplicate_window_s:
            return PubAck(stream.name, known[0], duplicate=True)
        same = sum(1 for stored, _ in stream.messages.values() if stored == subject)
        if stream.max_per_subject is not None and same >= stream.max_per_subject:
            raise StreamFull(subject, "maximum messages per subject exceeded")
        if sum(len(d) for _, d in stream.messages.values()) + len(data) > stream.max_bytes:
            raise StreamFull(subject, "maximum bytes exceeded")
        stream.last += 1
        stream.ids[msg_id] = stream.last, now
        interested = [d for d in stream.durables.values() if matches(d.subject, subject)]
        if interested or stream.retention != "interest":
            stream.messages[stream.last] = subject, data
        for durable in interested:
            durable.pending.append(stream.last)
            self.serve(stream, durable)
        return PubAck(stream.name, stream.last)

    def serve(self, stream: Stream, durable: Durable) -> None:
        """Deliver what can be delivered."""
        while durable.pulls and durable.pending and len(durable.out) < durable.most:
            pull, seq = durable.pulls[0], durable.pending.pop(0)
            self.hold(stream, durable, seq)
            times = durable.times[seq] = durable.times.get(seq, 0) + 1
            reply = f"$ACK {stream.name} {pull.durable} {seq}"
            subject, data = stream.messages[seq]
            pull.left -= 1
            if not pull.left:
                self.end(durable, pull)
            delivery = Delivery(subject, data, reply, seq, times, stream.name, pull.durable)
            asyncio.get_running_loop().call_soon(pull.puller.came, delivery)

    def end(self, durable: Durable, pull: Pull) -> None:
        """Close a pull; on_short is the puller's."""
        durable.pulls.remove(pull)
        if pull.timer is not None:
            pull.timer.cancel()

    def hold(self, stream: Stream, durable: Durable, seq: int) -> None:
        """Start (again) the time within which a delivery must be acknowledged."""
        before = durable.out.pop(seq, None)
        if before is not None:
            before.cancel()
        durable.out[seq] = asyncio.get_running_loop().call_later(
            self.settings.ack_wait_s, self.back, stream, durable, seq
        )

    def back(self, stream: Stream, durable: Durable, seq: int) -> None:
        """Put a delivery back in its place: handed back, or not acknowledged in time."""
        durable.out.pop(seq).cancel()
        insort(durable.pending, seq)
        self.serve(stream, durable)

    def answer(self, reply: str, word: str) -> None:
        """Take an acknowledgement; one that comes too late is passed over."""
        _, name, durable_name, number = reply.split(" ")
        stream, seq = self.streams.get(name), int(number)
        if stream is None or seq not in stream.durables[durable_name].out:
            return
        durable = stream.durables[durable_name]
        if word == "progress":
            self.hold(stream, durable, seq)
        elif word == "nak":
            self.back(stream, durable, seq)
        else:
            durable.out.pop(seq).cancel()
            durable.times.pop(seq)
            waits = any(seq in d.pending or seq in d.out for d in stream.durables.values())
            if stream.retention != "limits" and not waits:
                del stream.messages[seq]
            self.serve(stream, durable)

    def _stream(self, name: str) -> Stream:
        stream = self.streams.get(name)
        if stream is None:
            raise StreamMissing(name)
        return stream

    def _make(self, name: str, subject: str, max_bytes: int) -> Stream:
        if name not in self.streams:
            self._made += 1
            created = FIRST_CREATED + timedelta(seconds=self._made)
            self.streams[name] = Stream(name, subject, created, max_bytes)
        return self.streams[name]

    @staticmethod
    def _durable(stream: Stream, name: str, subject: str, most: int) -> None:
        stream.durables.setdefault(name, Durable(subject, most)).most = most


class MemoryPuller:
    """Implements DemandPuller on a stream of the server."""

    def __init__(
        self, server: MemoryStreams, stream: str, on_item: OnItem, on_short: OnShort
    ) -> None:
        self._server, self._stream = server, stream
        self._on_item, self._on_short = on_item, on_short
        self._outstanding: dict[str, int] = {}
        self._is_stopped = False

    async def pull(self, durable: str, n: int, expires_s: float | None = None) -> None:
        """See `DemandPuller.pull`."""
        if n < 1 or (expires_s is None and self.outstanding(durable)):
            raise HermesBug(f"pull of {n} from {durable} beside {self.outstanding(durable)} asked")
        self._outstanding[durable] = self.outstanding(durable) + n
        loop = asyncio.get_running_loop()
        stream = self._server.streams.get(self._stream)
        if stream is None or durable not in stream.durables:
            loop.call_soon(self._fall_short, durable, n, Short.MISSING)
            return
        there = stream.durables[durable]
        pull = Pull(self, durable, n)
        there.pulls.append(pull)
        self._server.serve(stream, there)
        if pull not in there.pulls:
            return
        if expires_s is None:
            self._server.end(there, pull)
            loop.call_soon(self._fall_short, durable, pull.left, Short.EMPTY)
        else:
            pull.timer = loop.call_later(expires_s, self._expire, there, pull)

    def outstanding(self, durable: str) -> int:
        """See `DemandPuller.outstanding`."""
        return self._outstanding.get(durable, 0)

    async def stop(self) -> None:
        """See `DemandPuller.stop`."""
        self._is_stopped = True
        self._outstanding.clear()
        stream = self._server.streams.get(self._stream)
        for durable in () if stream is None else stream.durables.values():
            for pull in [pull for pull in durable.pulls if pull.puller is self]:
                self._server.end(durable, pull)

    def came(self, delivery: Delivery) -> None:
        """Take a delivery from the server."""
        if self._is_stopped:
            self._server.answer(delivery.reply, "nak")
            return
        self._outstanding[delivery.durable] -= 1
        self._on_item(delivery)

    def _expire(self, durable: Durable, pull: Pull) -> None:
        self._server.end(durable, pull)
        self._fall_short(pull.durable, pull.left, Short.EMPTY)

    def _fall_short(self, durable: str, n: int, why: Short) -> None:
        if not self._is_stopped:
            self._outstanding[durable] -= n
            self._on_short(durable, n, why)


class MemoryBelt:
    """Implements Belt: one connection to the server."""

    def __init__(self, server: MemoryStreams) -> None:
        self._server = server
        self._pullers: list[DemandPuller | ContinuousPuller] = []

    async def publish(self, subject: str, data: bytes, msg_id: str) -> PubAck:
        """See `Publisher.publish`."""
        return self._server.store(Publication(subject, data, msg_id))

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """See `Publisher.publish_batch`."""
        results: list[PublishResult] = []
        for item in items:
            try:
                results.append(self._server.store(item))
            except HermesError as error:
                results.append(error)
        return results

    async def ack(self, reply: str) -> None:
        """See `Acknowledger.ack`."""
        self._server.answer(reply, "ack")

    async def ack_many(self, replies: Iterable[str]) -> None:
        """See `Acknowledger.ack_many`."""
        for reply in replies:
            self._server.answer(reply, "ack")

    async def ack_sync(self, reply: str) -> None:
        """See `Acknowledger.ack_sync`."""
        self._server.answer(reply, "ack")

    async def nak(self, *replies: str) -> None:
        """See `Acknowledger.nak`."""
        for reply in replies:
            self._server.answer(reply, "nak")

    async def progress(self, *replies: str) -> None:
        """See `Acknowledger.progress`."""
        for reply in replies:
            self._server.answer(reply, "progress")

    async def term(self, *replies: str) -> None:
        """See `Acknowledger.term`."""
        for reply in replies:
            self._server.answer(reply, "term")

    async def pull_by_demand(self, stream: str, on_item: OnItem, on_short: OnShort) -> DemandPuller:
        """See `Belt.pull_by_demand`."""
        puller = MemoryPuller(self._server, stream, on_item, on_short)
        self._pullers.append(puller)
        return puller

    async def pull_continuously(
        self,
        stream: str,
        durable: str,
        on_item: OnItem,
        on_missing: OnMissing,
        batch: int = 500,
    ) -> ContinuousPuller:
        """See `Belt.pull_continuously`."""
        steady = SteadyPuller(durable, on_item, on_missing, batch)
        await steady.start(lambda came, short: self.pull_by_demand(stream, came, short))
        self._pullers.append(steady)
        return steady

    async def close(self) -> None:
        """See `Belt.close`."""
        for puller in self._pullers:
            await puller.stop()


def matches(pattern: str, subject: str) -> bool:
    """Say whether a subject fits a pattern of NATS: `*` is one token, `>` the rest."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for at, part in enumerate(wanted):
        if part == ">":
            return len(tokens) > at
        if at >= len(tokens) or part not in ("*", tokens[at]):
            return False
    return len(wanted) == len(tokens)
