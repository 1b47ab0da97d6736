"""The control API of a sink: what was mailed, as JSON over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from hermes.mailsink.behaviour import BEHAVIOURS
from hermes.mailsink.mailbox import Kept, summary, whole
from hermes.mailsink.sink import Sink

LOOPBACK: Final = "127.0.0.1"
MAX_LISTED: Final = 1000


class Control:
    """The handlers; every answer is JSON, a refused request is `{"error": sentence}`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def application(self) -> web.Application:
        """The routes of the API."""
        application = web.Application(middlewares=[_errors])
        application.add_routes(
            [
                web.get("/mails", self.mails),
                web.get("/mails/{number}", self.mail),
                web.get("/mails/{number}/raw", self.raw),
                web.delete("/mails", self.forget),
                web.get("/behaviours", self.behaviours),
                web.get("/stats", self.stats),
            ]
        )
        return application

    async def mails(self, request: web.Request) -> web.Response:
        """The mails after number `since`, at most `limit`, those to the recipient `to` if given."""
        since, limit = _number(request, "since", 0), _number(request, "limit", 100)
        recipient = request.query.get("to", "")
        kept = self._sink.mailbox.since(since, min(limit, MAX_LISTED), recipient)
        return _json({"last": self._sink.mailbox.count, "mails": [summary(each) for each in kept]})

    async def mail(self, request: web.Request) -> web.Response:
        """One mail with its headers and texts."""
        return _json(whole(self._found(request)))

    async def raw(self, request: web.Request) -> web.Response:
        """One mail as it came."""
        return web.Response(body=self._found(request).content, content_type="message/rfc822")

    async def forget(self, _request: web.Request) -> web.Response:
        """Drop all mails; the numbers go on."""
        self._sink.mailbox.forget()
        return _json({"last": self._sink.mailbox.count})

    async def behaviours(self, _request: web.Request) -> web.Response:
        """What becomes of a mail by the name in its recipient."""
        return _json({name: behaviour.does for name, behaviour in BEHAVIOURS.items()})

    async def stats(self, _request: web.Request) -> web.Response:
        """Counts."""
        sink = self._sink
        reporter = sink.reporter
        return _json(
            {
                "mails": sink.mailbox.count,
                "kept": len(sink.mailbox),
                "refused": sink.refused_count,
                "reports": sink.report_count,
                "reports_sent": reporter.sent_count if reporter else 0,
                "reports_dropped": reporter.dropped_count if reporter else 0,
                "reports_waiting": reporter.waiting_count if reporter else 0,
                "connections": sink.server.connection_count,
            }
        )

    def _found(self, request: web.Request) -> Kept:
        text = request.match_info["number"]
        number = int(text) if text.isdecimal() and len(text) < 16 else 0
        kept = self._sink.mailbox.find(number)
        if kept is None:
            raise web.HTTPNotFound(reason=f"no mail {text[:20]} is kept")
        return kept


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _json({"error": error.reason.lower()}, error.status)


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or len(text) > 15:
        raise web.HTTPBadRequest(reason=f"{name} is no whole number of 0 or more")
    return int(text)
