"""Connections to the ledger: a pool, its session settings, and what a driver error means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor, errors, waiting
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from hermes.core.errors import ConfigError, HermesBug, HermesError, StoreUnavailable

STORE: Final = "postgresql"

# Every statement of the ledger finds its rows by index, whatever the statistics of a partition that
# is a minute old say; and one plan per statement, because planning over many partitions costs more
# than running. So each join also names the ids it wants, and their bounds, which prune partitions.
SESSION: Final = {
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_mergejoin": "off",
}
AGAIN: Final = (errors.DeadlockDetected, errors.SerializationFailure)
MAX_TRIES: Final = 3
WAIT_INTERVAL_S: Final = 0.1  # the driver's own

T = TypeVar("T")
Connection = AsyncConnection[tuple[Any, ...]]


class BadRow(HermesError):
    """A row the ledger cannot take: a constraint, a range or a character refuses it."""


def session_options(statement_timeout_s: float) -> str:
    """Give the `options` of a connection."""
    settings = {**SESSION, "statement_timeout": f"{round(statement_timeout_s * 1000)}ms"}
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def reason_of(error: BaseException) -> str:
    """Give the first line of what a driver error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_credentials(error: psycopg.Error) -> bool:
    """Say whether the server refused who we are or does not have the database we name."""
    refused = (
        errors.InvalidPassword,
        errors.InvalidAuthorizationSpecification,
        errors.InvalidCatalogName,
        errors.InsufficientPrivilege,
    )
    said = str(error)
    return (
        isinstance(error, refused)
        or "authentication failed" in said
        or ("FATAL" in said and ("does not exist" in said or "no pg_hba.conf entry" in said))
    )


@contextmanager
def driver_errors() -> Iterator[None]:
    """Map what the driver raises to BadRow, StoreUnavailable, ConfigError or HermesBug."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError) as error:
        raise BadRow(reason_of(error)) from error
    except (psycopg.Error, OSError, TimeoutError) as error:
        _raise_mapped(error)


def _raise_mapped(error: psycopg.Error | OSError) -> NoReturn:
    unavailable = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)
    if isinstance(error, (*unavailable, errors.ReadOnlySqlTransaction)):
        raise StoreUnavailable(STORE, reason_of(error)) from error
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)):
        raise ConfigError(f"the ledger has another schema: {reason_of(error)}") from error
    raise HermesBug(f"the ledger refused a statement: {reason_of(error)}") from error


class PostgresPool:
    """Up to `max_size` connections to the ledger, made when needed and made again when lost.

    All times are seconds: `timeout_s` for getting a connection, `statement_timeout_s` for one
    statement in the server, `deadline_s` for a whole call.
    """

    def __init__(
        self,
        dsn: str,
        *,
        max_size: int = 4,
        timeout_s: float = 2.0,
        statement_timeout_s: float = 10.0,
        deadline_s: float = 15.0,
        name: str = "hermes",
    ) -> None:
        self.last_error = ""
        self._deadline_s = deadline_s
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            connection_class=self._reporting_connection(),
            kwargs={
                "autocommit": True,
                "cursor_factory": AsyncRawCursor,
                "prepare_threshold": 0,
                "options": session_options(statement_timeout_s),
                "application_name": name,
                "connect_timeout": max(2, round(timeout_s)),
            },
            min_size=1,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout_s,
            # Longer, and its back-off would sleep on after the server is back; a call that
            # finds no connection starts another attempt anyway.
            reconnect_timeout=timeout_s,
        )

    def _reporting_connection(self) -> type[Connection]:
        pool = self

        class ReportingConnection(AsyncConnection[tuple[Any, ...]]):
            @classmethod
            async def connect(cls, *args: Any, **kwargs: Any) -> Self:
                try:
                    return await super().connect(*args, **kwargs)
                except psycopg.Error as error:
                    pool.last_error = reason_of(error)
                    raise

            async def wait(
                self,
                gen: Any,
                interval: float = WAIT_INTERVAL_S,
                timeout: float | None = None,  # noqa: ASYNC109 - the driver's signature
            ) -> Any:
                """Hang up when a call is over its deadline.

                The driver would spend 10 s more on asking the server to stop; one that lives
                has ended the statement at its timeout, and one that is silent does not hear.
                """
                try:
                    return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
                except asyncio.CancelledError:
                    if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                        self.pgconn.finish()
                    raise

        return ReportingConnection

    async def open(self) -> None:
        """Start the pool in the running loop; does not wait for a connection."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` on a connection in autocommit mode and give its result.

        `work` must be safe to repeat: it is run again after a deadlock, and once when its
        connection turns out to be lost, as all of them are after a restart of the server.
        Raises StoreUnavailable, BadRow, ConfigError, HermesBug.
        """
        with driver_errors():
            async with asyncio.timeout(self._deadline_s):
                for _ in range(MAX_TRIES - 1):
                    try:
                        return await self._try(work)
                    except AGAIN:
                        continue
                    except _Lost:
                        await self._pool.check()
                return await self._try(work)

    async def fetch(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a prepared statement that may be repeated, and give its rows."""

        async def work(connection: Connection) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()

        return await self.run(work)

    async def _try(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            connection = await self._pool.getconn()
        except (PoolTimeout, PoolClosed) as error:
            said = f": {self.last_error}" if self.last_error else ""
            raise psycopg.OperationalError(f"{reason_of(error)}{said}") from error
        try:
            return await work(connection)
        except psycopg.OperationalError as error:
            if connection.closed:
                raise _Lost(reason_of(error)) from error
            raise
        finally:
            await self._pool.putconn(connection)


class _Lost(psycopg.OperationalError):
    """The connection broke under a statement."""


async def fetch_text(connection: Connection, statement: str, *parameters: object) -> str | None:
    """Run a prepared statement and give the first column of its first row, a text."""
    cursor = await connection.execute(statement, parameters, prepare=True)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def split_bad(
    batch: Sequence[T], work: Callable[[Sequence[T]], Awaitable[None]]
) -> list[tuple[T, str]]:
    """Run `work` over a batch; halve what fails until the bad rows stand alone.

    Gives the bad rows, each with the reason. Errors other than BadRow go through.
    """
    if not batch:
        return []
    try:
        await work(batch)
    except BadRow as error:
        if len(batch) == 1:
            return [(batch[0], str(error))]
    else:
        return []
    middle = len(batch) // 2
    return await split_bad(batch[:middle], work) + await split_bad(batch[middle:], work)
