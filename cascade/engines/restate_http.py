"""Requests to Restate's ingress and admin API, repeated while it may only be away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from hermes.core.errors import HermesBug, StoreUnavailable

PAUSES_S: Final = (0.05, 0.2)
TIMEOUT_S: Final = 10.0
ERROR_SOURCE: Final = "x-restate-error-source"
JSON: Final = {"content-type": "application/json", "accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status and body."""

    status: int
    body: bytes


class RestateHttp:
    """A thin client; `session` is the caller's, base URLs are without a path."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        ingress_url: str,
        admin_url: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.session, self.sleep = session, sleep
        self.ingress_url, self.admin_url = ingress_url.rstrip("/"), admin_url.rstrip("/")

    async def ingress(
        self, method: str, path: str, body: bytes | None = None, expect: Collection[int] = (200,)
    ) -> Reply:
        """Ask the ingress. Raises StoreUnavailable; HermesBug for an answer that is unexpected."""
        return await self._ask(method, self.ingress_url + path, body, expect)

    async def admin(
        self, method: str, path: str, body: bytes | None = None, expect: Collection[int] = (200,)
    ) -> Reply:
        """Ask the admin API. Raises StoreUnavailable; HermesBug for an unexpected answer."""
        return await self._ask(method, self.admin_url + path, body, expect)

    async def _ask(
        self, method: str, url: str, body: bytes | None, expect: Collection[int]
    ) -> Reply:
        why = ""
        for pause in (0.0, *PAUSES_S):
            if pause:
                await self.sleep(pause)
            try:
                reply, is_away = await self._once(method, url, body, expect)
            except (aiohttp.ClientError, TimeoutError) as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if reply.status in expect:
                return reply
            why = f"{method} {_shown(url)} gave {reply.status}: {_text(reply.body)}"
            if not is_away:
                raise HermesBug(f"restate: {why}")
        raise StoreUnavailable("restate", why)

    async def _once(
        self, method: str, url: str, body: bytes | None, expect: Collection[int]
    ) -> tuple[Reply, bool]:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self.session.request(
            method, URL(url, encoded=True), data=body, headers=JSON, timeout=timeout
        ) as answer:
            reply = Reply(answer.status, await answer.read())
            is_ours = answer.headers.get(ERROR_SOURCE, "ingress") == "ingress"
            is_away = answer.status == 429 or (answer.status >= 500 and is_ours)
            return reply, is_away and answer.status not in expect


def segment(text: str) -> str:
    """Give a text as one segment of a path."""
    return quote(text, safe="")


def _shown(url: str) -> str:
    """Give a URL without the token it may hold."""
    head, mark, _ = url.partition("/awakeables/")
    return head + mark


def _text(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")
