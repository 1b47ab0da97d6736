"""Errors of the embedded services; the operator must act on each, and its sentence says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class ServiceMissing(ConfigError):
    """No usable binary of a service was found; `install` is the line that installs it."""

    def __init__(self, service: str, install: str, tried: tuple[str, ...], url_key: str) -> None:
        self.service, self.install, self.tried = service, install, tried
        looked = f" (tried {'; '.join(tried)})" if tried else ""
        super().__init__(
            f"{service} is not installed{looked}: install it with `{install}` or set {url_key}"
        )


class DataDirLocked(ConfigError):
    """Another daemon uses the data directory; `holder` is its pid where it can be read."""

    def __init__(self, root: Path, holder: int | None) -> None:
        self.root, self.holder = root, holder
        who = "another daemon" if holder is None else f"the daemon with pid {holder}"
        super().__init__(f"{root} is in use by {who}: stop it, or set another host.data_dir")


class DataDirUnusable(ConfigError):
    """The data directory cannot be used as it is."""

    def __init__(self, root: Path, why: str) -> None:
        self.root = root
        super().__init__(f"data directory {root} cannot be used: {why}")


class DiskFull(ConfigError):
    """Less space is free below the data directory than the services need. Sizes in bytes."""

    def __init__(self, root: Path, free: int, needed: int) -> None:
        self.root, self.free, self.needed = root, free, needed
        super().__init__(
            f"{root} has {free // 2**20} MB free, {needed // 2**20} MB are needed: "
            "free some space, or set another host.data_dir"
        )


class InitialiseFailed(ConfigError):
    """A service's data could not be prepared."""

    def __init__(self, service: str, why: str) -> None:
        self.service = service
        super().__init__(f"{service} could not be prepared: {why}")
