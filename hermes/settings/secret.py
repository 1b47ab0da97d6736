"""Secret references: `{env = …}`, `{file = …}`, `{credential = …}` in place of a bare string."""

from __future__ import annotations

import os
from pathlib import Path

KINDS = ("env", "file", "credential", "vault")


def is_reference(value: object) -> bool:
    """Say whether a configuration value is a secret reference."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KINDS


def resolve(reference: dict[str, str]) -> str:
    """Give the secret a reference points to. Raises ValueError with one sentence."""
    kind, name = next(iter(reference.items()))
    match kind:
        case "env":
            if name not in os.environ:
                raise ValueError(f"environment variable {name} is not set")
            return os.environ[name]
        case "file":
            return read(Path(name))
        case "credential":
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if folder is None:
                raise ValueError("no credentials: CREDENTIALS_DIRECTORY is not set (systemd does)")
            return read(Path(folder) / name)
        case _:
            raise ValueError(f"{kind} secrets are not supported; use env, file or credential")


def read(path: Path) -> str:
    """Read a secret file without its last newline. Raises ValueError."""
    try:
        return path.read_text().rstrip("\n")
    except OSError as error:
        raise ValueError(f"secret file {path}: {error.strerror}") from error
