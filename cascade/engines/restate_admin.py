"""Operating a Restate server: versions of the workflow, cascades that are parked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from cascade.actions import Result
from cascade.engine import Parked
from cascade.engines.keys import keys_of, mid_of
from cascade.engines.restate_http import RestateHttp
from cascade.engines.restate_workflow import SERVICE
from hermes.core.units import Reason

UNREACHABLE: Final = "RT0010"  # Restate's code for an endpoint that could not be called
STORE_DOWN: Final = "StoreUnavailable("  # how the handler's own failure begins

WAITING_SQL: Final = """
select pinned_deployment_id as id, count(*) as waiting
from sys_invocation where target_service_name = 'Cascade' and status != 'completed' group by 1"""
PAUSED_SQL: Final = """
select id from sys_invocation
where target_service_name = 'Cascade' and status = 'paused' and target_service_key in """
PARKED_SQL: Final = """
select i.target_service_key as key, i.id as id, max(i.modified_at) as since,
  max(concat(cast(e.appended_at as string), ' ', e.event_json)) as last
from sys_invocation i left join sys_journal_events e
  on e.id = i.id and e.event_type = 'Paused'
where i.target_service_name = 'Cascade' and i.status = 'paused'
group by 1, 2 order by since limit """


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version: where it is served and how many cascades wait on it.

    New cascades start on the newest; another one may be dropped when nothing waits on it.
    """

    id: str
    uri: str
    created_at: datetime
    is_newest: bool
    waiting: int


class Deployment(msgspec.Struct, frozen=True):
    """A deployment as the admin API shows it."""

    id: str
    uri: str = ""
    created_at: datetime | None = None
    services: tuple[dict[str, Any], ...] = ()


class Deployments(msgspec.Struct, frozen=True):
    """The admin API's list."""

    deployments: tuple[Deployment, ...]


class Failure(msgspec.Struct, frozen=True):
    """Why the last attempt failed."""

    error_message: str = ""
    restate_doc_error_code: str = ""


class Paused(msgspec.Struct, frozen=True):
    """The journal's event of a pause."""

    last_failure: Failure = Failure()


class TellsResult(Protocol):
    """The part of the steps a failed cascade needs."""

    async def finished(self, mid: str, result: Result) -> None:
        """Note the outcome if there is none."""
        ...


class RestateOperations:
    """CascadeOperations over Restate, and the registration of its endpoint."""

    def __init__(self, http: RestateHttp, steps: TellsResult) -> None:
        self.http, self.steps = http, steps

    async def register(self, base_uri: str, versions: Collection[int]) -> Version:
        """Register the newest version of an endpoint; older ones go on where they are.

        `base_uri` is scheme, host and port. May be repeated. Versions this host registered under
        another port are moved along. Raises StoreUnavailable; HermesBug if the endpoint cannot be
        discovered.
        """
        base_uri, newest = base_uri.rstrip("/"), max(versions)
        for deployment in await self._deployments():
            moved = moved_uri(deployment.uri, base_uri, versions)
            if moved is not None:
                await self._update(deployment.id, {"uri": moved})
        body = {"uri": f"{base_uri}/v{newest}", "force": False, "use_http_11": False}
        reply = await self.http.admin("POST", "/deployments", msgspec.json.encode(body), (200, 201))
        deployment = msgspec.json.decode(reply.body, type=Deployment)
        if reply.status == 200:  # known: its settings may have changed all the same
            await self._update(deployment.id, {"overwrite": True})
        return next(v for v in await self.versions() if v.id == deployment.id)

    async def versions(self) -> list[Version]:
        """Give the registered versions, the oldest first."""
        reply = await self.http.admin("GET", f"/services/{SERVICE}", expect=(200, 404))
        if reply.status == 404:
            return []
        newest = msgspec.json.decode(reply.body, type=dict[str, Any])["deployment_id"]
        rows = await self._sql(WAITING_SQL)
        waiting = {row["id"]: row["waiting"] for row in rows if "id" in row}
        return [
            Version(
                id=deployment.id,
                uri=deployment.uri,
                created_at=deployment.created_at,
                is_newest=deployment.id == newest,
                waiting=waiting.get(deployment.id, 0),
            )
            for deployment in sorted(await self._deployments(), key=lambda d: str(d.created_at))
            if deployment.created_at is not None
        ]

    async def drop_drained(self) -> list[Version]:
        """Forget versions nothing waits on; give them: their code need not be served any more."""
        drained = [v for v in await self.versions() if not v.is_newest and v.waiting == 0]
        for version in drained:
            path = f"/deployments/{version.id}?force=true"
            await self.http.admin("DELETE", path, expect=(200, 202, 404))
        return drained

    async def parked(self, limit: int = 100) -> list[Parked]:
        """Give parked cascades, the longest parked first."""
        rows = await self._sql(f"{PARKED_SQL}{limit:d}")
        return [_parked(row) for row in rows]

    async def resume(self, mid: str) -> bool:
        """Try a parked cascade again, on the version it began on."""
        paused = await self._paused(mid)
        for invocation in paused:
            path = f"/invocations/{invocation}/resume"
            await self.http.admin("PATCH", path, expect=(200, 202, 404, 409, 425))
        return bool(paused)

    async def fail(self, mid: str, reason: str) -> bool:
        """Tell the ledger first: then no crash leaves the message without an outcome."""
        paused = await self._paused(mid)
        if paused:
            why = Reason("failed_by_operator", reason)
            await self.steps.finished(mid, Result(status="failed", reason=why))
        for invocation in paused:
            path = f"/invocations/{invocation}/kill"
            await self.http.admin("PATCH", path, expect=(200, 202, 404, 409))
        return bool(paused)

    async def _paused(self, mid: str) -> list[str]:
        keys = ", ".join("'" + key.replace("'", "''") + "'" for key in keys_of(mid))
        rows = await self._sql(f"{PAUSED_SQL}({keys})")
        return [row["id"] for row in rows]

    async def _deployments(self) -> Sequence[Deployment]:
        reply = await self.http.admin("GET", "/deployments")
        found = msgspec.json.decode(reply.body, type=Deployments).deployments
        return [d for d in found if any(s.get("name") == SERVICE for s in d.services)]

    async def _update(self, deployment: str, change: dict[str, Any]) -> None:
        body = msgspec.json.encode(change)
        await self.http.admin("PATCH", f"/deployments/{deployment}", body)

    async def _sql(self, query: str) -> list[dict[str, Any]]:
        body = msgspec.json.encode({"query": query})
        reply = await self.http.admin("POST", "/query", body)
        rows: list[dict[str, Any]] = msgspec.json.decode(reply.body)["rows"]
        return rows


def moved_uri(uri: str, base_uri: str, versions: Collection[int]) -> str | None:
    """Give where a deployment is served now, None if it is not ours or did not move."""
    old, new = urlsplit(uri), urlsplit(base_uri)
    version = old.path.strip("/")
    is_ours = old.hostname == new.hostname and version in {f"v{number}" for number in versions}
    return f"{base_uri}/{version}" if is_ours and old.netloc != new.netloc else None


def _parked(row: dict[str, Any]) -> Parked:
    _, _, event = (row.get("last") or "").partition(" ")
    failure = msgspec.json.decode(event, type=Paused).last_failure if event else Failure()
    message = failure.error_message
    is_outage = failure.restate_doc_error_code == UNREACHABLE or message.startswith(STORE_DOWN)
    since = msgspec.convert(row["since"], datetime, strict=False)
    return Parked(mid=mid_of(row["key"]), since=since, failure=message, is_outage=is_outage)
