"""Messages from handsets behind the admin API."""

from __future__ import annotations

from aiohttp import web

from hermes.admin.dead import as_json, guarded, number
from hermes.ports.mo_store import MoStore

PAGE = 50
LONGEST_PAGE = 1000


def add_inbound_routes(app: web.Application, store: MoStore) -> None:
    """Add `/v1/inbound?limit=`: the newest messages from handsets, newest first."""

    async def latest(request: web.Request) -> web.Response:
        limit = max(1, min(number(request, "limit", PAGE), LONGEST_PAGE))
        return as_json({"inbound": await store.latest(limit)})

    app.router.add_get("/v1/inbound", guarded(latest))
