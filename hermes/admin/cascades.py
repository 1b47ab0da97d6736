"""Cascades behind the admin API: the engine's health, its versions, what is parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from hermes.admin.answer import as_json, guarded, number
from hermes.core.ids import BadId, decode_message_id

PAGE = 100
LONGEST_PAGE = 1000
LONGEST_REASON = 200


class CascadeDesk(Protocol):
    """Who handles cascades for an operator. All but `health` raise StoreUnavailable."""

    async def health(self) -> msgspec.Struct:
        """Give whether the engine takes work."""
        ...

    async def versions(self) -> Sequence[msgspec.Struct]:
        """Give the registered versions, the oldest first."""
        ...

    async def parked(self, limit: int) -> Sequence[msgspec.Struct]:
        """Give parked cascades, the longest parked first."""
        ...

    async def resume(self, mid: str) -> bool:
        """Try a parked cascade again; False: it is not parked."""
        ...

    async def fail(self, mid: str, reason: str) -> bool:
        """End a parked cascade as failed; False: it is not parked."""
        ...


def add_cascade_routes(app: web.Application, desk: CascadeDesk | None) -> None:
    """Add `/v1/cascades`, with 404 for all of it where there is no engine."""

    def the_desk() -> CascadeDesk:
        if desk is None:
            raise web.HTTPNotFound(
                text='{"detail":"this host has no cascade engine: restate.enabled is false"}',
                content_type="application/json",
            )
        return desk

    async def health(_: web.Request) -> web.Response:
        return as_json(await the_desk().health())

    async def versions(_: web.Request) -> web.Response:
        return as_json({"versions": await the_desk().versions()})

    async def parked(request: web.Request) -> web.Response:
        limit = max(1, min(number(request, "limit", PAGE), LONGEST_PAGE))
        return as_json({"parked": await the_desk().parked(limit)})

    async def resume(request: web.Request) -> web.Response:
        mid = message_of(request)
        return answer_for(mid, "resumed", is_done=await the_desk().resume(mid))

    async def fail(request: web.Request) -> web.Response:
        mid = message_of(request)
        reason = request.query.get("reason", "")[:LONGEST_REASON]
        return answer_for(mid, "failed", is_done=await the_desk().fail(mid, reason))

    app.router.add_get("/v1/cascades", guarded(health))
    app.router.add_get("/v1/cascades/versions", guarded(versions))
    app.router.add_get("/v1/cascades/parked", guarded(parked))
    app.router.add_post("/v1/cascades/{id}/resume", guarded(resume))
    app.router.add_post("/v1/cascades/{id}/fail", guarded(fail))


def message_of(request: web.Request) -> str:
    """Give the message id of the path. Raises HTTPBadRequest."""
    name = request.match_info["id"]
    try:
        decode_message_id(name)
    except BadId as error:
        text = msgspec.json.encode({"detail": str(error)}).decode()
        raise web.HTTPBadRequest(text=text, content_type="application/json") from error
    return name


def answer_for(mid: str, what: str, *, is_done: bool) -> web.Response:
    """Say what was done."""
    if not is_done:
        return as_json({"detail": f"{mid} is not parked"}, 404)
    return as_json({"id": mid, "done": what})
