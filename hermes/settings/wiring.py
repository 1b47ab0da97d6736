"""Wiring: where this host's stores and sockets are, decided once per start."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hermes.settings.tree import Settings


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """Settings plus resolved addresses; written 0600 because URLs may hold passwords."""

    settings: Settings
    host: str
    nats_url: str
    redis_url: str
    postgres_dsn: str
    restate_ingress_url: str | None = None
    restate_admin_url: str | None = None
    data_dir: str
    run_dir: str
    socket_dir: str
    http_port: int = 0
    admin_port: int = 0
    actor_port: int = 0
    simulator_port: int = 0
    simulator_control_port: int = 0
    cascade_port: int = 0
    mail_listener_port: int = 0
    mailsink_port: int = 0
    mailsink_control_port: int = 0
    restate_identity: str | None = None

    @property
    def admin_socket(self) -> str:
        """The unix socket of the admin API."""
        return self.settings.admin.socket or f"{self.socket_dir}/admin.sock"

    @property
    def metrics_socket(self) -> str:
        """The unix datagram socket that takes metric snapshots."""
        return f"{self.socket_dir}/metrics.sock"

    @property
    def has_cascades(self) -> bool:
        """Say whether there is an engine for plans of more than one step."""
        return self.restate_ingress_url is not None and self.restate_admin_url is not None

    @property
    def cascade_url(self) -> str:
        """Where the engine reaches the cascade endpoint."""
        return self.settings.restate.endpoint_url or f"http://127.0.0.1:{self.cascade_port}"

    @property
    def pepper_file(self) -> Path:
        """The server's pepper for key hashes."""
        return Path(self.data_dir) / "pepper"

    @property
    def mail_domain(self) -> str:
        """The domain of message ids and return paths, in small letters."""
        return (self.settings.mail.domain or f"{self.host.strip('-') or 'host'}.invalid").lower()

    @property
    def verp_secret_file(self) -> Path:
        """The secret that signs return paths."""
        return Path(self.data_dir) / "verp-secret"

    @property
    def demo_key_file(self) -> Path:
        """Where the demo tenant's key is."""
        return Path(self.data_dir) / "demo-key"

    @property
    def path(self) -> Path:
        """The file this wiring is kept in."""
        return Path(self.run_dir) / "wiring.json"


def save(wiring: Wiring) -> Path:
    """Write the wiring atomically, 0600; give its path."""
    path = wiring.path
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(wiring))
    draft.replace(path)
    return path


def read(path: Path) -> Wiring:
    """Read a wiring file. Raises OSError, msgspec.MsgspecError."""
    return msgspec.json.decode(path.read_bytes(), type=Wiring)
