"""The dead letters behind the admin API: list, show, retry, drop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from hermes.admin.answer import as_json, guarded, json_of, number
from hermes.core.dead_letter import FiledLetter
from hermes.ports.dead_letters import Retried

PAGE = 100
LONGEST_PAGE = 1000


class DeadDesk(Protocol):
    """Who handles dead letters. All raise StoreUnavailable."""

    async def list(self, after_seq: int, limit: int) -> Sequence[FiledLetter]:
        """Give letters behind a sequence, oldest first, without envelopes."""
        ...

    async def get(self, seq: int) -> FiledLetter | None:
        """Give one letter."""
        ...

    async def retry(self, filed: FiledLetter) -> Retried:
        """Bring what it speaks of back into its course, then drop the letter."""
        ...

    async def drop(self, seq: int) -> bool:
        """Remove a letter for good."""
        ...


def add_dead_routes(app: web.Application, desk: DeadDesk) -> None:
    """Add `/v1/dead` to the admin API."""

    async def list_letters(request: web.Request) -> web.Response:
        after, limit = number(request, "after", 0), number(request, "limit", PAGE)
        found = await desk.list(after, max(1, min(limit, LONGEST_PAGE)))
        return as_json({"letters": found})

    async def show(request: web.Request) -> web.Response:
        return as_json(await letter_of(request, desk))

    async def retry(request: web.Request) -> web.Response:
        result = await desk.retry(await letter_of(request, desk))
        return as_json(result, 200 if result.is_dropped else 409)

    async def drop(request: web.Request) -> web.Response:
        filed = await letter_of(request, desk)
        await desk.drop(filed.seq)
        return as_json({"seq": filed.seq, "detail": "the letter is dropped"})

    app.router.add_get("/v1/dead", guarded(list_letters))
    app.router.add_get(r"/v1/dead/{seq:\d+}", guarded(show))
    app.router.add_post(r"/v1/dead/{seq:\d+}/retry", guarded(retry))
    app.router.add_delete(r"/v1/dead/{seq:\d+}", guarded(drop))


class NoLetter(web.HTTPNotFound):
    """There is no letter under this sequence."""

    def __init__(self, seq: int) -> None:
        detail = f"there is no dead letter {seq}; it was dropped, retried, or is over 30 days old"
        super().__init__(text=json_of({"detail": detail}), content_type="application/json")


async def letter_of(request: web.Request, desk: DeadDesk) -> FiledLetter:
    """Give the letter of the path. Raises NoLetter."""
    seq = int(request.match_info["seq"][:20])
    filed = await desk.get(seq)
    if filed is None:
        raise NoLetter(seq)
    return filed
