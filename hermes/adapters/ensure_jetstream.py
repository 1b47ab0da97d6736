"""Making and inspecting JetStream streams and durables: one idempotent `ensure`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from hermes.adapters.pub_mux import PubMux
from hermes.adapters.publish_jetstream import ApiError, is_no_responders
from hermes.core.carrier import Carrier
from hermes.core.errors import ConfigError, StoreUnavailable
from hermes.core.job import stream_of
from hermes.core.units import PRIORITIES, Priority
from hermes.ports.stream import (
    DEAD,
    EVENTS,
    INTAKE,
    RECORDER,
    Backlog,
    BeltSettings,
    StreamMissing,
)

STREAM_NOT_FOUND: Final = 10059
CONSUMER_NOT_FOUND: Final = 10014
# answers that only time can change: JetStream starting, no leader, a cluster electing
NOT_NOW: Final = (10008, 10009, 10039, 10076)

Config = dict[str, Any]


class StreamUnfit(ConfigError):
    """A stream or durable cannot be made, or changed into what it should be."""

    def __init__(self, what: str, error: ApiError) -> None:
        self.what, self.err_code = what, error.err_code
        super().__init__(f"{what}: {error.description} ({error.err_code})")


class Info(msgspec.Struct, frozen=True):
    """What the answers about streams and durables have in common, as far as it is read."""

    error: ApiError | None = None
    config: Config = {}
    created: datetime | None = None
    num_pending: int = 0
    num_ack_pending: int = 0


INFOS: Final = msgspec.json.Decoder(Info)
ENCODER: Final = msgspec.json.Encoder()


class JetStreamAdmin:
    """Implements BeltAdmin over the requests of a connection."""

    def __init__(self, mux: PubMux, settings: BeltSettings) -> None:
        self._mux = mux
        self._settings = settings

    async def ensure(self, carriers: Iterable[Carrier]) -> None:
        """See `BeltAdmin.ensure`."""
        shared = (intake_config, events_config, dead_config)
        for config in shared:
            await self._ensure_stream(config(self._settings))
        for priority in PRIORITIES:
            await self._ensure_durable(
                INTAKE, priority, f"intake.{priority}", self._settings.intake_ack_pending
            )
        await self._ensure_durable(EVENTS, RECORDER, "events.>", self._settings.events_ack_pending)
        for carrier in carriers:
            await self._ensure_stream(jobs_config(carrier, self._settings))
            most = max(
                self._settings.job_ack_pending_least,
                self._settings.job_ack_pending_windows * carrier.window,
            )
            for priority in PRIORITIES:
                await self._ensure_durable(
                    stream_of(carrier.id), priority, f"jobs.*.{carrier.id}.{priority}.>", most
                )

    async def drop(self, carrier: str) -> None:
        """See `BeltAdmin.drop`."""
        name = stream_of(carrier)
        answer = await self._ask(f"STREAM.DELETE.{name}")
        if answer.error is not None and answer.error.err_code != STREAM_NOT_FOUND:
            raise refusal(name, answer.error)

    async def stream_created(self, stream: str) -> datetime:
        """See `BeltAdmin.stream_created`."""
        answer = await self._ask(f"STREAM.INFO.{stream}")
        if answer.error is not None or answer.created is None:
            raise refusal(stream, answer.error)
        return answer.created

    async def live(self, stream: str, seqs: Sequence[int]) -> set[int]:
        """See `BeltAdmin.live`."""
        subject = f"$JS.API.DIRECT.GET.{stream}"
        asked = [(seq, await self._mux.post(subject, b'{"seq":%d}' % seq)) for seq in seqs]
        found: set[int] = set()
        try:
            for seq, future in asked:
                answer = await future
                if is_no_responders(answer):
                    raise StreamMissing(stream)
                status = (answer.headers or {}).get("Status")
                if status is None:
                    found.add(seq)
                elif status != "404":
                    raise StoreUnavailable("nats", f"look-up in {stream} answered {status}")
        finally:
            for _, future in asked:
                future.cancel()
        return found

    async def backlog(self, carrier: str) -> dict[Priority, Backlog]:
        """See `BeltAdmin.backlog`."""
        name = stream_of(carrier)
        found: dict[Priority, Backlog] = {}
        for priority in PRIORITIES:
            answer = await self._ask(f"CONSUMER.INFO.{name}.{priority}")
            if answer.error is not None:
                raise refusal(name, answer.error)
            found[priority] = Backlog(answer.num_pending, answer.num_ack_pending)
        return found

    async def _ensure_stream(self, wanted: Config) -> None:
        name = str(wanted["name"])
        answer = await self._ask(f"STREAM.INFO.{name}")
        if answer.error is not None and answer.error.err_code == STREAM_NOT_FOUND:
            answer = await self._ask(f"STREAM.CREATE.{name}", wanted)
        elif answer.error is None and differs(wanted, answer.config):
            # what somebody else has set (placement, compression) stays
            answer = await self._ask(f"STREAM.UPDATE.{name}", {**answer.config, **wanted})
        if answer.error is not None:
            raise refusal(name, answer.error)

    async def _ensure_durable(self, stream: str, durable: str, subject: str, most: int) -> None:
        wanted: Config = {
            "name": durable,
            "durable_name": durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": nanoseconds(self._settings.ack_wait_s),
            "max_deliver": -1,
            "max_ack_pending": most,
            "filter_subject": subject,
        }
        answer = await self._ask(f"CONSUMER.INFO.{stream}.{durable}")
        if answer.error is not None and answer.error.err_code == CONSUMER_NOT_FOUND:
            config = wanted
        elif answer.error is None and differs(wanted, answer.config):
            config = {**answer.config, **wanted}
        elif answer.error is None:
            return
        else:
            raise refusal(f"{stream}/{durable}", answer.error)
        answer = await self._ask(
            f"CONSUMER.CREATE.{stream}.{durable}.{subject}",
            {"stream_name": stream, "config": config},
        )
        if answer.error is not None:
            raise refusal(f"{stream}/{durable}", answer.error)

    async def _ask(self, verb: str, body: Config | None = None) -> Info:
        data = b"" if body is None else ENCODER.encode(body)
        answer = await self._mux.request(f"$JS.API.{verb}", data)
        if is_no_responders(answer):
            raise StoreUnavailable("nats", "JetStream is off, or not up yet")
        return INFOS.decode(answer.data)


def refusal(what: str, error: ApiError | None) -> StreamMissing | StoreUnavailable | StreamUnfit:
    """Give a refused request as the error of whoever can do something about it."""
    if error is None:
        return StoreUnavailable("nats", f"{what}: no answer to read")
    if error.err_code in (STREAM_NOT_FOUND, CONSUMER_NOT_FOUND):
        return StreamMissing(what)
    if error.err_code in NOT_NOW:
        return StoreUnavailable("nats", f"{what}: {error.description} ({error.err_code})")
    return StreamUnfit(what, error)


def differs(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Say whether any of the wanted values is another one, or absent, in what was found."""
    return any(found.get(key) != value for key, value in wanted.items())


