"""Rows of the ledger that cannot be read: told from the others, their clocks stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from hermes.adapters.ledger_postgres import ATTEMPTS, encode
from hermes.adapters.postgres import Connection
from hermes.core.attempt import Attempt, misfit
from hermes.core.errors import Unreadable
from hermes.core.ids import attempt_id, decode_message_id, encode_message_id, split_attempt_id
from hermes.core.wire import BROKEN, read
from hermes.ports.clock_store import SetAside

T = TypeVar("T")

ROWS: Final = """json_to_recordset($1::json) as x(message uuid, step smallint, n smallint,
    action text, why text)"""
LEASE_MESSAGES: Final = f"""
update message m set next_at = now() + make_interval(secs => $2)
from {ROWS} where m.id = x.message"""  # noqa: S608 - constants
LEASE_ATTEMPTS: Final = f"""
update attempt a set next_at = now() + make_interval(secs => $2), next_action = x.action
from {ROWS} where a.message = x.message and a.step = x.step and a.n = x.n"""  # noqa: S608
STOP_MESSAGES: Final = f"""
update message m set next_at = null, next_action = null, reason_code = 'unreadable',
    reason_text = x.why
from {ROWS} where m.id = x.message and m.next_action is not distinct from x.action"""  # noqa: S608
STOP_ATTEMPTS: Final = f"""
update attempt a set next_at = null, next_action = null, reason_code = 'unreadable',
    reason_text = x.why
from {ROWS} where a.message = x.message and a.step = x.step and a.n = x.n
    and a.next_action is not distinct from x.action"""  # noqa: S608


class RowKey(msgspec.Struct, frozen=True):
    """What can be read of any row: its key, and what its clock is to do."""

    id: UUID | None = None
    message: UUID | None = None
    step: int = 0
    n: int = 0
    next_action: str | None = None

    @property
    def owner(self) -> UUID | None:
        """The message the row belongs to."""
        return self.message or self.id

    def aside(self, why: str) -> SetAside:
        """Give the row as one to be set aside."""
        if self.message is not None:
            name = attempt_id(encode_message_id(self.message), self.step, self.n)
            return SetAside("attempt", name, self.next_action, why)
        assert self.id is not None
        return SetAside("message", encode_message_id(self.id), self.next_action, why)


class Unread(NamedTuple):
    """A row that cannot be read, and why."""

    key: RowKey
    why: str


KEYS: Final = msgspec.json.Decoder(RowKey)
EACH: Final = msgspec.json.Decoder(list[msgspec.Raw])


class RowReader(Generic[T]):
    """Reads the JSON of many rows; `misfit` says what of one contradicts itself, "" for nothing."""

    def __init__(
        self,
        what: str,
        many: msgspec.json.Decoder[list[T]],
        one: msgspec.json.Decoder[T],
        misfit: Callable[[T], str] = lambda _: "",
    ) -> None:
        self._what, self._many, self._one, self._misfit = what, many, one, misfit

    def read(self, text: str | None) -> tuple[list[T], list[Unread]]:
        """Give the rows that can be read, and those that cannot."""
        if text is None:
            return [], []
        try:
            rows = self._many.decode(text)
        except BROKEN:
            pass
        else:
            if not any(self._misfit(row) for row in rows):
                return rows, []
        good: list[T] = []
        bad: list[Unread] = []
        for raw in EACH.decode(text):
            try:
                good.append(self._read_one(bytes(raw)))
            except Unreadable as error:
                bad.append(Unread(KEYS.decode(raw), str(error)))
        return good, bad

    def _read_one(self, data: bytes) -> T:
        row = read(self._one, self._what, data)
        if why := self._misfit(row):
            raise Unreadable(self._what, why)
        return row


ATTEMPT_ROWS: Final = RowReader("attempt", ATTEMPTS, msgspec.json.Decoder(Attempt), misfit)


async def lease(connection: Connection, rows: Sequence[SetAside], seconds: float) -> None:
    """Hand rows out for a while, as everything that is due: their letters are not written yet."""
    for statement, payload in _by_table(rows, LEASE_MESSAGES, LEASE_ATTEMPTS):
        await connection.execute(statement, (payload, seconds), prepare=True)


async def stop(connection: Connection, rows: Sequence[SetAside]) -> None:
    """Stop the clocks of rows that still wait for the same."""
    for statement, payload in _by_table(rows, STOP_MESSAGES, STOP_ATTEMPTS):
        await connection.execute(statement, (payload,), prepare=True)


def _by_table(
    rows: Sequence[SetAside], for_messages: str, for_attempts: str
) -> list[tuple[str, str]]:
    messages = [_payload(row) for row in rows if row.table == "message"]
    attempts = [_payload(row) for row in rows if row.table == "attempt"]
    pairs = ((for_messages, messages), (for_attempts, attempts))
    return [(statement, encode(some)) for statement, some in pairs if some]


def _payload(row: SetAside) -> dict[str, object]:
    name, step, n = (row.name, 0, 0) if row.table == "message" else split_attempt_id(row.name)
    return {
        "message": decode_message_id(name),
        "step": step,
        "n": n,
        "action": row.action,
        "why": row.why,
    }
