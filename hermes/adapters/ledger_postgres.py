"""Rows of the ledger on the wire: JSON both ways, which costs a tenth of parameters by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from hermes.adapters.postgres import Connection
from hermes.core.attempt import Attempt
from hermes.core.event import Event
from hermes.core.outcome import MessageRow
from hermes.core.state import FINAL_MESSAGE, AttemptState

ENCODER: Final = msgspec.json.Encoder()

# Every statement here is made of constants alone.
# ruff: noqa: S608
MESSAGE_COLUMNS: Final = """m.id, m.tenant, m.traffic, m.success, m.expires_at, m.state, m.done_at,
    m.reason_code, m.reason_text, m.possible_duplicate, m.next_at, m.next_action"""
# Without the awakeable token, which is for the cascade engine alone.
SHOWN_COLUMNS: Final = """a.message, a.step, a.n, a.tenant, a.expires_at, a.segments, a.state,
    a.carrier, a.bind, a.host, a.segment_states, a.segment_ids, a.segment_reasons, a.only_segments,
    a.queued_at, a.sent_at, a.done_at, a.reason_code, a.reason_text, a.possible_duplicate,
    a.stream_created, a.job_seq, a.next_at, a.next_action,
    a.price_amount::text as price_amount, a.price_currency"""
ATTEMPT_COLUMNS: Final = f"{SHOWN_COLUMNS}, a.token"

ATTEMPT_RECORD: Final = """message uuid, step smallint, n smallint, tenant text, carrier text,
    bind text, host text, state smallint, segments smallint, segment_states smallint[],
    segment_ids text[], segment_reasons text[], only_segments smallint[], queued_at timestamptz,
    sent_at timestamptz, done_at timestamptz, expires_at timestamptz, reason_code text,
    reason_text text, possible_duplicate boolean, stream_created timestamptz, job_seq bigint,
    next_at timestamptz, next_action text, price_amount numeric, price_currency text, token text"""
EVENT_RECORD: Final = """message uuid, id uuid, step smallint, n smallint, segment smallint,
    kind text, at timestamptz, host text, actor text, boot text, carrier text,
    carrier_message_id text, reason_code text, reason_text text, price_amount numeric,
    price_currency text"""


def _names(record: str) -> str:
    return ", ".join(column.split()[0] for column in record.split(","))


INSERT_ATTEMPTS: Final = f"""
insert into attempt ({_names(ATTEMPT_RECORD)})
select {_names(ATTEMPT_RECORD).replace("queued_at", "coalesce(queued_at, now())")}
from json_to_recordset($1::json) as x({ATTEMPT_RECORD})
on conflict do nothing"""

INSERT_EVENTS: Final = f"""
insert into event ({_names(EVENT_RECORD)})
select {_names(EVENT_RECORD)} from json_to_recordset($1::json) as x({EVENT_RECORD})
on conflict do nothing"""

# Parameters: ids as an array, the least and the greatest of them, which prune partitions.
# Locked, because intake records jobs without the lock on the message.
SELECT_ATTEMPTS: Final = f"""
    select {ATTEMPT_COLUMNS}
    from attempt a where a.message = any($1::uuid[]) and a.message between $2 and $3
    order by a.message, a.step, a.n for update of a"""

WRITE_BACK: Final = f"""
with attempts as (
    update attempt a set state = x.state, segments = x.segments, carrier = x.carrier,
        bind = x.bind, host = x.host, segment_states = x.segment_states,
        segment_ids = x.segment_ids, segment_reasons = x.segment_reasons, sent_at = x.sent_at,
        done_at = x.done_at, reason_code = x.reason_code, reason_text = x.reason_text,
        possible_duplicate = x.possible_duplicate, stream_created = x.stream_created,
        job_seq = x.job_seq, next_at = x.next_at, next_action = x.next_action
    from json_to_recordset($1::json) as x({ATTEMPT_RECORD})
    where a.message = x.message and a.step = x.step and a.n = x.n
        and a.message = any($4::uuid[]) and a.message between $5 and $6),
messages as (
    update message m set state = x.state, done_at = x.done_at, reason_code = x.reason_code,
        reason_text = x.reason_text, possible_duplicate = x.possible_duplicate,
        next_at = x.next_at, next_action = x.next_action
    from json_to_recordset($2::json) as x(id uuid, state text, done_at timestamptz,
        reason_code text, reason_text text, possible_duplicate boolean, next_at timestamptz,
        next_action text)
    where m.id = x.id and m.id = any($4::uuid[]) and m.id between $5 and $6)
insert into webhook_outbox
    (tenant, endpoint, message, state, reference, reason_code, reason_text, possible_duplicate)
select x.tenant, e.id, x.id, x.state, m.reference, x.reason_code, x.reason_text,
    x.possible_duplicate
from json_to_recordset($3::json) as x(id uuid, tenant text, state text, reason_code text,
    reason_text text, possible_duplicate boolean)
join webhook_endpoint e on e.tenant = x.tenant and e.disabled_at is null
    and (e.states is null or x.state = any(e.states))