def nanoseconds(seconds: float) -> int:
    """Give seconds as JetStream counts time."""
    return round(seconds * 1e9)


def intake_config(settings: BeltSettings) -> Config:
    """Give the stream of accepted messages."""
    return work_queue(INTAKE, "intake.*", settings.intake_max_bytes, settings)


def events_config(settings: BeltSettings) -> Config:
    """Give the stream of events; `limits` would drop old ones nobody has read."""
    config = work_queue(EVENTS, "events.>", settings.events_max_bytes, settings)
    return {**config, "retention": "interest"}


def dead_config(settings: BeltSettings) -> Config:
    """Give the stream of dead letters: the oldest go first."""
    config = work_queue(DEAD, "dead.>", settings.dead_max_bytes, settings)
    age = nanoseconds(settings.dead_max_age_s)
    return {**config, "retention": "limits", "discard": "old", "max_age": age}


def jobs_config(carrier: Carrier, settings: BeltSettings) -> Config:
    """Give the stream of one carrier; `max_queue` bounds each priority and lane by itself."""
    name, subjects = stream_of(carrier.id), f"jobs.*.{carrier.id}.>"
    return {
        **work_queue(name, subjects, settings.jobs_max_bytes, settings),
        "discard_new_per_subject": True,
        "max_msgs_per_subject": carrier.max_queue,
    }


def work_queue(name: str, subjects: str, max_bytes: int, settings: BeltSettings) -> Config:
    """Give what all streams have in common, as a work queue that refuses when full."""
    return {
        "name": name,
        "subjects": [subjects],
        "retention": "workqueue",
        "storage": "file",
        "discard": "new",
        "max_bytes": max_bytes,
        "max_msg_size": settings.max_msg_bytes,
        "duplicate_window": nanoseconds(settings.duplicate_window_s),
        "num_replicas": settings.replicas,
        "allow_atomic": True,
        "allow_direct": True,
    }
