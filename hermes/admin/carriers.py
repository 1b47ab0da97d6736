"""Carriers behind the admin API: pause one, and let it go on."""

from __future__ import annotations

from collections.abc import Container

from aiohttp import web

from hermes.admin.answer import guarded
from hermes.ports.override_store import CarrierIntent, OverrideStore

LONGEST_REASON = 200


def add_carrier_routes(app: web.Application, store: OverrideStore, known: Container[str]) -> None:
    """Add `/v1/carriers/{id}/pause` and `/resume`; the stage looks at the ledger each second."""

    async def decide(request: web.Request, intent: CarrierIntent) -> web.Response:
        carrier = request.match_info["id"]
        if carrier not in known:
            return web.json_response({"detail": f"no carrier {carrier} is configured"}, status=404)
        await store.decide(carrier, intent, "admin socket")
        return web.json_response({"carrier": carrier, "paused": intent.paused})

    async def pause(request: web.Request) -> web.Response:
        reason = request.query.get("reason", "")[:LONGEST_REASON]
        return await decide(request, CarrierIntent(paused=True, reason=reason))

    async def resume(request: web.Request) -> web.Response:
        return await decide(request, CarrierIntent())

    app.router.add_post("/v1/carriers/{id}/pause", guarded(pause))
    app.router.add_post("/v1/carriers/{id}/resume", guarded(resume))
