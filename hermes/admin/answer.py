"""What every route of the admin API answers with: JSON, 503 while a store is away, 400."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from hermes.core.errors import StoreUnavailable

Answer = Callable[[web.Request], Awaitable[web.Response]]


def guarded(handler: Answer) -> Answer:
    """Answer 503 while the belt or the ledger is away."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except StoreUnavailable as error:
            return as_json({"detail": str(error)}, 503)

    return answer


def number(request: web.Request, name: str, otherwise: int) -> int:
    """Give a number of the query. Raises HTTPBadRequest."""
    text = request.query.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise web.HTTPBadRequest(
            text=json_of({"detail": f"{name} must be a number"}), content_type="application/json"
        )
    return int(text)


def json_of(value: object) -> str:
    """Give JSON."""
    return msgspec.json.encode(value).decode()


def as_json(value: object, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.json_response(text=json_of(value), status=status)
