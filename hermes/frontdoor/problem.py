"""RFC 9457 problems: every refusal has a type, a status, and names field and rule."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from hermes.core.errors import TenantError

TYPE = "urn:hermes:problem:"

TITLES = {
    "malformed": (400, "The body is not JSON"),
    "unauthorized": (401, "A valid API key is needed"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "This method is not allowed here"),
    "too-large": (413, "The body is too large"),
    "media-type": (415, "The body must be application/json"),
    "invalid": (422, "A field breaks a rule"),
    "conflict": (409, "It is too late for that"),
    "idempotency": (422, "The Idempotency-Key was used with another body"),
    "busy": (429, "The carrier's queue is full"),
    "unavailable": (503, "Hermes cannot take messages now"),
    "internal": (500, "Hermes failed"),
}


class Problem(TenantError):
    """A refusal on its way to the caller; `code` is a key of TITLES."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        rule: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.code, self.detail, self.field, self.rule = code, detail, field, rule
        self.headers = headers or {}
        super().__init__(detail)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TITLES[self.code][0]

    def body(self) -> dict[str, Any]:
        """Give the members of the problem document."""
        status, title = TITLES[self.code]
        members: dict[str, Any] = {
            "type": TYPE + self.code,
            "title": title,
            "status": status,
            "detail": self.detail,
        }
        if self.field is not None:
            members["field"] = self.field
        if self.rule is not None:
            members["rule"] = self.rule
        return members

    def response(self) -> web.Response:
        """Give the answer."""
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(self.body()),
            content_type="application/problem+json",
            headers=self.headers,
        )
