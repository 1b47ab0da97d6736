"""Opens the stores of a leaf from the host's wiring, after the fork."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from actors.dead_letter_sink import DeadLetterSink
from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.adapters.postgres import PostgresPool
from hermes.adapters.redis_memory import RedisMemory
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.carrier import Carrier
from hermes.core.clock import Timing
from hermes.core.errors import ConfigError, StoreUnavailable
from hermes.metrics import Metrics
from hermes.ports.stream import BeltSettings
from hermes.progress import tell
from hermes.settings.wiring import Wiring

SAY_EVERY = 5.0
REMOVED_WITHIN = 0.3
"""A stream that is made while the server still removes its namesake never takes a message: seen 15
times in 40 with nats-server 2.15.1, never after 0.1 s."""


def belt_settings(wiring: Wiring) -> BeltSettings:
    """Give the belt's numbers from the settings."""
    nats = wiring.settings.nats
    return BeltSettings(ack_wait_s=nats.ack_wait, duplicate_window_s=nats.duplicate_window)


def timing(wiring: Wiring) -> Timing:
    """Give the ledger clock's durations from the settings."""
    clock = wiring.settings.clock
    return Timing(
        grace_s=clock.uncertain_grace,
        grace_otp_s=clock.uncertain_grace_otp,
        receipt_timeout_s=clock.receipt_timeout,
        readmit_after_s=clock.readmit_after,
        republish_after_s=2 * wiring.settings.nats.duplicate_window,
    )


async def connect_belt(wiring: Wiring, name: str, within_s: float) -> JetStream:
    """Connect to the belt. Raises StoreUnavailable, and ConfigError for a refused login."""
    return await JetStream.connect(
        wiring.nats_url, name=name, settings=belt_settings(wiring), timeout_s=within_s
    )


async def open_belt(wiring: Wiring, name: str) -> JetStream:
    """Connect to the belt, waiting for as long as it takes, and say so."""
    while True:
        try:
            return await connect_belt(wiring, name, SAY_EVERY)
        except (ConfigError, StoreUnavailable) as error:
            tell(wiring.socket_dir, name, f"waiting for the belt: {error}")
            structlog.get_logger().warning("belt.unavailable", reason=str(error))
            if isinstance(error, ConfigError):  # said at once, unlike a server that is away
                await asyncio.sleep(SAY_EVERY)


def admin_of(belt: JetStream, wiring: Wiring) -> JetStreamAdmin:
    """Give the maker of streams on a connection."""
    return JetStreamAdmin(belt.mux, belt_settings(wiring))


def dead_letters_of(
    belt: JetStream,
    wiring: Wiring,
    metrics: Metrics,
    log: structlog.typing.FilteringBoundLogger,
) -> DeadLetterSink:
    """Give the dead letters on a connection."""
    return DeadLetterSink(belt, admin_of(belt, wiring), metrics, utc_now, log)


def utc_now() -> datetime:
    """Give the host's UTC time."""
    return datetime.now(UTC)  # noqa: TID251 - the shell's clock


async def ensure_belt(
    belt: JetStream,
    wiring: Wiring,
    carriers: Sequence[Carrier],
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    """Make what is missing of the belt; what stands in the way is logged, never fatal."""
    log.warning("belt.missing")
    await asyncio.sleep(REMOVED_WITHIN)
    try:
        await admin_of(belt, wiring).ensure(carriers)
    except (ConfigError, StoreUnavailable) as error:
        log.warning("belt.not_ensured", reason=str(error))
    else:
        belt.mux.lose_all("a stream was made again")  # what went into the old one has no answer


async def open_memory(wiring: Wiring, name: str) -> RedisMemory:
    """Give memory; a server that is away makes calls fail, not this one."""
    return RedisMemory(wiring.redis_url, name=name, timeout_s=2.0, on_lost=None)


async def open_ledger(wiring: Wiring, name: str, connections: int = 2) -> PostgresPool:
    """Open a pool on the ledger; connections are made when needed."""
    pool = PostgresPool(wiring.postgres_dsn, max_size=connections, name=name)
    await pool.open()
    return pool
