"""Opens the stores of a leaf from the host's wiring, after the fork."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hermes.adapters.ensure_jetstream import JetStreamAdmin
from hermes.adapters.postgres import PostgresPool
from hermes.adapters.redis_memory import RedisMemory
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.carrier import Carrier
from hermes.core.clock import Timing
from hermes.core.errors import ConfigError, StoreUnavailable
from hermes.ports.stream import BeltSettings
from hermes.settings.wiring import Wiring


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


async def open_belt(wiring: Wiring, name: str, within_s: float | None = None) -> JetStream:
    """Connect to the belt, waiting for as long as it takes, or raise StoreUnavailable."""
    return await JetStream.connect(
        wiring.nats_url, name=name, settings=belt_settings(wiring), timeout_s=within_s
    )


def admin_of(belt: JetStream, wiring: Wiring) -> JetStreamAdmin:
    """Give the maker of streams on a connection."""
    return JetStreamAdmin(belt.mux, belt_settings(wiring))


async def ensure_belt(
    belt: JetStream,
    wiring: Wiring,
    carriers: Sequence[Carrier],
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    """Make what is missing of the belt; what stands in the way is logged, never fatal."""
    log.warning("belt.missing")
    try:
        await admin_of(belt, wiring).ensure(carriers)
    except (ConfigError, StoreUnavailable) as error:
        log.warning("belt.not_ensured", reason=str(error))


async def open_memory(wiring: Wiring, name: str) -> RedisMemory:
    """Give memory; a server that is away makes calls fail, not this one."""
    return RedisMemory(wiring.redis_url, name=name, timeout_s=2.0, on_lost=None)


async def open_ledger(wiring: Wiring, name: str, connections: int = 2) -> PostgresPool:
    """Open a pool on the ledger; connections are made when needed."""
    pool = PostgresPool(wiring.postgres_dsn, max_size=connections, name=name)
    await pool.open()
    return pool
