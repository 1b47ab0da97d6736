"""What the bench asks the ledger: how far the messages are, and when the last one got there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

BY_STATE = "select state, count(*) from message group by state"
ON_BELT = "select count(*) from attempt where job_seq is not null"
PARKED = "select count(*) from event where kind = 'parked'"
LAST = "select extract(epoch from max(recorded_at)) from event where kind = %s"


class Ledger:
    """One connection to the daemon's ledger, in a backend that is not counted as the daemon's."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection

    @property
    def backend(self) -> int:
        """The pid of the process that serves this connection."""
        return self.connection.info.backend_pid

    def by_state(self) -> dict[str, int]:
        """Count the messages by state."""
        return {str(s): int(n) for s, n in self.connection.execute(BY_STATE).fetchall()}

    def on_belt(self) -> int:
        """Count the attempts whose job the belt has, or had."""
        return int(self.number(ON_BELT))

    def last(self, kind: str) -> float:
        """Give when the last event of a kind was recorded, in seconds since 1970; 0 if none was."""
        return float(self.number(LAST, kind))

    def number(self, statement: str, *parameters: object) -> float:
        """Ask for one number; null is 0."""
        row = self.connection.execute(statement, parameters or None).fetchone()
        return 0.0 if row is None or row[0] is None else float(row[0])


@contextmanager
def ledger_of(dsn: str) -> Iterator[Ledger]:
    """Connect to a ledger. Raises psycopg.Error."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Ledger(connection)
