"""The cascade engine over a Restate server, by its HTTP API."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Literal

import msgspec

from cascade.engine import EngineStatus, Health, OutcomeFate, StartResult
from cascade.engines.handles import Handle, decided, merged
from cascade.engines.keys import LATER, keys_of
from cascade.engines.restate_http import RestateHttp, segment
from cascade.engines.restate_workflow import SERVICE, CascadeReply, CascadeRequest
from cascade.events import Outcome
from hermes.core.errors import HermesBug, StoreUnavailable
from hermes.core.plan import Plan

RUNNING: Final = 470  # Restate's own status for an output that is not there yet
ENCODER: Final = msgspec.json.Encoder()


class Accepted(msgspec.Struct, frozen=True):
    """The ingress' answer to a start."""

    invocationId: str  # noqa: N815 - Restate's name
    status: Literal["Accepted", "PreviouslyAccepted"] = "Accepted"


class LookedUp(msgspec.Struct, frozen=True):
    """The ingress' answer to a look-up."""

    invocationId: str  # noqa: N815 - Restate's name


class RestateEngine:
    """CascadeEngine over Restate."""

    def __init__(self, http: RestateHttp) -> None:
        self.http = http

    async def start(self, mid: str, plan: Plan, *, after: timedelta | None = None) -> StartResult:
        """Send the workflow, now or delayed; its key makes it once."""
        key = mid if after is None else mid + LATER
        delay = "" if after is None else f"?delay={round(after.total_seconds() * 1000)}ms"
        path = f"/restate/send/{SERVICE}/{segment(key)}/run{delay}"
        body = ENCODER.encode(CascadeRequest(mid, plan))
        reply = await self.http.ingress("POST", path, body, (200, 202, 404))
        if reply.status == 404:
            raise StoreUnavailable("restate", f"workflow {SERVICE} is not registered yet")
        accepted = msgspec.json.decode(reply.body, type=Accepted)
        return "accepted" if accepted.status == "Accepted" else "duplicate"

    async def outcome(self, token: str, event: Outcome) -> OutcomeFate:
        """Resolve the awakeable the outcome decides; of several the first counts."""
        handle = decided(token, event)
        if not isinstance(handle, Handle):
            return handle
        path = f"/restate/awakeables/{segment(handle.text)}/resolve"
        reply = await self.http.ingress("POST", path, ENCODER.encode(event), (200, 202, 400, 404))
        return "told" if reply.status < 300 else "unknown"

    async def cancel(self, mid: str, reason: str) -> bool:
        """Cancel both kinds of start; Restate has no place for the reason."""
        del reason
        return any(await asyncio.gather(*map(self._cancel, keys_of(mid))))

    async def status(self, mid: str) -> EngineStatus:
        """Give the output of whichever start has one."""
        return merged([await self._status(key) for key in keys_of(mid)])

    async def health(self) -> Health:
        """Ask both APIs whether they are well."""
        try:
            await self.http.ingress("GET", "/restate/health")
            await self.http.admin("GET", "/health")
        except (StoreUnavailable, HermesBug) as error:
            return Health(is_up=False, detail=str(error))
        return Health(is_up=True)

    async def invocation_of(self, key: str) -> str:
        """Give the id of a key's invocation; it is the same before there is one."""
        body = ENCODER.encode({"target": "workflow", "workflowName": SERVICE, "workflowKey": key})
        reply = await self.http.ingress("POST", "/restate/lookup", body)
        return msgspec.json.decode(reply.body, type=LookedUp).invocationId

    async def _cancel(self, key: str) -> bool:
        invocation = await self.invocation_of(key)
        path = f"/invocations/{invocation}/cancel"
        reply = await self.http.admin("PATCH", path, expect=(200, 202, 404, 409))
        return reply.status < 300

    async def _status(self, key: str) -> EngineStatus:
        path = f"/restate/workflow/{SERVICE}/{segment(key)}/output"
        expect = (200, 404, RUNNING, *range(400, 404), *range(405, 429), *range(500, 600))
        reply = await self.http.ingress("GET", path, expect=expect)
        if reply.status == RUNNING:
            return EngineStatus("running")
        if reply.status == 404:
            return EngineStatus("unknown")
        if reply.status != 200:  # it was killed
            return EngineStatus("done")
        return EngineStatus("done", msgspec.json.decode(reply.body, type=CascadeReply).result)
