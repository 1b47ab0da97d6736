"""One front door process: `python -m hermes.frontdoor --wiring FILE --index N`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hermes import crash, logs
from hermes.adapters.attempt_store_postgres import PostgresAttemptStore
from hermes.adapters.claims_redis import RedisClaims
from hermes.adapters.message_store_postgres import PostgresMessageStore
from hermes.adapters.postgres import PostgresPool
from hermes.adapters.redis_memory import RedisMemory
from hermes.adapters.stream_jetstream import JetStream
from hermes.core.carrier import Carrier
from hermes.core.event import Source
from hermes.frontdoor import auth
from hermes.frontdoor.cancellation import Canceller
from hermes.frontdoor.intake_publisher import IntakePublisher
from hermes.frontdoor.keyring import Keyring
from hermes.frontdoor.plan_request import PlanRules
from hermes.frontdoor.server import FrontDoor, utc_now
from hermes.frontdoor.validation import Rules
from hermes.metrics import Metrics, Pusher
from hermes.routing.table import RouteTable
from hermes.settings.carriers import carriers_of
from hermes.settings.wiring import Wiring, read

PUSH_EVERY = 1.0
DRAIN = 5.0


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="hermes.frontdoor")
    parser.add_argument("--wiring", type=Path, required=True)
    parser.add_argument("--index", type=int, required=True)
    arguments = parser.parse_args()
    wiring = read(arguments.wiring)
    logs.configure(f"frontdoor/{arguments.index}", wiring.settings.log.level)
    logging.getLogger("aiohttp.server").addFilter(without_octets)
    uvloop.run(serve(wiring, arguments.index))


def without_octets(record: logging.LogRecord) -> bool:
    """Keep out of the log what a peer sent: aiohttp quotes the octets that it could not parse."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = f"request unreadable: {type(error).__name__}", ()
        record.exc_info = None
    return True


async def serve(wiring: Wiring, index: int) -> None:
    """Listen on the shared port, and on a unix socket of its own that says it is ready."""
    name = f"frontdoor/{index}"
    crash.arm(wiring.run_dir)
    metrics = Metrics()
    metrics.actor_up.labels(name).set(1)
    pool = PostgresPool(wiring.postgres_dsn, max_size=4, name=name)
    await pool.open()
    belt = await JetStream.connect(wiring.nats_url, name=name)
    store = PostgresMessageStore(pool, wiring.settings.clock.readmit_after)
    keyring = Keyring(store, auth.read_pepper(wiring))
    memory = RedisMemory(wiring.redis_url, name=name, timeout_s=2.0, on_lost=None)
    source = Source(wiring.host, name)
    attempts = PostgresAttemptStore(pool, source, None)
    canceller = Canceller(attempts, RedisClaims(memory), belt, source, utc_now)
    publisher = IntakePublisher(belt, metrics)
    rules = rules_of(wiring, carriers_of(wiring))
    door = FrontDoor(rules, store, keyring, publisher, metrics, canceller)
    runner = web.AppRunner(
        door.app(),
        access_log=None,
        shutdown_timeout=DRAIN,
        keepalive_timeout=75,
        auto_decompress=False,
    )
    await runner.setup()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await web.SockSite(runner, shared_listener(wiring)).start()
    await web.SockSite(runner, unix_listener(ready_socket(wiring, index))).start()
    pushing = asyncio.create_task(push_forever(Pusher(wiring.metrics_socket, name, metrics)))
    structlog.get_logger().info("frontdoor.listening", port=wiring.http_port)
    await stopped.wait()
    pushing.cancel()
    await runner.cleanup()
    await belt.close()
    await memory.close()
    await pool.close()


def rules_of(wiring: Wiring, carriers: Sequence[Carrier]) -> Rules:
    """Give what requests are held to on this host."""
    settings = wiring.settings
    plans = PlanRules(
        routes=RouteTable(carriers),
        has_engine=wiring.has_cascades,
        default_wait_s=settings.cascade.default_wait,
        defaults=settings.cascade.default,
        channels={t.id: frozenset(t.channels) for t in settings.tenant if t.channels is not None},
    )
    return Rules(
        max_body=settings.http.max_body,
        expires_after_s=settings.message.expires_after,
        max_segments=settings.message.max_segments,
        plans=plans,
        quiet=settings.quiet.hours,
        receiptless=frozenset(c.id for c in carriers if c.receipts == "none"),
    )


def shared_listener(wiring: Wiring) -> socket.socket:
    """Listen on the port all front doors of this host share."""
    host = wiring.settings.http.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, wiring.http_port))
    listener.listen(1024)
    return listener


def ready_socket(wiring: Wiring, index: int) -> str:
    """Give the unix socket that accepts once this process serves."""
    return f"{wiring.socket_dir}/frontdoor-{index}.sock"


def unix_listener(path: str) -> socket.socket:
    """Listen on a unix socket only its owner may open."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - a socket left by a killed process
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    Path(path).chmod(0o600)
    return listener


async def push_forever(pusher: Pusher) -> None:
    """Push metrics each second."""
    while True:
        pusher.push()
        await asyncio.sleep(PUSH_EVERY)


if __name__ == "__main__":
    main()
