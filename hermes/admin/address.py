"""Where a listener of this host is reached from this host."""

from __future__ import annotations

ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, no listener


def url_of(host: str, port: int) -> str:
    """Give `http://host:port`; a listener on every address is reached by loopback."""
    reached = ANY.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
