"""API keys `hk_<live|test>_<id>_<secret>`: parse, hash with the server's pepper, compare."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import NamedTuple

from hermes.settings.wiring import Wiring

KEY = re.compile(r"hk_(live|test)_([a-z0-9]{8,16})_([A-Za-z0-9_-]{32,64})")


class ApiKey(NamedTuple):
    """The parts of a key; `secret` is never stored."""

    mode: str
    id: str
    secret: str

    def __str__(self) -> str:
        return f"hk_{self.mode}_{self.id}_{self.secret}"


def parse(header: str | None) -> ApiKey | None:
    """Parse `Authorization: Bearer hk_…`; None when it is not that."""
    scheme, _, token = (header or "").partition(" ")
    found = KEY.fullmatch(token.strip()) if scheme.lower() == "bearer" else None
    return ApiKey(*found.groups()) if found else None


def mint(mode: str = "live") -> ApiKey:
    """Make a new random key."""
    return ApiKey(mode, secrets.token_hex(6), secrets.token_urlsafe(32))


def digest(secret: str, pepper: bytes) -> bytes:
    """Give the stored form of a secret: HMAC-SHA256 under the pepper, 32 octets."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def is_secret(secret: str, pepper: bytes, stored: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest(secret, pepper), stored)


def read_pepper(wiring: Wiring) -> bytes:
    """Give the pepper: the configured one, else a file made 0600 at the first start.

    Raises OSError.
    """
    if wiring.settings.http.pepper:
        return wiring.settings.http.pepper.encode()
    path = wiring.pepper_file
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()


def read_key(path: Path) -> ApiKey | None:
    """Read a key from a file; None when there is none."""
    try:
        return parse(f"Bearer {path.read_text().strip()}")
    except OSError:
        return None


def write_key(path: Path, key: ApiKey) -> None:
    """Write a key to a file only its owner may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
