"""The ledger's part in the way back of a dead letter: its clock is put to what is to be done."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from hermes.adapters.postgres import Connection, PostgresPool
from hermes.core.clock import Timing
from hermes.core.dead_letter import Republish, StartClock
from hermes.core.ids import (
    BadId,
    attempt_id,
    decode_message_id,
    encode_message_id,
    split_attempt_id,
)
from hermes.core.state import AttemptState
from hermes.ports.dead_letters import Revived

UNCERTAIN: Final = int(AttemptState.UNCERTAIN)
Key = tuple[UUID, int, int]

# The stream's age tells one that was there when the letter was written from a later one.
LAY_THERE: Final = """
select message, step, n from attempt
where carrier = $1 and job_seq = $2 and stream_created <= $3 and next_at is not null
order by stream_created desc limit 1"""

# A later time than now, because the belt takes the same id for a repeat for a while.
REPUBLISH: Final = """
update attempt a set next_action = 'republish', stream_created = null, job_seq = null,
    next_at = greatest(now(), $4 + make_interval(secs => $5))
from message m
where m.id = $1 and a.message = $1 and a.step = $2 and a.n = $3 and a.state < $6
    and (a.next_action is null or a.next_action in ('republish', 'expire'))
    and m.state in ('accepted', 'processing') and m.expires_at > now()
returning a.next_at"""
ATTEMPT: Final = """
select a.state, a.next_action, a.expires_at <= now() from attempt a
where a.message = $1 and a.step = $2 and a.n = $3"""

ADMIT: Final = """
update message m set next_at = now(), next_action = 'admit'
where m.id = $1 and m.state = 'accepted' and m.cascade_owner is null
    and (m.next_action is null or m.next_action in ('admit', 'route'))
    and not exists (select from attempt a where a.message = $1)
returning m.next_at"""
MESSAGE: Final = "select state, next_action from message where id = $1"

START_MESSAGE: Final = """
update message set next_at = now(), next_action = $2, reason_code = null, reason_text = null
where id = $1 and next_at is null and reason_code = 'unreadable'
returning next_at"""
START_ATTEMPT: Final = """
update attempt set next_at = now(), next_action = $4, reason_code = null, reason_text = null
where message = $1 and step = $2 and n = $3 and next_at is null and reason_code = 'unreadable'
returning next_at"""


class PostgresRevival:
    """Ways back over the clocks of the ledger (port: Revival)."""

    def __init__(self, pool: PostgresPool, timing: Timing | None = None) -> None:
        self._pool = pool
        self._republish_after_s = (timing or Timing()).republish_after_s

    async def republish(self, job: Republish) -> Revived:
        """Find the attempt by its id, else by where its job lay, and put its clock."""
        key = key_of(job.attempt)
        if key is None or await self._row(ATTEMPT, *key) is None:
            key = await self._row(LAY_THERE, job.carrier, job.seq, job.at)
        if key is None:
            return Revived(None, "the ledger knows no attempt whose job this was")
        name = attempt_id(encode_message_id(key[0]), key[1], key[2])
        after_s = self._republish_after_s
        done = await self._row(REPUBLISH, *key, job.at, after_s, UNCERTAIN)
        if done is not None:
            return Revived(done[0], name)
        found = await self._row(ATTEMPT, *key)
        if found is None:
            return Revived(None, "the ledger knows no attempt whose job this was")
        return Revived(None, f"attempt {name} {standing(*found)}", is_moot=True)

    async def admit(self, message: UUID) -> Revived:
        """Put the message's clock, unless it was taken in."""
        name = encode_message_id(message)
        done = await self._row(ADMIT, message)
        if done is not None:
            return Revived(done[0], name)
        found = await self._row(MESSAGE, message)
        if found is None:
            return Revived(None, f"the ledger has no message {name}")
        state, action = found
        if state == "accepted":
            why = f"waits on its own clock ({action})" if action else "is under way"
        else:
            why = f"is {state} by now"
        return Revived(None, f"message {name} {why}", is_moot=True)

    async def start_clock(self, row: StartClock) -> Revived:
        """Start the clock, unless it runs already."""
        key = key_of(row.name if row.table == "attempt" else f"{row.name}.0.0")
        if key is None:
            return Revived(None, f"{row.name} is no id of the ledger")
        if row.table == "attempt":
            done = await self._row(START_ATTEMPT, *key, row.action)
            found = done or await self._row(ATTEMPT, *key)
        else:
            done = await self._row(START_MESSAGE, key[0], row.action)
            found = done or await self._row(MESSAGE, key[0])
        if done is not None:
            return Revived(done[0], row.name)
        if found is None:
            return Revived(None, f"the ledger has no {row.table} {row.name}")
        return Revived(None, f"{row.table} {row.name} is not stopped any more", is_moot=True)

    async def _row(self, statement: str, *parameters: object) -> Any:
        async def work(connection: Connection) -> Any:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchone()

        return await self._pool.run(work)


def key_of(name: str | None) -> Key | None:
    """Give the key of an attempt; None for what is no attempt id."""
    try:
        message, step, n = split_attempt_id(name or "")
        return decode_message_id(message), step, n
    except (BadId, ValueError):
        return None


def standing(state: int, action: str | None, is_expired: bool) -> str:
    """Say how an attempt stands that needs no job any more."""
    word = AttemptState(state).word if state in set(AttemptState) else f"in state {state}"
    if is_expired:
        return f"has expired ({word})"
    return f"is {word} and waits for {action}" if action else f"is {word}"
