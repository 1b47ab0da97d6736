"""The control API: settings, faults, MOs, counts and the log, as JSON over HTTP on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from hermes.simulator.fault import FAULTS, new_fault
from hermes.simulator.mo import Mo, mo_deliveries
from hermes.simulator.profile import changed, shown
from hermes.simulator.refusal import Refusal, checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hermes.simulator.centre import MessageCentre

LOOPBACK: Final = "127.0.0.1"
MAX_LINES: Final = 10_000


class Control:
    """The handlers; every answer is JSON, a refused request is `{"error": {"field", "rule"}}`."""

    def __init__(self, centre: MessageCentre) -> None:
        self._centre = centre
        self._state = centre.state

    def application(self) -> web.Application:
        """The routes of the API."""
        application = web.Application(middlewares=[_errors])
        application.add_routes(
            [
                web.get("/stats", self.stats),
                web.get("/log", self.log),
                web.post("/flush", self.flush),
                web.get("/settings", self.settings),
                web.put("/settings", self.change_settings),
                web.get("/faults", self.faults),
                web.post("/faults/{name}", self.start_fault),
                web.delete("/faults/{name}", self.lift_fault),
                web.post("/mo", self.mo),
                web.post("/reset", self.reset),
            ]
        )
        return application

    async def stats(self, _request: web.Request) -> web.Response:
        """Counts, and what each account and session has now."""
        state = self._state
        accounts = {
            account.system_id: {
                "queued": account.queued,
                "deliver_waiting": account.outbox.waiting(),
                "deliver_unanswered": account.outbox.flying(),
                "sessions": sorted(account.sessions),
            }
            for account in state.accounts.values()
        }
        sessions = [
            {
                "session": session.number,
                "system_id": session.system_id,
                "mode": session.mode,
                "peer": session.peer,
                "submits": session.submit_count,
                "in_flight": session.in_flight,
                "max_in_flight": session.max_in_flight,
                "enquire_links": session.enquire_link_count,
            }
            for session in state.sessions.values()
        ]
        return _json(
            {
                "counters": state.counters,
                "accounts": accounts,
                "sessions": sessions,
                "faults": state.faults.shown(),
                "scheduled": len(state.schedule),
                "log_lines": state.journal.count,
            }
        )

    async def log(self, request: web.Request) -> web.Response:
        """The lines after number `since`, at most `limit`; `missed` of them are not kept any more.

        Also writes what waits to the file.
        """
        self._state.journal.flush()
        since = _number(request, "since", 0)
        limit = min(_number(request, "limit", MAX_LINES), MAX_LINES)
        journal = self._state.journal
        lines = journal.since(since, limit)
        body = b'{"last":%d,"missed":%d,"lines":[%b]}' % (
            journal.count,
            max(0, journal.oldest - 1 - since),
            b",".join(line.rstrip() for line in lines),
        )
        return web.Response(body=body, content_type="application/json")

    async def flush(self, _request: web.Request) -> web.Response:
        """Write what waits to the log file."""
        self._state.journal.flush()
        return _json({"log_lines": self._state.journal.count})

    async def settings(self, _request: web.Request) -> web.Response:
        """The settings in force."""
        return _json(shown(self._state.profile))

    async def change_settings(self, request: web.Request) -> web.Response:
        """Change live settings; all or none."""
        changes = await _object(request)
        self._centre.change(changed(self._state.profile, changes))
        return _json(shown(self._state.profile))

    async def faults(self, _request: web.Request) -> web.Response:
        """The table of faults with the defaults, and what is on."""
        table = {
            name: {
                "does": " ".join((kind.__doc__ or "").split()),
                "parameters": {
                    field.name: "required"
                    if field.default is msgspec.NODEFAULT
                    else msgspec.to_builtins(field.default)
                    for field in msgspec.structs.fields(kind)
                },
            }
            for name, kind in FAULTS.items()
        }
        return _json({"table": table, "on": self._state.faults.shown()})

    async def start_fault(self, request: web.Request) -> web.Response:
        """Do a fault or switch it on, in place of one of the same name."""
        fault = new_fault(request.match_info["name"], await _object(request))
        hit = self._centre.faults.start(fault)
        return _json({"sessions": hit, "on": self._state.faults.shown()})

    async def lift_fault(self, request: web.Request) -> web.Response:
        """Switch a fault off."""
        was_on = self._centre.faults.lift(request.match_info["name"])
        return _json({"was_on": was_on, "on": self._state.faults.shown()})

    async def mo(self, request: web.Request) -> web.Response:
        """Send an MO; it waits while the account has no receiving session."""
        mo = checked(await _object(request), Mo)
        system_id = mo.system_id or self._only_account()
        self._state.mo_count += 1
        deliveries = mo_deliveries(mo, self._state.mo_count, self._state.profile.default_alphabet)
        self._centre.owe(system_id, deliveries)
        return _json({"message_ids": [delivery.message_id for delivery in deliveries]}, 202)

    async def reset(self, _request: web.Request) -> web.Response:
        """Back to the start, with the sessions kept."""
        self._centre.reset()
        return _json({"next_id": self._state.next_id})

    def _only_account(self) -> str:
        names = list(self._state.accounts)
        if len(names) != 1:
            raise Refusal("system_id", f"required while {len(names)} accounts have bound")
        return names[0]


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as error:
        return _json({"error": {"field": error.field, "rule": error.rule}}, 400)
    except web.HTTPException as error:
        rule = f"{request.method} {request.path}: {error.reason.lower()}"
        return _json({"error": {"field": "path", "rule": rule}}, error.status)


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


async def _object(request: web.Request) -> dict[str, object]:
    """The body as a JSON object; no body is an empty one. Raises Refusal."""
    body = await request.read()
    if not body:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise Refusal("body", f"must be a JSON object: {error}") from error


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise Refusal(name, f"{text!r} is no whole number of 0 or more")
    return int(text)
