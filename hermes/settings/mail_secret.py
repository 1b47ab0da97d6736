"""The signed return paths of this host: their domain, and the secret given or made once."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from hermes.mail.verp import Verp
from hermes.settings.wiring import Wiring


def verp_of(wiring: Wiring) -> Verp:
    """Give the maker and reader of return paths; the same in every process of the host.

    Raises OSError where the secret's file can be neither read nor made.
    """
    given = wiring.settings.mail.verp_secret
    secret = given if given is not None else read_or_make(wiring.verp_secret_file)
    return Verp(wiring.mail_domain, (secret.encode(),))


def read_or_make(path: Path) -> str:
    """Give the secret kept in the file (0600), made at the first call. Raises OSError."""
    with suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # a link, not a rename: of two processes that make it at once, the first one's stays
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
