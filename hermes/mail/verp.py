"""The return path that tells which attempt a bounce belongs to, signed: `b+<attempt>.<mac>`."""

from __future__ import annotations

import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from typing import Final

from hermes.core.ids import BadId, split_attempt_id
from hermes.mail.address import MAX_LOCAL

PREFIX: Final = "b+"
_MAC_OCTETS: Final = 10
_MAC_LETTERS: Final = 16
MAX_OCTETS: Final = 2048
"""Longer texts are no return path, whatever they hold."""


@dataclass(frozen=True, slots=True)
class Verp:
    """Makes and reads return paths under `domain` (small letters).

    The first of `secrets` signs and all of them verify, so that one can be replaced while mail
    signed with the one before is under way. Signatures are 80 bits of HMAC-SHA256.
    """

    domain: str
    secrets: tuple[bytes, ...] = field(repr=False)

    def return_path(self, attempt: str) -> str:
        """Give the envelope sender of an attempt. Raises ValueError when it has no room for it."""
        local = f"{PREFIX}{attempt}.{_mac(self.secrets[0], attempt)}"
        if len(local) > MAX_LOCAL:
            raise ValueError(f"a return path of {len(local)} octets, the limit is {MAX_LOCAL}")
        return f"{local}@{self.domain}"

    def attempt_of(self, address: str) -> str | None:
        """Give the attempt of a return path of ours; None for every other text.

        Systems on the way change letters to large ones and keep the rest.
        """
        if len(address) > MAX_OCTETS:
            return None
        local, _, domain = address.strip(" <>").lower().rpartition("@")
        if domain != self.domain or not local.startswith(PREFIX):
            return None
        attempt, _, mac = local.removeprefix(PREFIX).rpartition(".")
        try:
            split_attempt_id(attempt)
        except (BadId, ValueError):
            return None
        given = mac.encode("utf-8", "replace")
        for secret in self.secrets:
            if hmac.compare_digest(given, _mac(secret, attempt).encode()):
                return attempt
        return None


def _mac(secret: bytes, attempt: str) -> str:
    digest = hmac.digest(secret, b"verp:" + attempt.encode(), "sha256")
    return b32encode(digest[:_MAC_OCTETS]).decode().lower()[:_MAC_LETTERS]
