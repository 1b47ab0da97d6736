"""The admin API: HTTP over a unix socket (0600, same uid), and `/metrics` on loopback."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from hermes.admin.answer import as_json
from hermes.admin.dead import DeadDesk, add_dead_routes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class View(Protocol):
    """What the admin API can see."""

    async def tree(self) -> dict[str, Any]:
        """Give the supervision tree, node by node."""
        ...

    async def status(self) -> dict[str, Any]:
        """Give the short picture: services, binds, messages by state."""
        ...


@web.middleware
async def same_user(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse peers of another uid, root excepted; the file mode says the same."""
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is not None and peer.family == socket.AF_UNIX:
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, _ = struct.unpack("3i", credentials)
        if uid not in (0, os.geteuid()):
            return web.json_response({"detail": f"uid {uid} is not the daemon's"}, status=403)
    return await handler(request)


def admin_app(view: View, desk: DeadDesk) -> web.Application:
    """Make the application behind the unix socket."""

    async def tree(_: web.Request) -> web.Response:
        return as_json(await view.tree())

    async def status(_: web.Request) -> web.Response:
        return as_json(await view.status())

    app = web.Application(middlewares=[same_user])
    app.router.add_get("/v1/tree", tree)
    app.router.add_get("/v1/status", status)
    add_dead_routes(app, desk)
    return app


def metrics_app(registry: CollectorRegistry) -> web.Application:
    """Make the application behind the loopback port."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


async def listen_unix(app: web.Application, path: str) -> web.AppRunner:
    """Serve `app` on a unix socket only its owner may open."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner


async def listen_tcp(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve `app` on a port. Raises OSError."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
