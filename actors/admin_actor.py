"""The admin socket, and the one registry that `/metrics` is scraped from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from thespian.actors import ActorAddress

from actors.cascade_engine import CascadeOperator, Engine, open_engine
from actors.cascade_steps import LedgerEndings
from actors.commands import Describe, Description
from actors.dead_letter_desk import DeadLetterDesk
from actors.stage_actor import ANSWER_WITHIN, StageActor
from actors.stores import open_ledger
from actors.tree_view import is_well, leaves, walk
from hermes.actor_messages import TreePath
from hermes.adapters.cascade_ledger_postgres import PostgresCascadeLedger
from hermes.adapters.inbound_store_postgres import PostgresInboundStore
from hermes.adapters.message_counts_postgres import count_messages
from hermes.adapters.mo_store_postgres import PostgresMoStore
from hermes.adapters.override_store_postgres import PostgresOverrideStore
from hermes.admin.address import url_of
from hermes.admin.carriers import add_carrier_routes
from hermes.admin.cascades import add_cascade_routes
from hermes.admin.inbound import add_inbound_routes
from hermes.admin.server import admin_app, listen_tcp, listen_unix, metrics_app
from hermes.core.errors import StoreUnavailable
from hermes.metrics import Aggregate
from supervisors.supervisor_actor import Survey, Surveyed

ROOT = ("root",)


class AdminActor(StageActor):
    """Answers `hermes status` and `hermes tree`; takes metric snapshots."""

    def __init__(self, requirements: Mapping[str, Any] | None = None) -> None:
        super().__init__(requirements)
        self.aggregate = Aggregate()
        self.waiting: dict[TreePath, asyncio.Future[Any]] = {}
        self.runners: list[web.AppRunner] = []
        self.engine: Engine | None = None
        self.desk: DeadLetterDesk | None = None
        self.walking: asyncio.Task[dict[str, Any]] | None = None

    async def on_begin(self) -> None:
        """Open the sockets."""
        self.take_snapshots()
        self.start_metrics()
        self.pool = await open_ledger(self.wiring, self.name, connections=1)
        registry = CollectorRegistry()
        registry.register(self.aggregate)
        self.desk = DeadLetterDesk(self.wiring, self.pool, self.name)
        app = admin_app(self, self.desk)
        known = {carrier.id for carrier in self.args["carriers"]}
        add_carrier_routes(app, PostgresOverrideStore(self.pool), known)
        if self.wiring.has_cascades:
            ledger = PostgresCascadeLedger(self.pool, self.wiring.postgres_dsn)
            self.engine = open_engine(self.wiring, LedgerEndings(ledger))
        add_cascade_routes(app, CascadeOperator(self.engine) if self.engine else None)
        add_inbound_routes(app, PostgresMoStore(self.pool), PostgresInboundStore(self.pool))
        self.runners.append(await listen_unix(app, self.wiring.admin_socket))
        host = self.wiring.settings.admin.host
        self.runners.append(await listen_tcp(metrics_app(registry), host, self.wiring.admin_port))

    async def on_stop(self, deadline_s: float) -> None:
        """Close them."""
        for runner in self.runners:
            await runner.cleanup()
        if self.engine is not None:
            await self.engine.close()
        if self.desk is not None:
            await self.desk.close()
        with contextlib.suppress(OSError):
            Path(self.wiring.admin_socket).unlink()

    def take_snapshots(self) -> None:
        """Listen for what `Pusher` sends."""
        path = Path(self.wiring.metrics_socket)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listener.bind(str(path))
        path.chmod(0o600)
        self.loop.add_reader(listener.fileno(), self.on_snapshot, listener)

    def on_snapshot(self, listener: socket.socket) -> None:
        """Take all that has come; a broken one is dropped."""
        while True:
            try:
                body = listener.recv(1 << 20)
            except BlockingIOError:
                return
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self.aggregate.ingest(*json.loads(body))
            self.retire_gone()

    def retire_gone(self) -> None:
        """Keep the counters of processes that are gone, drop their gauges."""
        for actor, (boot, _) in list(self.aggregate.live.items()):
            if boot.isdecimal() and not os.path.exists(f"/proc/{boot}"):  # noqa: PTH110 - hot
                self.aggregate.retire(actor)

    # Views

    async def tree(self) -> dict[str, Any]:
        """Walk the tree; callers who come together share one walk."""
        if self.walking is None or self.walking.done():
            self.walking = self.loop.create_task(walk(self, ROOT))
        return await asyncio.shield(self.walking)

    async def status(self) -> dict[str, Any]:
        """Give services, binds and messages by state."""
        tree = await self.tree()
        nodes = leaves(tree)
        binds = [
            {"path": n["path"], **n.get("facts", {})} for n in nodes if "bind" in n.get("facts", {})
        ]
        s = self.wiring.settings
        return {
            "host": self.wiring.host,
            "http_url": url_of(s.http.host, self.wiring.http_port),
            "metrics_url": f"{url_of(s.admin.host, self.wiring.admin_port)}/metrics",
            "demo_key_file": str(self.wiring.demo_key_file),
            "healthy": is_well(tree),
            "services": [
                {"name": n["id"], "state": n["state"], **n.get("facts", {})}
                for n in nodes
                if n["path"].startswith("root/services/")
            ],
            "binds": binds,
            "relays": [
                {"path": n["path"], **n.get("facts", {})}
                for n in nodes
                if "relay" in n.get("facts", {})
            ],
            "cascades": next(
                (n.get("facts") for n in nodes if n["path"] == "root/main/stages/outcome"), None
            ),
            "messages": await self.messages(),
        }

    async def messages(self) -> dict[str, int] | None:
        """Count the messages of the last hour by state; None when the ledger is away."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):  # a silent ledger must not silence us
                return await count_messages(self.pool, hour_ago())
        except (StoreUnavailable, TimeoutError):
            return None

    # Questions to others

    async def survey(self, address: Any, path: TreePath) -> Surveyed | None:
        """Ask a supervisor."""
        answer = await self.question(address, Survey(), path)
        return answer if isinstance(answer, Surveyed) else None

    async def describe_leaf(self, address: Any, path: TreePath) -> dict[str, Any] | None:
        """Ask a leaf."""
        answer = await self.question(address, Describe(), path)
        return dict(answer.facts) if isinstance(answer, Description) else None

    async def question(self, address: Any, message: object, path: TreePath) -> Any:
        """Ask and wait; None after 2 s."""
        answer: asyncio.Future[Any] = self.loop.create_future()
        self.waiting[path] = answer
        self.send_later(address, message)
        try:
            return await asyncio.wait_for(answer, ANSWER_WITHIN)
        except TimeoutError:
            return None
        finally:
            self.waiting.pop(path, None)

    def on_answer(self, answer: Surveyed | Description) -> None:
        """Somebody answered."""
        waiting = self.waiting.get(tuple(answer.path))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def receiveMsg_Surveyed(self, msg: Surveyed, _sender: ActorAddress) -> None:
        """A supervisor answered."""
        self.to_loop(self.on_answer, msg)

    def receiveMsg_Description(self, msg: Description, _sender: ActorAddress) -> None:
        """A leaf answered."""
        self.to_loop(self.on_answer, msg)


def hour_ago() -> datetime:
    """Give the time an hour ago, for a display."""
    return datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 - the shell's clock
