"""Knows the API keys: looked up once, then kept for some seconds, so that a revocation is seen."""

from __future__ import annotations

import time

from hermes.core.errors import StoreUnavailable
from hermes.frontdoor import auth
from hermes.frontdoor.problem import Problem
from hermes.ports.message_store import ApiKey, MessageStore

KEEP = 10.0
KEEP_UNKNOWN = 2.0
MOST_KNOWN = 100_000


class Keyring:
    """Authenticates requests. A key stays valid here for 10 s, and while the ledger is away."""

    def __init__(self, store: MessageStore, pepper: bytes) -> None:
        self.store, self.pepper = store, pepper
        self.known: dict[str, tuple[float, ApiKey | None]] = {}

    async def authenticate(self, header: str | None) -> ApiKey:
        """Give the key behind an Authorization header. Raises Problem 401, StoreUnavailable."""
        key = auth.parse(header)
        if key is None:
            raise unauthorized("send Authorization: Bearer hk_<live|test>_<id>_<secret>")
        row = await self.find(key.id)
        if row is None or row.mode != key.mode or not self.is_proven(key, row):
            raise unauthorized("this key is unknown, revoked or expired")
        if row.is_suspended:
            raise unauthorized("this tenant is suspended")
        return row

    def is_proven(self, key: auth.ApiKey, row: ApiKey) -> bool:
        """Compare the secret with the stored hash in constant time."""
        return auth.is_secret(key.secret, self.pepper, row.hash)

    async def find(self, key_id: str) -> ApiKey | None:
        """Look a key up; what is known lasts for a while."""
        now = time.monotonic()
        until, row = self.known.get(key_id, (0.0, None))
        if now < until:
            return row
        try:
            rows = await self.store.api_keys([key_id])
        except StoreUnavailable:
            if row is not None:
                return row
            raise
        found = rows[0] if rows else None
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        self.known[key_id] = (now + (KEEP if found else KEEP_UNKNOWN), found)
        return found


def unauthorized(detail: str) -> Problem:
    """Make the 401."""
    return Problem(
        "unauthorized",
        detail,
        field="Authorization",
        rule="bearer key",
        headers={"WWW-Authenticate": 'Bearer realm="hermes"'},
    )