join message m on m.id = x.id and m.id = any($4::uuid[]) and m.id between $5 and $6
on conflict do nothing"""


INSERT_NEWS: Final = """
with noted as (
    insert into cascade_news (message, step)
    select message, step from json_to_recordset($1::json) as x(message uuid, step smallint)
    order by message, step
    on conflict (message, step) do update
        set version = cascade_news.version + 1, next_at = now()
    returning 1)
select pg_notify('hermes_cascade', '') from (select count(*) from noted) as n"""
ANY_STEP: Final = -1


class EventRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the table `event`."""

    message: UUID
    id: UUID
    step: int
    n: int
    kind: str
    at: datetime
    host: str
    actor: str
    boot: str | None = None
    segment: int | None = None
    carrier: str | None = None
    carrier_message_id: str | None = None
    reason_code: str | None = None
    reason_text: str | None = None
    price_amount: str | None = None
    price_currency: str | None = None


READ_ATTEMPTS: Final = f"select json_agg(r)::text from ({SELECT_ATTEMPTS}) r"
ATTEMPTS: Final = msgspec.json.Decoder(list[Attempt])


def encode(rows: Sequence[Any]) -> str:
    """Encode rows as the JSON a statement takes."""
    return str(ENCODER.encode(rows), "utf-8")


def array_of(ids: Sequence[UUID]) -> str:
    """Give the array literal of ids, which in quotes differs from JSON by its brackets alone."""
    return "{" + encode(ids)[1:-1] + "}"


def with_bounds(ids: Sequence[UUID]) -> tuple[str, UUID, UUID]:
    """Give ids as an array, the least and the greatest of them, which prune partitions."""
    return array_of(ids), min(ids), max(ids)


def event_row(event: Event, message: UUID) -> EventRow:
    """Give the row of an event."""
    reason, money, source = event.reason, event.money, event.source
    return EventRow(
        message=message,
        id=event.id,
        step=event.step,
        n=event.attempt_n,
        kind=event.kind,
        at=event.at,
        host=source.host,
        actor=source.actor,
        boot=source.boot or None,
        segment=event.segment,
        carrier=event.carrier,
        carrier_message_id=event.carrier_message_id,
        reason_code=reason.code if reason else None,
        reason_text=(reason.text or None) if reason else None,
        price_amount=money.amount if money else None,
        price_currency=money.currency if money else None,
    )


def by_message(attempts: Iterable[Attempt]) -> dict[UUID, list[Attempt]]:
    """Group attempts by message."""
    grouped: dict[UUID, list[Attempt]] = {}
    for attempt in attempts:
        grouped.setdefault(attempt.message, []).append(attempt)
    return grouped


class Changes:
    """What a fold changed, gathered over messages and written at once."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []
        self.attempts: list[Attempt] = []
        self.new_attempts: list[Attempt] = []
        self.messages: list[MessageRow] = []
        self.turned: list[MessageRow] = []
        self.news: list[tuple[UUID, int]] = []

    def note(
        self,
        before: tuple[MessageRow, Sequence[Attempt]],
        after: tuple[MessageRow, Sequence[Attempt]],
    ) -> None:
        """Note what differs. The attempts of `after` begin with those of `before`, in order."""
        row, new_row = before[0], after[0]
        known = before[1]
        self.ids.append(row.id)
        if new_row != row:
            self.messages.append(new_row)
        if new_row.state != row.state:
            self.turned.append(new_row)
        for index, attempt in enumerate(after[1]):
            if index >= len(known):
                self.new_attempts.append(attempt)
            elif attempt != known[index]:
                self.attempts.append(attempt)
        if not row.is_direct:
            self.news += news_of(before, after)

    async def write(self, connection: Connection) -> None:
        """Write rows and webhook outbox; the messages are locked by this transaction."""
        if self.new_attempts:
            await connection.execute(INSERT_ATTEMPTS, (encode(self.new_attempts),), prepare=True)
        if not (self.attempts or self.messages):
            return
        final = [row for row in self.turned if row.state in FINAL_MESSAGE]
        rows = (encode(self.attempts), encode(self.messages), encode(final))
        parameters = (*rows, *with_bounds(self.ids))
        await connection.execute(WRITE_BACK, parameters, prepare=True)
        await insert_news(connection, self.news)


def news_of(
    before: tuple[MessageRow, Sequence[Attempt]], after: tuple[MessageRow, Sequence[Attempt]]
) -> Iterable[tuple[UUID, int]]:
    """Give the steps of a cascade that got to where its engine may want to know of it."""
    row, attempts = after
    known = {(a.step, a.n): a.state for a in before[1]}
    steps = {
        a.step
        for a in attempts
        if a.state >= AttemptState.SENT and a.state is not known.get((a.step, a.n))
    }
    if row.state != before[0].state and row.state in FINAL_MESSAGE:
        steps.add(ANY_STEP)
    return ((row.id, step) for step in sorted(steps))


async def insert_news(connection: Connection, news: Sequence[tuple[UUID, int]]) -> None:
    """Note (message, step) for the cascade engine, in the transaction that made it news."""
    if news:
        rows = [{"message": message, "step": step} for message, step in dict.fromkeys(news)]
        await connection.execute(INSERT_NEWS, (encode(rows),), prepare=True)
