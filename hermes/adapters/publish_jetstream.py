"""Publishing into JetStream: single publications in a row, or an atomic batch where that pays."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from nats.aio.msg import Msg

from hermes.adapters.pub_mux import NoAnswer, PubMux
from hermes.core.errors import HermesBug, HermesError, StoreUnavailable
from hermes.core.job import stream_of
from hermes.ports.stream import (
    DEAD,
    EVENTS,
    INTAKE,
    PubAck,
    Publication,
    PublishResult,
    StreamFull,
    StreamMissing,
)

STORE_FAILED: Final = 10077  # also "maximum messages", "maximum bytes", "... per subject exceeded"
TOO_LARGE: Final = 10054
BATCH_INCOMPLETE: Final = 10176
NO_RESPONDERS: Final = "503"
MOST_IN_BATCH: Final = 1_000
BATCHES_IN_FLIGHT: Final = 8
TRIES: Final = 2


class ApiError(msgspec.Struct, frozen=True):
    """The error of a JetStream answer."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAnswer(msgspec.Struct, frozen=True):
    """The answer to a publication or to the commit of a batch."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    count: int = 0
    error: ApiError | None = None


ANSWERS: Final = msgspec.json.Decoder(PubAnswer)


class JetStreamPublisher:
    """Publishes; `connected(seconds)` says whether there is a connection within that time.

    What got no answer is sent once more under the same ids as soon as there is a connection.
    """

    def __init__(
        self, mux: PubMux, connected: Callable[[float], Awaitable[bool]], atomic_from: int
    ) -> None:
        self._mux = mux
        self._connected = connected
        self._atomic_from = atomic_from
        self._batches = asyncio.Semaphore(BATCHES_IN_FLIGHT)

    async def publish(self, subject: str, data: bytes, msg_id: str) -> PubAck:
        """See `Publisher.publish`."""
        result = (await self._singly([Publication(subject, data, msg_id)]))[0]
        if isinstance(result, PubAck):
            return result
        raise result

    async def publish_batch(self, items: Sequence[Publication]) -> list[PublishResult]:
        """See `Publisher.publish_batch`."""
        if len(items) < self._atomic_from:
            return await self._singly(items)
        places: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            places.setdefault(stream_of_subject(item.subject), []).append(place)
        groups = [
            mine[start : start + MOST_IN_BATCH]
            for mine in places.values()
            for start in range(0, len(mine), MOST_IN_BATCH)
        ]
        answers = await asyncio.gather(*(self._group([items[i] for i in g]) for g in groups))
        found = {
            place: result
            for group, results in zip(groups, answers, strict=True)
            for place, result in zip(group, results, strict=True)
        }
        return [found[place] for place in range(len(items))]

    async def _group(self, items: Sequence[Publication]) -> list[PublishResult]:
        if len(items) < self._atomic_from:
            return await self._singly(items)
        for attempt in range(TRIES):
            try:
                async with self._batches:
                    answer = await self._commit(items)
            except NoAnswer as error:
                # stored or not: a new batch of the same ids finds out, by 10201 if it was
                if attempt + 1 == TRIES or not await self._connected(1.0):
                    return [error] * len(items)
                continue
            except StoreUnavailable as error:
                return [error] * len(items)
            except (HermesBug, StreamMissing):
                break  # one of them is to blame, not all
            if answer.error is None and answer.count == len(items):
                first = answer.seq - answer.count + 1
                return [PubAck(answer.stream, first + i) for i in range(len(items))]
            if answer.error is None or answer.error.err_code != BATCH_INCOMPLETE:
                break
        # full, an id known already, no batches on this server: each by itself says which it is
        return await self._singly(items)

    async def _commit(self, items: Sequence[Publication]) -> PubAnswer:
        batch = uuid.uuid4().hex

        def headers(sequence: int, msg_id: str) -> dict[str, str]:
            return {
                "Nats-Batch-Id": batch,
                "Nats-Batch-Sequence": str(sequence),
                "Nats-Msg-Id": msg_id,
            }

        for sequence, (subject, data, msg_id) in enumerate(items[:-1], 1):
            await self._mux.send(subject, data, headers(sequence, msg_id))
        subject, data, msg_id = items[-1]
        commit = {**headers(len(items), msg_id), "Nats-Batch-Commit": "1"}
        answer = await self._mux.request(subject, data, commit)
        if is_no_responders(answer):
            raise StreamMissing(subject)
        return ANSWERS.decode(answer.data)

    async def _singly(self, items: Sequence[Publication]) -> list[PublishResult]:
        results: list[PublishResult] = [NoAnswer("not sent")] * len(items)
        todo: Sequence[int] = range(len(items))
        for attempt in range(TRIES):
            if attempt and not await self._connected(1.0):
                break
            await self._row(items, todo, results)
            todo = [i for i in todo if isinstance(results[i], NoAnswer)]
            if not todo:
                break
        return results

    async def _row(
        self, items: Sequence[Publication], todo: Sequence[int], results: list[PublishResult]
    ) -> None:
        sent: list[tuple[int, asyncio.Future[Msg]]] = []
        try:
            for place in todo:
                subject, data, msg_id = items[place]
                headers = {"Nats-Msg-Id": msg_id}
                try:
                    sent.append((place, await self._mux.post(subject, data, headers)))
                except HermesError as error:
                    results[place] = error
            for place, future in sent:
                try:
                    results[place] = result_of(await future, items[place].subject)
                except HermesError as error:
                    results[place] = error
        finally:
            for _, future in sent:
                future.cancel()


def result_of(answer: Msg, subject: str) -> PublishResult:
    """Read the answer to one publication."""
    if is_no_responders(answer):
        return StreamMissing(subject)
    told = ANSWERS.decode(answer.data)
    if told.error is None:
        return PubAck(told.stream, told.seq, told.duplicate)
    why = told.error.description
    if told.error.err_code == STORE_FAILED and why.startswith("maximum"):
        return StreamFull(subject, why)
    if told.error.err_code == TOO_LARGE:
        return HermesBug(f"message for {subject}: {why}")
    return StoreUnavailable("nats", f"{why} ({told.error.err_code})")


def is_no_responders(answer: Msg) -> bool:
    """Say whether the server answered for want of anybody who takes the subject."""
    return not answer.data and (answer.headers or {}).get("Status") == NO_RESPONDERS


def stream_of_subject(subject: str) -> str:
    """Give the stream a subject belongs to: intake, jobs by carrier, events, dead."""
    tokens = subject.split(".")
    match tokens:
        case ["intake", *_]:
            return INTAKE
        case ["jobs", _, carrier, *_]:
            return stream_of(carrier)
        case ["events", *_]:
            return EVENTS
        case ["dead", *_]:
            return DEAD
        case _:
            return tokens[0]
