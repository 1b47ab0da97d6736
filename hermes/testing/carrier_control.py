"""Asks the control API of a simulated carrier."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

WITHIN = 30.0


def ask_carrier(url: str, method: str, path: str, **body: Any) -> dict[str, Any]:
    """Call `path` of the control API at `url`; give its answer. Raises OSError for a refusal."""
    request = urllib.request.Request(  # noqa: S310 - a URL of the test's own
        f"{url}{path}",
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=WITHIN) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found
